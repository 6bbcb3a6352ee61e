"""Test the phone on a good connection: everything it takes is verified, and an item that fails blocks no other."""

import re
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from tests.support.network_faults import NetworkFault, once
from tests.support.phone_cli import MIB, Terminal, photo
from tests.support.phone_sessions import PASSWORD
from tests.support.process_states import wait_until
from tests.support.running_product import RunningProduct
from tests.support.world import World


def copy_of(terminal: Terminal, medium_id: str) -> Path:
    with terminal.outbox() as outbox:
        [medium] = [each for each in outbox.media() if each.id == medium_id]
    return terminal.unlocked()[0].originals / medium.file


def test_the_photos_of_a_folder_are_verified_and_nothing_is_sent_twice(
    terminal: Terminal, served: RunningProduct, inspector: str, tmp_path: Path
) -> None:
    for n in range(4):
        photo(tmp_path / "photos", f"{n}.jpg")
    photo(tmp_path / "photos", "large.jpg", 11 * MIB)
    terminal.do("take", tmp_path / "photos", "--unit", "360703-JT-1")
    terminal.do("send", "--wait")
    assert terminal.states() == 5 * [("ACCEPTED", ["READY"])]
    found = terminal.status()["observations"]
    kept = served.kept(inspector)
    assert set(kept["observations"]) == {each["id"] for each in found}
    assert {each["state"] for each in kept["media"].values()} == {"READY"}
    for each in found:
        stored = kept["observations"][each["id"]]
        assert each["receipt"]["contentSha256"] == stored["revisions"][0]["content_sha256"]
        assert stored["content"]["device_sequence"] == each["sequence"]
        assert abs(stored["clock_skew_ms"]) < 10_000
    assert Counter(served.objects.names()) == {"PUT": 4, "PUT 1": 1, "PUT 2": 1, "PUT 3": 1}
    served.calm()
    terminal.do("sync")
    assert (served.server.names(), served.objects.names()) == (["Sync"], [])
    assert set(served.server.inputs("Sync")[0]) == {"input"}, "there was nothing to hand in"


def test_the_store_accepts_parts_with_their_announced_digests(
    terminal: Terminal, served: RunningProduct, tmp_path: Path
) -> None:
    terminal.do("take", photo(tmp_path, "large.jpg", 6 * MIB))
    terminal.do("send", "--wait")
    requests = served.server.inputs("RequestUploads")
    assert [len(each["input"]["media"][0].get("parts", [])) for each in requests] == [0, 2]
    assert {request.status for request in served.objects.requests} == {200}


def test_a_refused_draft_blocks_nothing_and_can_be_fixed_or_discarded(
    terminal: Terminal, served: RunningProduct, inspector: str, tmp_path: Path
) -> None:
    for name, method in (("a", "PATROL"), ("b", "MONITOR_REPORT"), ("c", "COMPLAINT"), ("d", "PATROL")):
        terminal.do("take", photo(tmp_path, f"{name}.jpg"), "--method", method, "--text", name)
    assert terminal.run("send", "--wait") == 1
    assert "No. 2: Your role must not use this method. (drafts.1.method)" in terminal.output
    assert "2 need you" in terminal.output
    states = [("ACCEPTED", ["READY"]), ("REFUSED", ["WAITING"]), ("REFUSED", ["WAITING"]), ("ACCEPTED", ["READY"])]
    assert terminal.states() == states
    served.calm()
    assert terminal.run("sync") == 1
    assert [set(each) for each in served.server.inputs("Sync")] == [{"input"}], "what was set aside is not sent"
    terminal.do("fix", "2", "--method", "PATROL")
    terminal.do("discard", "3")
    terminal.do("sync")
    assert terminal.states() == 3 * [("ACCEPTED", ["READY"])]
    assert sorted(each["content"]["text"] for each in served.kept(inspector)["observations"].values()) == [
        "a",
        "b",
        "d",
    ]
    assert len(terminal.copies) == 3
    assert terminal.run("discard", "1") == 2
    terminal.do("take", "--text", "e")
    assert terminal.status()["observations"][-1]["sequence"] == 5


