"""Start child processes, restart them with back-off when they die, and stop them. No child outlives its parent."""

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage.processes.programs import Program, ProgramProcess, execute
from storage.processes.task_groups import collapse_exception_groups

LOG_BYTES = 16 * 2**20
DEATHS, DEATHS_SECONDS = 5, 60.0
MAX_PAUSE_SECONDS = 10.0
PATIENCE_SECONDS = 10.0


class ProcessLostError(Exception):
    """Raised if a child can't be started or kept alive.

    The message is one sentence for the operator, followed by the end of the child's log.
    """


@dataclass
class Child:
    """A program that runs until `stop`, and is started again if it dies.

    `say` gets messages for the operator, such as that the program died. `lost` gets its result when the program can't
    be kept alive. `obstacle` returns a clause about the machine if nothing can live on it now, such as a full disk. The
    program is not given up then: it is started again and again, until the obstacle has gone. `spawn` starts a process of
    the program.
    """

    program: Program
    say: Callable[[str], None]
    lost: "asyncio.Future[ProcessLostError]"
    obstacle: Callable[[], str | None] = lambda: None
    spawn: Callable[[Program], Awaitable[ProgramProcess]] = execute
    _process: ProgramProcess | None = None
    _watch: "asyncio.Task[None] | None" = None
    _deaths: list[float] = field(default_factory=list)
    _excused: int = 0
    _stopping: bool = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self, ready: Callable[[], Awaitable[bool]] | None = None, *, within_seconds: float = 600.0) -> None:
        """Start the program and wait until `ready()` returns true.

        Raise `ProcessLostError` if the program ends before that, or isn't ready within `within_seconds`. The program no
        longer runs then.
        """
        try:
            process = await self._spawn()
        except OSError as error:
            raise ProcessLostError(f"{self.program.name} can't be started: {error}.") from error
        began_at, is_announced = time.monotonic(), False
        try:
            while ready is not None and not await ready():
                seconds = time.monotonic() - began_at
                self._check_start(process, seconds, within_seconds)
                if not is_announced and seconds > PATIENCE_SECONDS:
                    self.say(f"{self.program.name} is still starting. After a crash it first recovers its data.")
                    is_announced = True
                await asyncio.sleep(0.02)
        except BaseException:
            await self.stop()
            raise
        self._watch = asyncio.create_task(self._keep_alive(process))

    async def stop(self) -> None:
        """Ask the program to end, and kill it if it has not ended after `grace_seconds`.

        In any case, kill the rest of its process group.
        """
        self._stopping = True
        if self._watch is not None and self.pid is None:  # the program has died and waits to be started again
            self._watch.cancel()
            await asyncio.wait([self._watch])
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), self.program.grace_seconds)
        except TimeoutError:
            _kill_group(process.pid)
            await process.wait()
        _kill_group(process.pid)

    def kill(self) -> None:
        self._stopping = True
        if self._process is not None:
            _kill_group(self._process.pid)

    async def _spawn(self) -> ProgramProcess:
        self._process = await self.spawn(self.program)
        return self._process

    async def _keep_alive(self, process: ProgramProcess) -> None:
        while True:
            code = await process.wait()
            _kill_group(process.pid)  # kill the processes that the program started
            if self._stopping:
                return
            revived = await self._revive(f"died by {_cause(code)}")
            if revived is None:
                return
            process = revived

    async def _revive(self, how: str) -> ProgramProcess | None:
        """Start the program again after a pause. `how` says how it ended. Return None if it is given up."""
        while True:
            pause = self._count_death(how)
            if pause is None:
                return None
            await asyncio.sleep(pause)
            try:
                return await self._spawn()
            except OSError as error:
                how = f"can't be started again: {error}"
                if not self.obstacle():
                    self._give_up(f"{self.program.name} died and {how}.")
                    return None

    def _count_death(self, how: str) -> float | None:
        """Return the pause in seconds before the program is started again. Return None if it is given up.

        Deaths during an obstacle don't count. The operator is told of an obstacle only once.
        """
        name = self.program.name
        if obstacle := self.obstacle():
            if not self._excused:
                self.say(f"{name} {how}, because {obstacle}. It is started again until it can go on.")
            self._excused = min(self._excused + 1, 10)  # a larger power of two would exceed the longest pause anyway
            self._deaths = []
            return min(0.1 * float(1 << self._excused), MAX_PAUSE_SECONDS)
        self._excused, now = 0, time.monotonic()
        self._deaths = [*(death for death in self._deaths if death > now - DEATHS_SECONDS), now]
        if len(self._deaths) >= DEATHS:
            cause = how.removeprefix("died by ")
            self._give_up(f"{name} died {DEATHS} times within a minute, last by {cause}.")
            return None
        self.say(f"{name} {how} and is started again.")
        return 0.1 * float(1 << (len(self._deaths) - 1))

    def _give_up(self, sentence: str) -> None:
        if not self.lost.done():
            self.lost.set_result(self._lost_error(sentence))

    def _check_start(self, process: ProgramProcess, seconds: float, within_seconds: float) -> None:
        if process.returncode is not None:
            raise self._lost_error(f"{self.program.name} ended while starting, by {_cause(process.returncode)}.")
        if seconds > within_seconds:
            raise self._lost_error(f"{self.program.name} wasn't ready within {within_seconds:.0f} seconds.")

    def _lost_error(self, sentence: str) -> ProcessLostError:
        log = self.program.log
        if log is None or not log.exists():
            return ProcessLostError(sentence)
        last = log.read_bytes()[-4000:].decode(errors="replace").splitlines()[-10:]
        return ProcessLostError("\n".join([f"{sentence} The end of {log}:", *(f"  {line[:300]}" for line in last)]))


async def is_listening(port: int) -> bool:
    """Return whether a process accepts connections on this port of loopback."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def start_together(starts: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Start several children concurrently. If one fails, stop the others and raise its error.

    The error is usually a `ProcessLostError`.
    """
    with collapse_exception_groups():
        async with asyncio.TaskGroup() as group:
            for start in starts:
                group.create_task(start)


def trim_log(log: Path) -> None:
    """If a log is larger than 16 MiB, copy it to `NAME.1` and empty it. A program can keep writing to the log.

    If there is no space for the copy, its newest lines are lost: the log must not fill the disk.
    """
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_BYTES:
            with contextlib.suppress(OSError):
                shutil.copy(log, log.with_name(f"{log.name}.1"))
            os.truncate(log, 0)


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _cause(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
