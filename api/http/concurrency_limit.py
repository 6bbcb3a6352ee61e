"""Limit how many requests are in progress, and how long a request may take."""

import asyncio
import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.refusal_response import send_refusal
from schema.core.refusals import Refusal, RefusalCode

REQUEST_SECONDS = 30.0
MAX_CONCURRENT = 256
LOOK_SECONDS = 1.0
"""How often a request in a queue is looked after. Its own queue bounds its wait."""

log = structlog.get_logger(__name__)
_slot: ContextVar["_Slot | None"] = ContextVar("slot", default=None)


@contextlib.contextmanager
def release_slot() -> Iterator[None]:
    """Give the slot of this request to others while it does nothing but wait in a queue, which has limits of its own.

    The time does not count as time of the request. At the end of the block the request takes a slot again, even if
    all are taken, because the queue lets only few go on at once.
    """
    slot = _slot.get()
    if slot is None:
        yield
        return
    slot.leave()
    try:
        yield
    finally:
        slot.take()


class ConcurrencyLimitMiddleware:
    """Serve at most `limit` requests at once, each for at most `seconds`. Otherwise answer 503 with Retry-After.

    A request that takes too long is answered but not cancelled. The request keeps its slot until it ends. It does end,
    because every call that it waits for has a timeout. Cancelling could leave a transaction half done. It could also
    hang PyMongo's asynchronous client, because a call that is cancelled during server selection can keep a lock for
    ever. The caller can't know whether the request took effect. So the caller sends the request again. This is safe,
    because the ids in the request are idempotency keys.

    A request that waits in a queue has no slot, and its time stands still: see `release_slot`. Paths in `exempt` have no
    limit. Paths that begin with one of `streamed` may take as long as they need, and limit the number of their requests
    themselves.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limit: int = MAX_CONCURRENT,
        seconds: float = REQUEST_SECONDS,
        exempt: frozenset[str] = frozenset(),
        streamed: tuple[str, ...] = (),
    ) -> None:
        self.app = app
        self.limit = limit
        self.seconds = seconds
        self.exempt = exempt
        self.streamed = streamed
        self.in_progress = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self.exempt or scope["path"].startswith(self.streamed):
            await self.app(scope, receive, send)
            return
        if self.in_progress >= self.limit:
            await send_refusal(Refusal(RefusalCode.BUSY), 503, scope, receive, send)
            return
        response = _Response(send)
        slot = _Slot(self)
        _slot.set(slot)
        task = asyncio.ensure_future(self.app(scope, receive, response.send))
        task.add_done_callback(slot.end)
        try:
            done = await slot.wait(task)
        except asyncio.CancelledError:
            task.cancel()  # the server is shutting down
            raise
        if done:
            await task
            return
        task.add_done_callback(_log_error)
        response.is_cut = True
        if not response.has_begun:
            refusal = Refusal(RefusalCode.UNAVAILABLE, "This took too long. It may have worked: send it again.")
            await send_refusal(refusal, 503, scope, receive, send)


class _Slot:
    """The slot of a request. While the request waits in a queue, it has no slot, and its time stands still."""

    def __init__(self, limit: ConcurrencyLimitMiddleware) -> None:
        self._limit = limit
        self._clock = asyncio.get_running_loop().time
        self._deadline = self._clock() + limit.seconds
        self._left_at: float | None = None
        limit.in_progress += 1

    async def wait(self, task: "asyncio.Future[None]") -> bool:
        """Wait until the request ends or has used up its time. Return whether it has ended."""
        while not task.done():
            left = self._deadline - self._clock() if self._left_at is None else LOOK_SECONDS
            if left <= 0:
                return False
            await asyncio.wait({task}, timeout=left)
        return True

    def leave(self) -> None:
        self._left_at = self._clock()
        self._limit.in_progress -= 1

    def take(self) -> None:
        if self._left_at is not None:
            self._deadline += self._clock() - self._left_at
        self._left_at = None
        self._limit.in_progress += 1

    def end(self, _: "asyncio.Future[None]") -> None:
        self._limit.in_progress -= 1


class _Response:
    """A response that can be cut off. After that, further messages are dropped."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_begun = False
        self.is_cut = False

    async def send(self, message: Message) -> None:
        if not self.is_cut:
            self.has_begun = True
            await self._send(message)


def _log_error(task: asyncio.Future[None]) -> None:
    """Log the error of a request that was already answered, because nobody else will see this error."""
    if not task.cancelled() and (error := task.exception()):
        log.error("fault", field=None, exc_info=error)
