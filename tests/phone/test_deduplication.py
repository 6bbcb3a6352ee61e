"""Test equal bytes under several ids: the phone uploads them once, even if it is killed, and all media are verified."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from mobile_contract.phone.errors import RETRY_LATER, ServerRefusedError
from mobile_contract.phone.outbox.items import Medium, MediumState
from mobile_contract.phone.upload.scheduling import next_batch
from tests.support.network_faults import NetworkFault, once
from tests.support.phone_cli import KIB, MIB, Terminal, photo
from tests.support.running_product import RunningProduct

WAITING, SENDING, CONFIRMED, READY, BROKEN = (
    MediumState(name) for name in ("WAITING", "SENDING", "CONFIRMED", "READY", "BROKEN")
)


def medium(id: str, state: MediumState = WAITING, rejections: int = 0, trouble: str = "") -> Medium:
    said = ServerRefusedError(trouble, "", "", RETRY_LATER).as_json() if trouble else None
    return Medium(id, f"obs_{id}", "", "", id[0], 5, "image/jpeg", state, 0, rejections, None, said, 0, 0, 0)


@pytest.mark.parametrize(
    ("media", "first", "twins"),
    [
        ([medium("a1"), medium("b1"), medium("a2")], ["a1", "b1"], []),
        ([medium("a1", SENDING), medium("a2")], [], []),
        ([medium("a1", CONFIRMED), medium("a2"), medium("a3"), medium("b1")], ["b1"], ["a2", "a3"]),
        ([medium("a1", READY), medium("a2", SENDING)], [], []),
        ([medium("a1", BROKEN), medium("a2"), medium("a3")], ["a2"], []),
        ([medium("a1", rejections=1), medium("a2")], ["a2"], []),
        ([medium("a1", trouble="STORE_REFUSED"), medium("a2")], ["a2"], []),
        ([medium("a1", trouble="UNREACHABLE"), medium("a2")], ["a1"], []),
        ([medium("a1"), replace(medium("a2"), byte_size=6)], ["a1", "a2"], []),
    ],
)
def test_only_one_medium_of_equal_bytes_is_uploaded_at_a_time(
    media: list[Medium], first: list[str], twins: list[str]
) -> None:
    found = next_batch(media, ())
    assert ([each.id for each in found.first], [each.id for each in found.twins]) == (first, twins)
    assert not next_batch(media, [each.id for each in media])


def bodies(served: RunningProduct) -> Counter[str]:
    """Count how often the store stored each body."""
    return Counter(each.digest for each in served.objects.requests if each.was_stored)


def test_equal_bytes_are_uploaded_once(
    terminal: Terminal, served: RunningProduct, inspector: str, tmp_path: Path
) -> None:
    small, large = photo(tmp_path, "a.jpg"), photo(tmp_path, "b.jpg", 6 * MIB)
    for _ in range(3):
        terminal.do("take", small, large, "--again")
    terminal.do("send", "--wait")
    assert Counter(served.objects.names()) == {"PUT": 1, "PUT 1": 1, "PUT 2": 1}
    assert terminal.states() == 6 * [("ACCEPTED", ["READY"])]
    kept = served.kept(inspector)["media"].values()
    assert {each["state"] for each in kept} == {"READY"}
    assert len({each["key"] for each in kept}) == 6
    served.calm()
    terminal.do("take", small, "--again")
    terminal.do("send", "--wait")
    assert served.objects.names() == []
    assert terminal.states() == 7 * [("ACCEPTED", ["READY"])]


def test_equal_bytes_are_uploaded_once_even_if_the_phone_is_killed(
    terminal: Terminal, served: RunningProduct, inspector: str, tmp_path: Path
) -> None:
    for moment in range(3, 30, 5):
        each = photo(tmp_path, f"{moment}.jpg", 100 * KIB if moment % 2 else 0)
        terminal.do("take", each)
        terminal.do("take", each, "--again")
        terminal.run("send", "--at-once", "1", kill_at=moment)
    terminal.do("sync", "--for", "60")
    assert terminal.states() == 12 * [("ACCEPTED", ["READY"])]
    assert {each["state"] for each in served.kept(inspector)["media"].values()} == {"READY"}
    assert set(bodies(served).values()) == {1}
    assert len(bodies(served)) == 6


def test_a_twin_is_uploaded_when_the_first_medium_is_broken_or_rejected(
    terminal: Terminal, served: RunningProduct, inspector: str, tmp_path: Path
) -> None:
    for name in ("a.jpg", "b.jpg"):
        terminal.do("take", photo(tmp_path, name))
        terminal.do("take", photo(tmp_path, name), "--again")
    [broken, *_] = terminal.status()["observations"]
    place, _ = terminal.unlocked()
    with terminal.outbox() as outbox:
        [copy] = [place.originals / each.file for each in outbox.media() if each.id == broken["media"][0]["id"]]
    copy.chmod(0o600)
    copy.write_bytes(copy.read_bytes()[:-1] + b"?")
    served.server.choose_fault = once("ConfirmMedia", NetworkFault.KILL)
    terminal.started = lambda pid: setattr(served.server, "sender_pid", pid)
    assert terminal.run("send") == -9
    second = terminal.status()["observations"][2]["media"][0]["id"]
    key = served.kept(inspector)["media"][second]["key"]
    served.within(lambda world: world.store.objects.put(key, b"other bytes", "image/jpeg"))
    assert terminal.run("sync", "--for", "60") == 1
    assert terminal.states() == [("ACCEPTED", ["BROKEN"]), *3 * [("ACCEPTED", ["READY"])]]
    assert sorted(bodies(served).values()) == [1, 2], "the second's own, and once more for what the store had garbled"
