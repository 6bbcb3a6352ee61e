"""Test that the phone encrypts the plain folder that an earlier version left, even if the phone is killed meanwhile."""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image

from mobile_contract.phone.device import PhoneDevice
from mobile_contract.phone.storage.file_encryption import CHUNK
from mobile_contract.phone.storage.folder import Folder
from mobile_contract.phone.storage.migrations import LEVEL, statements
from mobile_contract.phone.users.remote_wipe import secret_of
from mobile_contract.phone.users.session import Session
from mobile_contract.phone.users.user_stores import UserStores
from tests.support.phone_cli import Spawner, Terminal
from tests.support.phone_folder import LETTERS, Killed, contents, dying_at, readable
from tests.support.picture_files import saved


def earlier_phone(root: Path) -> bytes:
    """Write a folder as phones did before they encrypted anything, and return the bytes of its photo."""
    (root / "originals").mkdir(parents=True)
    body = saved(Image.new("RGB", (48, 36), "#2a6")) + bytes(CHUNK)
    (root / "originals" / "med_1.jpeg").write_bytes(body)
    (root / "originals" / "med_1.jpeg").chmod(0o400)
    said = {
        "endpoint": "http://old.example/graphql",
        "user_name": "laowang",
        "display_name": "老王",
        "roles": ["INSPECTOR"],
    }
    tokens = {"access_token": "old-access", "refresh_token": "old-refresh", "refresh_expires_at": None}
    (root / "session.json").write_text(json.dumps(said | tokens, ensure_ascii=False))
    with closing(sqlite3.connect(root / "outbox.sqlite", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        for statement in statements(0):
            database.execute(statement)
        facts = [("device_id", "dev_old"), ("last_sequence", "7"), ("first_own_sequence", "5")]
        database.executemany("INSERT INTO facts VALUES (?, ?)", facts)
        database.execute(
            "INSERT INTO observations (id, sequence, draft, state) VALUES ('obs_7', 7, '{\"text\": \"旧\"}', 'QUEUED')"
        )
        row = ("med_1", "obs_7", 0, "med_1.jpeg", "a.jpg", sha256(body).hexdigest(), len(body), "image/jpeg", "WAITING")
        database.execute(
            "INSERT INTO media (id, observation_id, place, file, name, sha256, byte_size, content_type, state)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        database.execute(f"PRAGMA user_version={LEVEL}")
    return body


def test_a_plain_folder_is_encrypted_even_if_the_phone_is_killed_at_any_step(
    cheap: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = earlier_phone(tmp_path / "earlier")
    kills = 0
    while True:
        root = tmp_path / f"phone-{kills}"
        shutil.copytree(tmp_path / "earlier", root)
        with dying_at(kills, monkeypatch):
            try:
                with PhoneDevice.open(root):
                    survived = True
            except Killed:
                survived = False
        with PhoneDevice.open(root) as device:
            [observation] = device.outbox.observations()
            assert (observation.draft, observation.sequence) == ({"text": "旧"}, 7)
            assert device.outbox.device_id == UserStores(Folder(root)).device_id == "dev_old"
            session = Session.read(device.outbox)
            assert session
            assert (session.user_name, session.refresh_token) == ("laowang", "old-refresh")
            [medium] = observation.media
            device.outbox.set_fact("session", json.dumps(vars(replace(session, device_secret=LETTERS))))
            assert device.originals.verify(medium.file, medium.sha256) == {}
        [place] = UserStores(Folder(root)).all()
        assert place.lock.unwrap_with_device(secret_of(LETTERS)), "once it has met the server, its secret opens it too"
        assert {path.name for path in root.iterdir()} == {"current", "device.json", "lock", "users"}
        assert readable(root, "laowang", "老王", "old-refresh", "obs_7", "med_1", "SQLite format", body[100:140]) == []
        if survived:
            break
        kills += 1
    assert kills > 15


def test_plain_files_are_overwritten_before_they_are_removed(cheap: None, tmp_path: Path) -> None:
    root, kept = tmp_path / "phone", tmp_path / "kept"
    body = earlier_phone(root)
    kept.mkdir()
    for path in (path for path in root.rglob("*") if path.is_file()):
        (kept / path.name).hardlink_to(path)
    words = ("laowang", "old-refresh", "obs_7", "SQLite format", body[100:140])
    assert len(readable(kept, *words)) == len(words)
    with PhoneDevice.open(root):
        pass
    assert not (root / "session.json").exists()
    assert readable(kept, *words) == []


def test_another_persons_sign_in_leaves_a_plain_folder_unchanged(spawner: Spawner, tmp_path: Path) -> None:
    earlier_phone(tmp_path / "phone")
    terminal = Terminal(spawner, tmp_path / "phone")
    before = contents(terminal.folder)
    assert terminal.run("sign-in", "http://old.example", "--user", "xiaoli", password="hers") == 4
    assert "laowang" in terminal.output
    assert terminal.run("status", password="") == 4
    assert contents(terminal.folder) == before
    assert terminal.run("sign-in", "http://127.0.0.1:1", "--user", "xiaoli", password="hers") == 4
    assert contents(terminal.folder) == before
    assert [each["draft"] for each in terminal.status()["observations"]] == [{"text": "旧"}]
