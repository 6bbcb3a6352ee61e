"""Start programs through a fork server, and follow the processes that it forks."""

import asyncio
import json
import os
import signal
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from storage.processes.programs import Program, ProgramProcess, execute, open_log

_MAX_BYTES = 64 * 1024


@dataclass(frozen=True)
class ForkedProcess:
    """A process that the fork server has forked. `ended` gets its exit code."""

    pid: int
    ended: "asyncio.Future[int]"

    @property
    def returncode(self) -> int | None:
        return self.ended.result() if self.ended.done() else None

    async def wait(self) -> int:
        return await asyncio.shield(self.ended)


class Forks:
    """The parent's end of the connection to its fork server, which can run the programs of `modules`.

    Use it within the event loop only.
    """

    def __init__(self, connection: socket.socket, modules: Sequence[str]) -> None:
        self._connection = connection
        self._modules = frozenset(modules)
        self._answers: deque[asyncio.Future[ForkedProcess]] = deque()
        """The answers to the requests under way. The fork server answers in the order of the requests."""
        self._running: dict[int, ForkedProcess] = {}
        self._received = b""
        self._is_lost = False
        asyncio.get_running_loop().add_reader(connection, self._receive)

    async def start(self, program: Program) -> ProgramProcess:
        """Start a program `python -P -m MODULE ARGUMENTS`. Execute it if the fork server has died.

        If the caller is cancelled, the process is killed. Raise `OSError` if the program can't be started.
        """
        if not self._is_lost and program.command[3] in self._modules:
            try:
                return await self._fork(program)
            except ConnectionError:
                self._lose()
        return await execute(program)

    def close(self) -> None:
        """End the fork server. The kernel then ends the processes that it has forked."""
        self._lose()

    async def _fork(self, program: Program) -> ForkedProcess:
        request = {
            "command": list(program.command),
            "environment": dict(program.environment),
            "folder": str(program.folder),
        }
        with ExitStack() as files:
            passed = {number: number for number in program.passed}
            if program.log is not None:
                output = files.enter_context(open_log(program.log)).fileno()
                passed |= {1: output, 2: output}
            line = json.dumps(request | {"descriptors": list(passed)}).encode() + b"\n"
            sent = socket.send_fds(self._connection, [line], list(passed.values()))
            self._connection.sendall(line[sent:])
        answer: asyncio.Future[ForkedProcess] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        return await answer

    def _receive(self) -> None:
        """Read what the fork server has told."""
        try:
            data = self._connection.recv(_MAX_BYTES)
        except ConnectionError:
            data = b""
        if not data:
            self._lose()
            return
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            told = json.loads(line)
            if "code" in told:
                self._running.pop(told["pid"]).ended.set_result(told["code"])
            else:
                self._answer(told)

    def _answer(self, told: dict[str, Any]) -> None:
        """Give the oldest request its answer. Kill a process that its caller no longer waits for."""
        answer = self._answers.popleft()
        if "started" in told:
            process = ForkedProcess(told["started"], asyncio.get_running_loop().create_future())
            self._running[process.pid] = process
            if answer.cancelled():
                os.kill(process.pid, signal.SIGKILL)
            else:
                answer.set_result(process)
        elif not answer.cancelled():
            answer.set_exception(OSError(told["error"]))

    def _lose(self) -> None:
        """Give the fork server up. The kernel ends the processes that it has forked."""
        if self._is_lost:
            return
        self._is_lost = True
        asyncio.get_running_loop().remove_reader(self._connection)
        self._connection.close()
        for process in self._running.values():
            process.ended.set_result(-signal.SIGKILL)
        for answer in self._answers:
            if not answer.cancelled():
                answer.set_exception(ConnectionResetError("The fork server has died."))
        self._running.clear()
        self._answers.clear()
