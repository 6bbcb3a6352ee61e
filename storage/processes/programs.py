"""Describe a program, and start it as a process that does not outlive this one."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from storage.processes import parent_death_signal


@dataclass(frozen=True)
class Program:
    """A program to run.

    Its output is appended to the file `log`. Without `log`, it goes where the parent's output goes. `passed` are the
    file descriptors that the program inherits.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path | None = None
    passed: Sequence[int] = ()
    grace_seconds: float = 10.0


class ProgramProcess(Protocol):
    """A process that runs a program. It leads a process group of its own."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None:
        """The exit code, -N after signal N, or None while the process runs."""

    async def wait(self) -> int:
        """Wait until the process has ended, and return its exit code."""


async def execute(program: Program) -> ProgramProcess:
    """Start a program. Raise `OSError` if it can't be started."""
    with contextlib.ExitStack() as files:
        output = files.enter_context(open_log(program.log)) if program.log else None
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", parent_death_signal.__file__, str(os.getpid()), *program.command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(program.environment),
            cwd=program.folder,
            pass_fds=tuple(program.passed),
            start_new_session=True,  # Ctrl-C reaches only the parent, which stops the children in order
        )


def open_log(log: Path) -> BinaryIO:
    """Open a log that only its owner can read. Open it for appending, so that `trim_log` can empty it at any time."""
    return open(log, "ab", opener=lambda path, flags: os.open(path, flags, 0o600))
