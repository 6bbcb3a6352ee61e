"""Read media in a confined child process with limited time and memory. If it crashes, only its current file fails."""

import contextlib
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import PIPE
from types import TracebackType
from typing import Any, Self

import anyio
import orjson
from anyio.abc import ByteSendStream, Process
from anyio.streams.buffered import BufferedByteReceiveStream

from storage.formats.result_validation import is_plausible
from storage.formats.results import A, Damage, ReadResult, from_json

_ROOT = Path(__file__).parents[2]
_ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")
_LIBRARIES = {"OPENBLAS_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1"}
"""Makes NumPy use one thread, because each thread would reserve address space, and the child's address space is limited.

Also keeps ONNX Runtime from reporting its use to its maker, which the child could not reach anyway.
"""
_START_SECONDS = 30.0
_REPLY_BYTES = 32 * 2**20
_BROKEN = (ConnectionError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.IncompleteRead, ValueError)
"""The errors by which a child shows that it has ended, or that it answers nonsense."""


class DecoderUnavailableError(Exception):
    """The child process does not start.

    The machine is at fault, not the file, so the file should be tried again later.
    """


class Sandbox:
    """One child process that runs one of `functions` on one file at a time. Use several sandboxes to work in parallel.

    A function is named `module:function`, takes a `MediaSource` as its first argument, and returns one of the result
    classes. The child starts on demand. Use the sandbox as an async context manager: leaving the context ends the child.
    On Linux a child never outlives its parent, and `confine` says what it can reach: this process opens the files for
    it. The child can open only its libraries and `readable` files by itself.
    """

    def __init__(self, *functions: str, seconds: float, memory_bytes: int, readable: Sequence[Path] = ()) -> None:
        self._functions, self._readable = functions, readable
        self._seconds, self._memory_bytes = seconds, memory_bytes
        self._child: _Child | None = None
        self._turn = anyio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    @property
    def pid(self) -> int | None:
        """Return the process id of the child, or None if no child is running."""
        return self._child.process.pid if self._child else None

    async def _run(self, kind: type[A], work: str, path: Path, *more: Any, into: Path | None = None) -> A:
        """Run the function `work` on the file at `path`. It writes to the file at `into`, which is created.

        Raise `OSError` if the file can't be opened.
        """
        with _opened(path, into) as descriptors:
            answered = False
            try:
                child = await self._ready()
                try:
                    with anyio.fail_after(self._seconds):
                        socket.send_fds(child.channel, [b"+"], descriptors)
                        await child.requests.send(orjson.dumps([work, *more]) + b"\n")
                        size = int.from_bytes(await child.replies.receive_exactly(4))
                        if size > _REPLY_BYTES:
                            return kind(damage=Damage.CRASHED)
                        answer = from_json(await child.replies.receive_exactly(size), kind)
                except TimeoutError:
                    return kind(damage=Damage.TIMED_OUT)
                except _BROKEN:
                    return kind(damage=Damage.CRASHED)
                answered = True
                return answer
            finally:
                # Also when cancelled: a late answer would be taken for the next picture's.
                if not answered:
                    await self._end()

    async def _ready(self) -> "_Child":
        if self._child is not None and _has_ended(self._child.process):
            await self._end()
        if self._child is None:
            self._child = await self._start()
            try:
                with anyio.fail_after(_START_SECONDS):
                    await self._child.replies.receive_exactly(1)
            except (TimeoutError, anyio.BrokenResourceError, anyio.IncompleteRead) as error:
                raise DecoderUnavailableError("The process that decodes pictures does not start.") from error
        return self._child

    async def _start(self) -> "_Child":
        channel, childs_end = socket.socketpair()
        readable = orjson.dumps([os.fspath(path) for path in self._readable]).decode()
        with childs_end:
            try:
                process = await self._spawn(childs_end.fileno(), readable)
            except BaseException:
                channel.close()
                raise
        if process.stdin is None or process.stdout is None:
            raise DecoderUnavailableError("The process that decodes pictures has no pipes.")
        channel.settimeout(0)
        return _Child(process, process.stdin, BufferedByteReceiveStream(process.stdout), channel)

    async def _spawn(self, channel: int, readable: str) -> Process:
        return await anyio.open_process(
            [
                *(sys.executable, "-m", "storage.formats.sandbox_child"),
                *(str(os.getpid()), str(self._memory_bytes), str(channel), readable, *self._functions),
            ],
            stdin=PIPE,
            stdout=PIPE,
            stderr=None,
            cwd=_ROOT,
            # No secrets: hostile bytes may take over the child.
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | _LIBRARIES,
            pass_fds=[channel],
        )

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.channel.close()
            with anyio.CancelScope(shield=True):
                with contextlib.suppress(ProcessLookupError):
                    child.process.kill()
                await child.process.aclose()


class Decoder(Sandbox):
    """Reads media. `work` names the function that the child runs on a path.

    `facts` names the function that the child runs if `work` fails. Both functions return a `ReadResult`.
    """

    def __init__(
        self,
        *,
        work: str = "storage.formats.reader:examine",
        facts: str = "storage.formats.reader:read_facts",
        seconds: float = 20.0,
        memory_bytes: int = 1536 * 2**20,
    ) -> None:
        super().__init__(work, facts, seconds=seconds, memory_bytes=memory_bytes)
        self._work, self._facts = work, facts

    async def examine(self, path: Path) -> ReadResult:
        """Read facts and thumbnails. Report a crash, a hang or a decompression bomb as `damage`.

        If the child crashes, hangs or runs out of memory, a second run reads the facts without decoding pixels.
        Raise `DecoderUnavailableError` if no child can be started, `OSError` if the path can't be read.
        """
        async with self._turn:
            picture = await self._run_checked(self._work, path)
            if picture.damage in {Damage.TIMED_OUT, Damage.CRASHED, Damage.OUT_OF_MEMORY}:
                facts = await self._run_checked(self._facts, path)
                picture = replace(facts, damage=picture.damage)
            return picture

    async def _run_checked(self, work: str, path: Path) -> ReadResult:
        """Return the child's answer if a reader can have produced it.

        Otherwise report CRASHED and end the child, because hostile bytes have taken over a child that answers so.
        """
        picture = await self._run(ReadResult, work, path)
        if is_plausible(picture):
            return picture
        await self._end()
        return ReadResult(damage=Damage.CRASHED)


@dataclass(frozen=True)
class _Child:
    process: Process
    requests: ByteSendStream
    replies: BufferedByteReceiveStream
    channel: socket.socket


@contextlib.contextmanager
def _opened(path: Path, into: Path | None) -> Iterator[list[int]]:
    """Open the file to read and create the file to write during the block. Yield their descriptors."""
    with contextlib.ExitStack() as opened:
        descriptors = [os.open(path, os.O_RDONLY | os.O_CLOEXEC)]
        opened.callback(os.close, descriptors[0])
        if into is not None:
            descriptors.append(os.open(into, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            opened.callback(os.close, descriptors[1])
        yield descriptors


def _has_ended(process: Process) -> bool:
    """Ask the kernel whether the process has ended. The event loop may notice it too late for the next file."""
    try:
        ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # the event loop has already reaped it
        return True
    return ended is not None or process.returncode is not None
