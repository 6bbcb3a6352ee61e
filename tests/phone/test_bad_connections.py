"""Test the phone on bad connections: lost calls and replies, broken uploads, expired signatures, no server."""

import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from storage.embedded.engines import Addresses
from tests.support.network_faults import NetworkFault, once
from tests.support.phone_cli import MIB, Spawner, Terminal, photo
from tests.support.phone_sessions import PASSWORD
from tests.support.running_product import PARTS, RunningProduct


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("Sync", NetworkFault.LOSE),
        ("Sync", NetworkFault.LOSE_REPLY),
        ("Sync", NetworkFault.FAIL),
        ("RequestUploads", NetworkFault.LOSE_REPLY),
        ("ConfirmMedia", NetworkFault.LOSE_REPLY),
        ("MyMedia", NetworkFault.LOSE_REPLY),
    ],
    ids=str,
)
def test_a_lost_call_is_retried(
    terminal: Terminal, served: RunningProduct, inspector: str, tmp_path: Path, operation: str, fault: NetworkFault
) -> None:
    terminal.do("take", photo(tmp_path, "a.jpg"), photo(tmp_path, "b.jpg", 6 * MIB))
    served.server.choose_fault = once(operation, fault)
    terminal.do("send", "--wait")
    assert terminal.states() == 2 * [("ACCEPTED", ["READY"])]
    assert len(served.kept(inspector)["observations"]) == 2
    assert Counter(served.objects.names()) == {"PUT": 1, "PUT 1": 1, "PUT 2": 1}
    clocks = [each["drafts"]["deviceClock"] for each in served.server.inputs("Sync") if "drafts" in each]
    assert len({clock["at"] for clock in clocks}) == len(clocks), "read anew for each attempt"


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("PUT", NetworkFault.LOSE_REPLY),
        ("PUT", NetworkFault.FAIL),
        ("PUT 2", NetworkFault.HALVE),
        ("PUT 2", NetworkFault.LOSE_REPLY),
    ],
    ids=str,
)
def test_only_a_broken_put_is_retried(
    terminal: Terminal, served: RunningProduct, tmp_path: Path, name: str, fault: NetworkFault
) -> None:
    terminal.do("take", photo(tmp_path, "a.jpg"), photo(tmp_path, "b.jpg", 11 * MIB))
    served.objects.choose_fault = once(name, fault)
    terminal.do("send", "--wait")
    assert terminal.states() == 2 * [("ACCEPTED", ["READY"])]
    assert Counter(served.objects.names()) == Counter(["PUT", "PUT 1", "PUT 2", "PUT 3", name])


def test_a_photo_is_not_stored_twice_when_the_reply_to_its_put_is_lost(
    terminal: Terminal, served: RunningProduct, tmp_path: Path
) -> None:
    """The store answers that it has the photo. The phone takes this as the receipt and requests no new slot."""
    deadline = time.monotonic() + 20
    while not httpx.get(f"{served.address}/readyz").json()["store"]:
        assert time.monotonic() < deadline, "The product never looked at its bucket."
        time.sleep(0.05)
    terminal.do("take", photo(tmp_path, "a.jpg"))
    served.objects.choose_fault = once("PUT", NetworkFault.LOSE_REPLY)
    terminal.do("send", "--wait")
    assert [request.status for request in served.objects.requests] == [200, 412]
    assert "RequestUploads" not in served.server.names()
    assert terminal.states() == [("ACCEPTED", ["READY"])]


def test_a_large_upload_resumes_where_it_stopped(terminal: Terminal, served: RunningProduct, tmp_path: Path) -> None:
    terminal.do("take", photo(tmp_path, "large.jpg", 21 * MIB))
    served.objects.choose_fault = lambda name: NetworkFault.LOSE if name == "PUT 4" else NetworkFault.PASS
    assert terminal.run("send") == 3
    assert "The photo store" in terminal.output
    [observation] = terminal.status()["observations"]
    assert observation["media"][0]["parts"] == {"total": 5, "arrived": 4}, "others go on beside it"
    medium = observation["media"][0]
    assert (medium["bytesSent"], medium["bytesVerified"]) == (medium["byteSize"] - 5 * MIB, 0)
    terminal.do("status")
    assert re.search(r"large.jpg .*4/5", terminal.output)
    served.calm()
    terminal.do("send", "--wait")
    assert served.objects.names() == ["PUT 4"]
    assert terminal.states() == [("ACCEPTED", ["READY"])]


