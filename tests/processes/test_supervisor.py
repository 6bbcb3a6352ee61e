"""Test child processes: they are restarted, given up and stopped, and do not outlive their parent."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from schema.core.refusals import Refusal, RefusalCode
from storage.processes import parent_death_signal, supervisor
from storage.processes.programs import Program
from storage.processes.supervisor import Child, ProcessLostError, start_together, trim_log
from tests.support.process_states import is_alive, wait_until, wait_until_async

ROOT = Path(__file__).parents[2]
PARENT = """
import asyncio, sys
from pathlib import Path
from storage.processes.supervisor import Child, Program

async def main():
    child = Child(Program("sleep", ["sleep", "60"], {"PATH": "/usr/bin:/bin"}, Path("/")), print, asyncio.Future())
    await child.start()
    print(child.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


class Made:
    """A child that runs a line of shell, and the messages about it."""

    def __init__(
        self, folder: Path, shell: str, grace_seconds: float = 5, obstacle: Callable[[], str | None] = lambda: None
    ) -> None:
        self.said: list[str] = []
        self.lost: asyncio.Future[ProcessLostError] = asyncio.get_running_loop().create_future()
        program = Program(
            name="shell",
            command=["sh", "-c", shell],
            environment={"PATH": os.environ["PATH"]},
            folder=folder,
            log=folder / "shell.log",
            grace_seconds=grace_seconds,
        )
        self.child = Child(program, self.said.append, self.lost, obstacle)


async def test_a_killed_child_is_restarted(tmp_path: Path) -> None:
    made = Made(tmp_path, "exec sleep 60")
    await made.child.start()
    first = made.child.pid
    assert first
    os.kill(first, signal.SIGKILL)
    await wait_until_async(lambda: made.child.pid not in {None, first})
    assert made.said == ["shell died by SIGKILL and is started again."]
    await made.child.stop()
    assert not is_alive(first)
    assert made.child.pid is None


async def test_a_child_that_dies_five_times_within_a_minute_is_given_up(tmp_path: Path) -> None:
    made = Made(tmp_path, "echo the disk is gone; exit 3")
    await made.child.start()
    lost = await asyncio.wait_for(made.lost, 20)
    assert "shell died 5 times within a minute, last by exit code 3." in str(lost)
    assert str(lost).endswith("the disk is gone")
    assert (tmp_path / "shell.log").read_text() == "the disk is gone\n" * 5
    await made.child.stop()


async def test_a_child_that_dies_of_a_full_disk_is_never_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told in one sentence. With space again, the child counts as any other."""
    monkeypatch.setattr(supervisor, "MAX_PAUSE_SECONDS", 0.01)
    full: list[str | None] = ["the disk of /srv has less than 512 MiB free"]
    made = Made(tmp_path, "echo died; exit 3", obstacle=lambda: full[0])
    await made.child.start()
    log = tmp_path / "shell.log"
    await wait_until_async(lambda: log.exists() and log.read_text().count("died\n") > 2 * supervisor.DEATHS)
    assert not made.lost.done()
    assert made.said == [f"shell died by exit code 3, because {full[0]}. It is started again until it can go on."]
    full[0] = None
    lost = await asyncio.wait_for(made.lost, 20)
    assert "shell died 5 times within a minute" in str(lost)
    await made.child.stop()


async def test_a_child_whose_log_has_no_space_is_started_again(tmp_path: Path) -> None:
    full: list[str | None] = ["the disk of /srv has less than 512 MiB free"]
    made = Made(tmp_path, "exec sleep 60", obstacle=lambda: full[0])
    await made.child.start()
    first, log = made.child.pid, tmp_path / "shell.log"
    assert first
    log.unlink()
    log.mkdir()  # nothing can be written to it
    os.kill(first, signal.SIGKILL)
    await wait_until_async(lambda: made.child.pid is None)
    log.rmdir()
    await wait_until_async(lambda: made.child.pid not in {None, first})
    assert not made.lost.done()
    await made.child.stop()


async def test_a_child_that_ends_while_starting_stops_the_others(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    (tmp_path / "good").mkdir()
    good, bad = Made(tmp_path / "good", "exec sleep 60"), Made(tmp_path, "echo port taken; exit 48")
    with pytest.raises(ProcessLostError, match=r"shell ended while starting, by exit code 48.*\n  port taken$"):
        await start_together([good.child.start(never), bad.child.start(never)])
    assert good.child.pid is None
    assert not made_again(good, bad)


async def test_any_other_error_while_starting_is_raised_alone_and_stops_the_others(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    async def broken() -> bool:
        raise Refusal(RefusalCode.UNAVAILABLE)

    (tmp_path / "good").mkdir()
    good, bad = Made(tmp_path / "good", "exec sleep 60"), Made(tmp_path, "exec sleep 60")
    with pytest.raises(Refusal):
        await start_together([good.child.start(never), bad.child.start(broken)])
    assert good.child.pid is bad.child.pid is None


def made_again(*made: Made) -> bool:
    return any(each.said for each in made)


async def test_stop_kills_a_child_that_ignores_sigterm_and_its_descendants(tmp_path: Path) -> None:
    made = Made(tmp_path, 'trap "" TERM; sleep 61 & echo $!; wait; sleep 62', grace_seconds=0.2)
    await made.child.start()
    leader = made.child.pid
    assert leader
    log = tmp_path / "shell.log"
    await wait_until_async(lambda: log.read_text().endswith("\n"))
    grandchild = int(log.read_text())
    await made.child.stop()
    assert not is_alive(leader)
    await wait_until_async(lambda: not is_alive(grandchild))
    assert not made.said


async def test_the_descendants_of_a_killed_child_are_killed_too(tmp_path: Path) -> None:
    made = Made(tmp_path, "sleep 61 & echo $!; wait")
    await made.child.start()
    log = tmp_path / "shell.log"
    await wait_until_async(lambda: log.read_text().endswith("\n"))
    grandchild = int(log.read_text())
    os.kill(made.child.pid or 0, signal.SIGKILL)
    await wait_until_async(lambda: not is_alive(grandchild))
    await made.child.stop()


def test_no_child_outlives_a_killed_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert is_alive(child)
        parent.kill()
    wait_until(lambda: not is_alive(child))


def test_a_child_dies_at_once_when_its_parent_is_already_dead() -> None:
    someone_else = os.getppid()
    command = [sys.executable, parent_death_signal.__file__, str(someone_else), "echo", "alive"]
    done = subprocess.run(command, check=False, capture_output=True, timeout=10)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == b""


def test_a_missing_command_is_named() -> None:
    command = [sys.executable, parent_death_signal.__file__, str(os.getpid()), "/no/such/mongod"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=10)
    assert done.returncode == 1
    assert done.stderr == "/no/such/mongod can't be started: No such file or directory\n"


def test_a_long_log_is_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LOG_BYTES", 10)
    log = tmp_path / "mongod.log"
    with log.open("ab", buffering=0) as running:
        running.write(b"short")
        trim_log(log)
        assert log.read_bytes() == b"short"
        running.write(b" and long")
        trim_log(log)
        running.write(b"goes on")
    assert log.read_bytes() == b"goes on"
    assert (tmp_path / "mongod.log.1").read_bytes() == b"short and long"


def test_a_long_log_is_emptied_although_its_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LOG_BYTES", 10)
    log = tmp_path / "mongod.log"
    log.write_bytes(b"much too long")
    (tmp_path / "mongod.log.1").symlink_to("/dev/full")
    trim_log(log)
    assert log.read_bytes() == b""
