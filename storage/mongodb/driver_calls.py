"""Run every call of the database driver to its end, even if its caller is cancelled.

A cancelled call can hang PyMongo's asynchronous client for good: if the call was selecting a server, it may keep a lock
that every other call needs. Motor can't cancel a call at all: the call goes on in a thread, while its session is used
again. So a cancelled caller waits until its call has ended. The driver's timeouts end every call.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from itertools import count
from typing import Any, ParamSpec, TypeVar

import anyio

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C")


@dataclass
class CallProgress:
    """The number of driver calls that have ended in a piece of work."""

    ended: int = 0


_PROGRESS: ContextVar[CallProgress | None] = ContextVar("call_progress", default=None)
_NUMBERS = count(1)
_OPEN: set[int] = set()


def begin_progress() -> CallProgress:
    """Count the driver calls of this task, and of the tasks that it starts, from now on."""
    progress = CallProgress()
    _PROGRESS.set(progress)
    return progress


def open_calls() -> frozenset[int]:
    """Return the numbers of all driver calls of this process that have not ended. Each call has its own number."""
    return frozenset(_OPEN)


async def run_to_end(call: Coroutine[Any, Any, T], *, may_last: bool = False) -> T:
    """Run a call of the driver in its own task. If the caller is cancelled, raise this only after the call has ended.

    `may_last` excludes a call that can take hours from `open_calls`.
    """
    loop = asyncio.get_running_loop()
    # A cancelled caller cancels what it awaits, so it awaits this future instead of the task.
    ended: asyncio.Future[None] = loop.create_future()
    task = loop.create_task(_run(call, ended, may_last=may_last))
    try:
        await ended
    except asyncio.CancelledError:
        if not task.done():
            await _wait_despite_cancellation(task)
        if not task.cancelled():
            task.exception()  # so that asyncio does not log an error that nobody asked for
        raise
    return task.result()


async def _run(call: Coroutine[Any, Any, T], ended: "asyncio.Future[None]", *, may_last: bool) -> T:
    number, progress = next(_NUMBERS), _PROGRESS.get()
    if not may_last:
        _OPEN.add(number)
    try:
        return await call
    finally:
        _OPEN.discard(number)
        if progress:
            progress.ended += 1
        if not ended.done():
            ended.set_result(None)


async def _wait_despite_cancellation(task: "asyncio.Task[Any]") -> None:
    """Wait for the task, even if the caller is cancelled again and again."""
    # Without the shield, anyio would cancel again in every turn of the event loop.
    with anyio.CancelScope(shield=True):
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])


def uncancelled(*, lasting: str = "") -> Callable[[type[C]], type[C]]:
    """Decorate a class that calls the driver, so that nobody can cancel its public coroutine methods.

    See `run_to_end`. `lasting` names a method that can take hours.
    """

    def decorate(cls: type[C]) -> type[C]:
        for name, method in list(vars(cls).items()):
            if inspect.iscoroutinefunction(method) and not name.startswith("_"):
                setattr(cls, name, _wrap(method, may_last=name == lasting))
        return cls

    return decorate


def _wrap(method: Callable[P, Coroutine[Any, Any, T]], *, may_last: bool) -> Callable[P, Coroutine[Any, Any, T]]:
    @wraps(method)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return await run_to_end(method(*args, **kwargs), may_last=may_last)

    return run


async def await_if_needed(result: Any) -> Any:
    """Await the result if it is awaitable. PyMongo returns awaitable sessions, streams and cursors, Motor does not."""
    return await result if hasattr(result, "__await__") else result


@uncancelled()
class RawChangeStream:
    """A change stream of either driver, whose calls nobody can cancel."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    @property
    def alive(self) -> bool:
        return bool(self._stream.alive)

    @property
    def resume_token(self) -> dict[str, Any] | None:
        token: dict[str, Any] | None = self._stream.resume_token
        return token

    async def try_next(self) -> dict[str, Any] | None:
        """Return the next change, or None if no change comes within the stream's waiting time."""
        change: dict[str, Any] | None = await self._stream.try_next()
        return change

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        """Yield changes until the server ends the stream."""
        while self.alive:
            if (change := await self.try_next()) is not None:
                yield change


@asynccontextmanager
async def open_stream(watch: Callable[[], Any]) -> AsyncIterator[RawChangeStream]:
    """Open the change stream that `watch` returns. Leaving the block closes it."""
    opened = AsyncExitStack()

    async def enter() -> Any:
        return await opened.enter_async_context(await await_if_needed(watch()))

    try:
        yield RawChangeStream(await run_to_end(enter()))
    finally:  # also if the caller was cancelled while the stream was being opened
        await run_to_end(opened.aclose())