def test_a_changed_copy_is_not_sent_and_blocks_nothing(
    terminal: Terminal, served: RunningProduct, tmp_path: Path
) -> None:
    terminal.do("take", photo(tmp_path, "a.jpg"), photo(tmp_path, "b.jpg"))
    [first, _] = terminal.status()["observations"]
    copy = copy_of(terminal, first["media"][0]["id"])
    copy.chmod(0o600)
    whole = copy.read_bytes()
    copy.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert terminal.run("send", "--wait") == 1
    assert "a.jpg: The phone's own copy was changed after it was taken" in terminal.output
    assert terminal.states() == [("ACCEPTED", ["BROKEN"]), ("ACCEPTED", ["READY"])]
    assert served.objects.names() == ["PUT"]


def test_an_ended_session_keeps_the_outbox(
    terminal: Terminal, served: RunningProduct, inspector: str, tmp_path: Path
) -> None:
    terminal.do("take", photo(tmp_path, "a.jpg"))
    kept = terminal.session()
    terminal.do("sign-out")
    assert "1 observations on this phone are not sent" in terminal.output
    terminal.set_session(kept)
    assert terminal.run("send") == 4
    assert "sign-in" in terminal.output
    assert terminal.status()["signedIn"] is False
    assert terminal.states() == [("QUEUED", ["WAITING"])]
    terminal.sign_in(served.address, inspector.upper(), PASSWORD)
    terminal.do("send", "--wait")
    assert terminal.states() == [("ACCEPTED", ["READY"])]


def test_a_person_who_must_not_submit_keeps_the_outbox(
    terminal: Terminal, served: RunningProduct, tmp_path: Path
) -> None:
    terminal.sign_in(served.address, served.person("supervisor"), PASSWORD)
    terminal.do("take", photo(tmp_path, "a.jpg"))
    assert terminal.run("send") == 1
    assert "您的角色不能进行此操作" in terminal.output
    assert terminal.states() == [("QUEUED", ["WAITING"])]


def test_forget_deletes_verified_observations_and_remembers_their_photos(terminal: Terminal, tmp_path: Path) -> None:
    terminal.do("take", photo(tmp_path, "a.jpg"), "--text", "秘密")
    terminal.do("send", "--wait")
    terminal.do("take", photo(tmp_path, "b.jpg"))
    terminal.do("forget")
    [left] = terminal.status()["observations"]
    assert left["sequence"] == 2
    assert terminal.status()["forgotten"] == 1
    assert terminal.copies == [copy_of(terminal, left["media"][0]["id"])]
    terminal.do("take", tmp_path / "a.jpg")
    assert "taken before: a.jpg" in terminal.output


def test_lists_show_reports_photo_facts_units_and_points(terminal: Terminal, tmp_path: Path) -> None:
    terminal.do("take", photo(tmp_path, "a.jpg"), "--unit", "360703-JT-1", "--text", "无人在岗")
    terminal.do("send", "--wait")
    deadline = time.monotonic() + 20
    while not re.search(r"其他 无人在岗 +南康区交通局一号窗口 +1/1", terminal.do("reports", "--now")):
        assert time.monotonic() < deadline, terminal.output
        time.sleep(0.2)
    assert re.search(r"a\.jpg +jpeg +verified 已核验 +48 x 36", terminal.do("table"))
    assert "360703-JT-1" in terminal.do("units", "交通局一号")
    assert "南康示范家具厂" in terminal.do("points")
    terminal.do("accept", "asg_0198f1aa-0000-7000-8000-000000000000")
    assert "held 暂存" in terminal.output


def test_sync_reports_photos_that_the_server_has_not_verified(
    terminal: Terminal, served: RunningProduct, inspector: str, tmp_path: Path
) -> None:
    terminal.do("take", photo(tmp_path, "a.jpg"))
    terminal.started = lambda pid: setattr(served.server, "sender_pid", pid)
    served.server.choose_fault = once("MyMedia", NetworkFault.KILL)
    assert terminal.run("send") == -9
    served.calm()
    wait_until(lambda: [each["state"] for each in served.kept(inspector)["media"].values()] == ["READY"], 30)

    async def stall(world: World) -> None:
        held = {"$set": {"state": "UPLOADED", "due_at": datetime(2100, 1, 1, tzinfo=UTC)}}
        await world.store.mongo.collection("media").update_many({"_id": {"$in": list(kept)}}, held)

    kept = served.kept(inspector)["media"]
    served.within(stall)
    assert terminal.run("sync", "--for", "1") == 3
    assert "has not verified 1 media" in terminal.output
    assert terminal.states() == [("ACCEPTED", ["CONFIRMED"])]
