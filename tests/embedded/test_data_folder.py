"""Test the data folder: one holder, files for the owner only, remembered ports, and clear errors if it is unusable."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from storage.embedded import data_folder as folder_module
from storage.embedded.data_folder import PORTS, DataFolder, FolderInUseError, FolderUnusableError
from tests.support.process_states import is_alive

ROOT = Path(__file__).parents[2]
HOLDER = """
import subprocess, sys
from pathlib import Path
from storage.embedded.data_folder import DataFolder

folder = DataFolder.open(Path(sys.argv[1]))
lock = folder.acquire_lock()
folder.write_holder(lock, "http://127.0.0.1:8000")
engine = subprocess.Popen(["sleep", sys.argv[2]], pass_fds=[lock])
print(engine.pid, flush=True)
engine.wait()
"""


def hold_elsewhere(root: Path, engine_seconds: float) -> tuple[subprocess.Popen[str], int]:
    """Start a process that holds the folder. Return it and the pid of its engine, which lives `engine_seconds`."""
    command = [sys.executable, "-c", HOLDER, str(root), str(engine_seconds)]
    holder = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    return holder, int(holder.stdout.readline())


def test_only_the_owner_has_access_to_the_data_folder(tmp_path: Path) -> None:
    folder = DataFolder.open(tmp_path / "data")
    folder.secret("mongo-key")
    folder.ports()
    os.close(folder.acquire_lock())
    for path in [folder.root, *folder.root.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_secrets_are_made_once_and_differ(tmp_path: Path) -> None:
    folder = DataFolder.open(tmp_path)
    key, password = folder.secret("mongo-key"), folder.secret("mongo-password")
    assert len(key) == 48
    assert key != password
    assert DataFolder.open(tmp_path).secret("mongo-key") == key
    (tmp_path / "engines" / "mongo-key").write_text("")  # as an older version could have left it
    assert len(folder.secret("mongo-key")) == 48


def test_ports_are_kept_while_they_are_free(tmp_path: Path) -> None:
    folder = DataFolder.open(tmp_path)
    ports = folder.ports()
    assert len(ports) == PORTS
    assert folder.ports() == ports
    with socket.socket() as other:
        other.bind(("127.0.0.1", ports[3]))
        other.listen()
        chosen = folder.ports()
    assert not set(chosen) & {ports[3]}
    assert folder.ports() == chosen


def test_a_second_holder_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    holder, _ = hold_elsewhere(tmp_path, 30)
    with holder:
        with pytest.raises(
            FolderInUseError, match=f"already running on .*: process {holder.pid}, at http://127.0.0.1:8000"
        ):
            DataFolder.open(tmp_path).acquire_lock()
        os.kill(holder.pid, signal.SIGKILL)


def test_a_successor_waits_for_the_engines_of_a_killed_holder(tmp_path: Path) -> None:
    holder, engine = hold_elsewhere(tmp_path, 1)
    with holder:
        os.kill(holder.pid, signal.SIGKILL)
    os.close(DataFolder.open(tmp_path).acquire_lock())
    assert not is_alive(engine)


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/mingcha"])
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(FolderUnusableError, match=r"can't be written \(.+\)\. .*--data"):
        DataFolder.open(tmp_path / place)
    assert (tmp_path / "file").read_text() == "kept"


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "FREE_BYTES", shutil.disk_usage(tmp_path).total + 1)
    with pytest.raises(FolderUnusableError, match=r"disk of the data folder .* is full: \d+ MB are free, .*--data"):
        DataFolder.open(tmp_path / "data")
