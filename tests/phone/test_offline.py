"""Test the phone offline: what it keeps of photos, and what it refuses."""

import json
import os
import stat
import subprocess
import sys
from datetime import datetime
from hashlib import md5, sha256
from pathlib import Path

import pytest
from PIL import Image

from mobile_contract.phone.errors import InUseError
from mobile_contract.phone.storage.folder import Folder
from mobile_contract.phone.storage.photo_copies import Originals
from schema.core.ids import validate_id
from tests.support.phone_cli import Spawner, Terminal
from tests.support.picture_files import saved

ROOT = Path(__file__).parents[2]
JPEG = saved(Image.new("RGB", (48, 36), "#2a6"))


@pytest.fixture
def terminal(spawner: Spawner, tmp_path: Path) -> Terminal:
    return Terminal(spawner, tmp_path / "phone")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder of three photos, a copy of one of them, a text file and a hidden file."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, end in (("a.jpg", b"1"), ("b.jpg", b"2"), ("c.jpg", b"3"), ("c (copy).jpg", b"3")):
        (folder / name).write_bytes(JPEG + end)
    (folder / "notes.txt").write_text("no photo")
    (folder / ".hidden.jpg").write_bytes(JPEG)
    return folder


def copy_of(terminal: Terminal, medium_id: str) -> bytes:
    place, key = terminal.unlocked()
    with terminal.outbox() as outbox:
        [medium] = [each for each in outbox.media() if each.id == medium_id]
    return b"".join(Originals(place.originals, key.originals).read(medium.file, 0, medium.byte_size))


def test_each_photo_of_a_folder_becomes_an_observation_with_its_own_copy(terminal: Terminal, photos: Path) -> None:
    before = datetime.now().astimezone()
    terminal.do(
        "take", photos, "--unit", "360703-JT-1", "--category", "absence", "--severity", "MINOR", "--text", "无人在岗"
    )
    assert "3 observations with 3 media" in terminal.output
    assert "taken before: c.jpg" in terminal.output
    assert "notes.txt is not a photo" in terminal.output
    for path in photos.iterdir():
        path.unlink()
    found = terminal.status()["observations"]
    assert [each["sequence"] for each in found] == [each["draft"]["deviceSequence"] for each in found] == [1, 2, 3]
    assert [[medium["name"] for medium in each["media"]] for each in found] == [["a.jpg"], ["b.jpg"], ["c (copy).jpg"]]
    for each in found:
        draft = each["draft"]
        assert validate_id(each["id"], "obs") == draft["id"]
        assert (draft["unit"], draft["category"], draft["severity"]) == ("360703-JT-1", "ABSENCE", "MINOR")
        assert (draft["method"], draft["text"]) == ("PATROL", "无人在岗")
        assert "position" not in draft
        assert before <= datetime.fromisoformat(draft["capturedAt"]).astimezone() <= datetime.now().astimezone()
        [medium] = each["media"]
        validate_id(medium["id"], "med")
        kept = copy_of(terminal, medium["id"])
        assert (sha256(kept).hexdigest(), len(kept)) == (medium["sha256"], medium["byteSize"])


def test_a_draft_holds_the_given_time_and_position_and_its_photos_digests(terminal: Terminal, photos: Path) -> None:
    terminal.do(
        "take",
        photos / "a.jpg",
        photos / "b.jpg",
        "--together",
        *("--at", "2026-11-20T09:05:00+08:00", "--position", "25.8292,114.9347,12", "--datum", "gcj02"),
    )
    with terminal.outbox() as outbox:
        [row] = outbox.rows("SELECT draft FROM observations")
    draft = json.loads(row["draft"])
    assert draft["capturedAt"] == "2026-11-20T09:05:00.000+08:00"
    assert [medium["capturedAt"] for medium in draft["media"]] == [draft["capturedAt"]] * 2
    terminal.do("edit", "1", "--at", "2026-11-20T09:06:00+08:00")
    with terminal.outbox() as outbox:
        [row] = outbox.rows("SELECT draft FROM observations")
    edited = json.loads(row["draft"])
    assert edited["capturedAt"] == "2026-11-20T09:06:00.000+08:00"
    assert [medium["capturedAt"] for medium in edited["media"]] == [edited["capturedAt"]] * 2
    assert draft["position"] == {
        "latitude": 25.8292,
        "longitude": 114.9347,
        "accuracyMetres": 12.0,
        "datum": "GCJ02",
        "source": "MANUAL",
    }
    for medium, path in zip(draft["media"], (photos / "a.jpg", photos / "b.jpg"), strict=True):
        body = path.read_bytes()
        assert medium == {
            "id": medium["id"],
            "sha256": sha256(body).hexdigest(),
            "md5": md5(body, usedforsecurity=False).hexdigest(),
            "byteSize": len(body),
            "contentType": "image/jpeg",
            "capturedAt": "2026-11-20T09:05:00.000+08:00",
        }


