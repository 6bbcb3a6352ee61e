"""Test scratch folders: each process has its own, and the next process removes the folder of a killed one."""

import signal
import stat
import subprocess
import sys
from pathlib import Path

from storage.processes.scratch_folders import scratch_folder

ROOT = Path(__file__).parents[2]
PROCESS = """
import sys, time
from pathlib import Path
from storage.processes.scratch_folders import scratch_folder

with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "original").write_text("evidence")
    print(folder, flush=True)
    time.sleep(60)
"""


def test_a_scratch_folder_is_private_and_removed_afterwards(tmp_path: Path) -> None:
    with scratch_folder(tmp_path / "data" / "work") as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "original").write_text("evidence")
    assert list((tmp_path / "data" / "work").iterdir()) == []


def test_only_scratch_folders_of_dead_processes_are_removed(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", PROCESS, str(tmp_path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=ROOT) as other:
        assert other.stdout
        theirs = Path(other.stdout.readline().strip())
        with scratch_folder(tmp_path) as ours:
            assert {theirs, ours} == set(tmp_path.iterdir())
            assert (theirs / "original").read_text() == "evidence"
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert theirs.exists()
    with scratch_folder(tmp_path) as ours:
        assert {ours} == set(tmp_path.iterdir())
