"""Start programs through a fork server, and follow the processes that it forks."""

import asyncio
import json
import os
import signal
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from storage.processes.fork_server import ForkServer
from storage.processes.programs import Program, ProgramProcess, execute, open_log

_MAX_BYTES = 64 * 1024
ANSWER_SECONDS = 10.0
"""How long the fork server may take to answer. It answers within milliseconds, unless somebody stopped it."""


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
    """The programs of `modules` that a fork server runs.

    A fork server that does not answer within `answer_seconds` is killed. Use this within the event loop only.
    """

    def __init__(self, server: ForkServer, modules: Sequence[str]) -> None:
        self.answer_seconds = ANSWER_SECONDS
        self._server = server
        self._connection = server.connection
        self._modules = frozenset(modules)
        self._answers: deque[asyncio.Future[ForkedProcess]] = deque()
        """The answers to the requests under way. The fork server answers in the order of the requests."""
        self._running: dict[int, ForkedProcess] = {}
        self._received = b""
        self._is_lost = False
        asyncio.get_running_loop().add_reader(self._connection, self._receive)

    async def start(self, program: Program) -> ProgramProcess:
        """Start a program `python -P -m MODULE ARGUMENTS`. Execute it if the fork server has died or does not answer.

        If the caller is cancelled, the process is killed. Raise `OSError` if the program can't be started.
        """
        if not self._is_lost and program.command[3] in self._modules:
            try:
                return await self._fork(program)
            except (ConnectionError, TimeoutError):
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
        async with asyncio.timeout(self.answer_seconds):
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
            self._watch(process)
            if answer.cancelled():
                os.kill(process.pid, signal.SIGKILL)
            else:
                answer.set_result(process)
        elif not answer.cancelled():
            answer.set_exception(OSError(told["error"]))

    def _watch(self, process: ForkedProcess) -> None:
        """Expect the fork server to tell within `answer_seconds` after the process has ended."""
        loop = asyncio.get_running_loop()

        def expect_code() -> None:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            loop.call_later(self.answer_seconds, lose_unless_told)

        def lose_unless_told() -> None:
            if not process.ended.done():
                self._lose()

        with suppress(OSError):  # it has ended already, or the kernel can't tell
            descriptor = os.pidfd_open(process.pid)
            loop.add_reader(descriptor, expect_code)

    def _lose(self) -> None:
        """Give the fork server up, and kill it. The kernel then ends the processes that it has forked."""
        if self._is_lost:
            return
        self._is_lost = True
        with suppress(ProcessLookupError):
            os.kill(self._server.pid, signal.SIGKILL)
        asyncio.get_running_loop().remove_reader(self._connection)
        self._connection.close()
        for process in self._running.values():
            process.ended.set_result(-signal.SIGKILL)
        for answer in self._answers:
            if not answer.cancelled():
                answer.set_exception(ConnectionResetError("The fork server has died."))
        self._running.clear()
        self._answers.clear()