def test_equal_bytes_are_taken_again_only_on_request(terminal: Terminal, photos: Path) -> None:
    terminal.do("take", photos)
    terminal.do("take", photos)
    assert len(terminal.status()["observations"]) == 3
    terminal.do("take", photos / "a.jpg", "--again")
    assert [each["sequence"] for each in terminal.status()["observations"]] == [1, 2, 3, 4]


def test_text_alone_makes_an_observation_and_empty_input_does_not(terminal: Terminal, tmp_path: Path) -> None:
    terminal.do("take", "--text", "门难进")
    assert terminal.states() == [("QUEUED", [])]
    assert terminal.run("take") == 2
    (tmp_path / "empty.jpg").touch()
    assert terminal.run("take", tmp_path / "empty.jpg") == 1
    assert "empty.jpg is empty" in terminal.output
    assert terminal.states() == [("QUEUED", [])]


def test_a_kill_while_photos_are_taken_loses_and_doubles_nothing(terminal: Terminal, photos: Path) -> None:
    terminal.do("take", photos / "a.jpg")
    assert terminal.run("take", photos, kill_at=1) == -9
    assert terminal.states() == [("QUEUED", ["WAITING"])]
    assert len(terminal.copies) == 3
    assert terminal.run("take", photos, kill_at=2) == -9
    assert terminal.states() == 3 * [("QUEUED", ["WAITING"])]
    terminal.do("take", photos)
    assert len(terminal.status()["observations"]) == len(terminal.copies) == 3


def test_only_the_owner_has_access_to_the_phones_folder(terminal: Terminal, photos: Path) -> None:
    terminal.do("take", photos)
    paths = [terminal.folder, *terminal.folder.rglob("*")]
    assert len(paths) > 5
    assert not [path for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077]


def test_only_one_process_at_a_time_changes_a_phone(terminal: Terminal, photos: Path) -> None:
    terminal.do("take", photos / "a.jpg")
    folder = Folder.open(terminal.folder)
    with folder.lock():
        assert terminal.run("take", photos) == 5
        assert f"Another phone process ({os.getpid()})" in terminal.output
        assert terminal.states() == [("QUEUED", ["WAITING"])]
        with pytest.raises(InUseError), folder.lock():
            pass
    terminal.do("take", photos)


def test_asking_for_the_status_creates_no_phone(terminal: Terminal) -> None:
    assert terminal.status()["observations"] == []
    assert not terminal.folder.exists()


def test_an_outbox_of_a_newer_version_is_refused(terminal: Terminal, photos: Path) -> None:
    terminal.do("take", photos / "a.jpg")
    terminal.execute("PRAGMA user_version=9")
    assert terminal.run("take", photos) == 2
    assert "newer version" in terminal.output


def test_sending_without_a_session_fails_and_keeps_everything(terminal: Terminal, photos: Path) -> None:
    terminal.do("take", photos)
    before = terminal.status()["observations"]
    assert terminal.run("send") == 4
    assert "尚未登录" in terminal.output
    assert terminal.status()["observations"] == before


def test_a_password_on_the_command_line_is_refused(terminal: Terminal) -> None:
    assert terminal.run("sign-in", "http://127.0.0.1:1", "--user", "inspector", "--password", "secret") == 2
    assert "secret" not in terminal.output


def test_an_unreachable_server_is_named(terminal: Terminal) -> None:
    assert terminal.run("sign-in", "http://127.0.0.1:1", "--user", "inspector", password="x") == 3
    assert "The server http://127.0.0.1:1/graphql can't be reached" in terminal.output


def test_the_command_runs_as_a_module(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "mobile_contract.phone", "status"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Nothing is on this phone." in done.stdout