def test_nothing_is_lost_while_the_server_is_unreachable(
    terminal: Terminal, served: RunningProduct, inspector: str, tmp_path: Path
) -> None:
    terminal.do("take", photo(tmp_path, "a.jpg"))
    served.server.choose_fault = lambda _: NetworkFault.LOSE
    assert terminal.run("send") == 3
    assert "can't be reached" in terminal.output
    assert "内容都保留在手机里" in terminal.output
    assert terminal.states() == [("QUEUED", ["WAITING"])]
    assert served.kept(inspector)["observations"] == {}
    served.calm()
    terminal.do("sync")
    assert terminal.states() == [("ACCEPTED", ["READY"])]


@pytest.mark.parametrize("fault", [NetworkFault.LOSE_REPLY, NetworkFault.KILL_AFTER], ids=lambda fault: fault.name)
def test_a_session_renewal_is_retried_when_its_reply_is_lost(
    terminal: Terminal, served: RunningProduct, tmp_path: Path, fault: NetworkFault
) -> None:
    terminal.do("take", photo(tmp_path, "a.jpg"))
    terminal.set_session(replace(terminal.session(), access_token="old"))
    served.server.choose_fault = once("RefreshSession", fault)
    terminal.started = lambda pid: setattr(served.server, "sender_pid", pid)
    if fault is NetworkFault.KILL_AFTER:
        assert terminal.run("send") == -9
    terminal.do("send", "--wait")
    assert served.server.names().count("RefreshSession") >= 2
    assert terminal.states() == [("ACCEPTED", ["READY"])]


def test_bytes_that_the_server_rejects_are_sent_again(
    terminal: Terminal, served: RunningProduct, inspector: str, tmp_path: Path
) -> None:
    terminal.do("take", photo(tmp_path, "a.jpg"))
    served.server.choose_fault = once("ConfirmMedia", NetworkFault.KILL)
    terminal.started = lambda pid: setattr(served.server, "sender_pid", pid)
    assert terminal.run("send") == -9
    [key] = [each["key"] for each in served.kept(inspector)["media"].values()]
    served.within(lambda world: world.store.objects.put(key, b"other bytes", "image/jpeg"))
    terminal.do("sync")
    assert terminal.states() == [("ACCEPTED", ["READY"])]
    assert served.objects.names() == ["PUT", "PUT"]


def test_ctrl_c_says_that_nothing_is_lost(terminal: Terminal, served: RunningProduct, tmp_path: Path) -> None:
    terminal.do("take", photo(tmp_path, "a.jpg"))
    served.objects.signal = signal.SIGINT
    served.objects.choose_fault = once("PUT", NetworkFault.KILL)
    terminal.started = lambda pid: setattr(served.objects, "sender_pid", pid)
    assert terminal.run("send") == 130
    assert "Stopped. Nothing is lost." in terminal.output
    terminal.do("send", "--wait")
    assert terminal.states() == [("ACCEPTED", ["READY"])]


@pytest.fixture
def strict(engines: Addresses, tmp_path: Path) -> Iterator[RunningProduct]:
    """Start a product whose signatures last two seconds and whose requests hold at most 64 KiB."""
    small = {"MINGCHA_UPLOAD_SLOT_SECONDS": "2", "MINGCHA_BODY_LIMIT_BYTES": str(64 * 1024)}
    made = RunningProduct(engines, tmp_path, **small, **PARTS)
    yield made
    made.close()


def test_expired_signatures_are_renewed_and_an_oversized_batch_is_split(
    spawner: Spawner, strict: RunningProduct, tmp_path: Path
) -> None:
    terminal = Terminal(spawner, tmp_path / "phone")
    terminal.sign_in(strict.address, strict.person(), PASSWORD)
    for name in ("a", "b", "c", "d"):
        terminal.do("take", photo(tmp_path, f"{name}.jpg"), "--text", 9_000 * "长")
    terminal.do("take", photo(tmp_path, "large.jpg", 6 * MIB))
    strict.objects.delay_seconds = 3
    late = {name: once(name, NetworkFault.LATE) for name in ("PUT", "PUT 2")}
    strict.objects.choose_fault = lambda name: late[name](name) if name in late else NetworkFault.PASS
    terminal.do("send", "--wait")
    assert terminal.states() == 5 * [("ACCEPTED", ["READY"])]
    assert [len(each["input"]["drafts"]) for each in strict.server.inputs("SubmitObservations")] == [5, 2, 3]
    assert {each.name for each in strict.objects.requests if each.status == 403} == {"PUT", "PUT 2"}
