"""Test the fork server: a forked program is the same process as an executed one, and none outlives its parent."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support.fork_parent import MODULE, ROOT
from tests.support.process_states import is_alive, wait_until


def ran(step: str, folder: Path) -> list[str]:
    """Run a step of the parent, and return the lines that it prints."""
    command = [sys.executable, "-P", "-m", "tests.support.fork_parent", step, str(folder)]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}, check=False,
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    assert not done.stderr
    assert done.returncode == 0
    return done.stdout.splitlines()


def test_a_forked_program_is_what_an_executed_program_is(tmp_path: Path) -> None:
    assert ran("compare", tmp_path) == ["0 0", "0 0"]
    forked, executed = (json.loads((tmp_path / f"{name}.log").read_text("utf-8")) for name in ("forked", "executed"))
    descriptor = forked["arguments"][0]
    assert forked["command"] == [sys.executable, "-P", "-m", MODULE, descriptor]
    assert forked["passed"] == "through the pipe"
    assert forked["environment"] == {"SAMPLE_NAME": "明察"}
    assert forked["umask"] == 0o077
    assert forked["leads"]
    assert forked == executed


def test_the_end_of_a_forked_program_is_told(tmp_path: Path) -> None:
    assert ran("end", tmp_path) == ["[3, 1, -15]"]
    assert "ValueError: it failed" in (tmp_path / "program.log").read_text()


def test_a_start_that_is_cancelled_leaves_no_process_and_disturbs_no_other(tmp_path: Path) -> None:
    assert ran("cancel", tmp_path) == ["3"]


def test_programs_are_executed_after_the_fork_server_was_killed(tmp_path: Path) -> None:
    assert ran("lose", tmp_path) == ["-9", "3"]


def test_programs_are_executed_after_the_fork_server_was_stopped(tmp_path: Path) -> None:
    assert ran("stop_before_a_death", tmp_path) == ["-9", "3"]
    assert ran("stop_before_a_start", tmp_path) == ["-9 3"]


def test_no_program_outlives_the_parent(tmp_path: Path) -> None:
    [pid] = ran("close", tmp_path)
    wait_until(lambda: not is_alive(int(pid)))
