"""Test killing the phone at every step of its outbox and on every request: after a restart everything arrives once."""

from collections import Counter
from pathlib import Path

import pytest

from tests.support.network_faults import FaultyNetwork, NetworkFault, nth
from tests.support.phone_cli import KIB, MIB, Terminal, photo
from tests.support.running_product import RunningProduct

KILLED = -9


def take(terminal: Terminal, folder: Path, round: int, large: int) -> None:
    """Take a small photo and one that is uploaded in parts, of which the first is up to 5 MiB."""
    terminal.do("take", photo(folder, f"{round}.jpg"), photo(folder, f"{round}-large.jpg", large))


def all_arrived(terminal: Terminal, served: RunningProduct, inspector: str) -> None:
    """Assert that the server has everything the phone took, verified, and nothing else."""
    terminal.do("sync", "--for", "60")
    assert {each["state"] for each in terminal.status()["observations"]} == {"ACCEPTED"}
    kept = served.kept(inspector)
    own = terminal.status()["observations"]
    assert set(kept["observations"]) == {each["id"] for each in own}
    media = {medium["id"]: medium for each in own for medium in each["media"]}
    assert {id: each["sha256"] for id, each in kept["media"].items()} == {
        id: each["sha256"] for id, each in media.items()
    }
    assert {each["state"] for each in media.values()} == {"READY"}


def stored_once(served: RunningProduct) -> None:
    """Assert that the store stored no upload twice."""
    stored = Counter((each.key, each.name) for each in served.objects.requests if each.was_stored)
    assert set(stored.values()) == {1}


def test_a_kill_at_any_step_of_the_outbox_loses_and_doubles_nothing(
    terminal: Terminal, served: RunningProduct, inspector: str, tmp_path: Path
) -> None:
    """The phone is killed just before a step takes effect, or just after."""
    moment, survived = 0, False
    while not survived:
        moment += 1
        take(terminal, tmp_path, moment, 100 * KIB)
        survived = terminal.run("send", "--at-once", "1", kill_at=moment) != KILLED
        terminal.do("send", "--at-once", "1")
    assert moment > 20
    all_arrived(terminal, served, inspector)
    stored_once(served)
    assert len(terminal.status()["observations"]) == 2 * moment


@pytest.mark.parametrize("fault", [NetworkFault.KILL, NetworkFault.KILL_AFTER], ids=lambda fault: fault.name)
@pytest.mark.parametrize("side", ["server", "objects"])
def test_a_kill_on_any_request_loses_and_doubles_nothing(
    terminal: Terminal, served: RunningProduct, inspector: str, tmp_path: Path, side: str, fault: NetworkFault
) -> None:
    """With `KILL`, the phone dies before the request arrives. With `KILL_AFTER`, it dies before the reply arrives."""
    network: FaultyNetwork = getattr(served, side)
    terminal.started = lambda pid: setattr(network, "sender_pid", pid)
    number, killed = 0, True
    while killed:
        number += 1
        take(terminal, tmp_path, number, 6 * MIB if side == "objects" else 100 * KIB)
        network.choose_fault = nth(number, fault)
        killed = terminal.run("send", "--at-once", "1") == KILLED
        network.choose_fault = lambda _: NetworkFault.PASS
        terminal.do("send", "--at-once", "1")
    assert number > 3
    all_arrived(terminal, served, inspector)
    stored_once(served)
    assert len(terminal.status()["observations"]) == 2 * number


def test_repeated_kills_lose_and_double_nothing(
    terminal: Terminal, served: RunningProduct, inspector: str, tmp_path: Path
) -> None:
    """The kills come at fixed times while several uploads run, so bytes that were on their way may be sent again."""
    for round in range(6):
        take(terminal, tmp_path, round, 6 * MIB)
    ends = [terminal.run("send", dies_after=tenths / 10) for tenths in range(1, 10)]
    assert ends.count(KILLED) > 3
    all_arrived(terminal, served, inspector)
