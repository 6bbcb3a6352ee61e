"""Subscribing: what both transports of subscriptions share: documents, limits, seats, and results as callers see them.

How results travel is left to `sockets.py` and `event_streams.py`, what they tell to `streams.py`.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import anyio
import strawberry
from graphql import GraphQLError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from api.accounts.authentication import Authenticated, Authenticator
from api.graphql import partial_batches
from api.graphql.context import Context, clock
from api.graphql.requests import MalformedRequestError, Payload
from api.graphql.trusted_documents import TrustedDocuments
from api.http import errors
from api.notifications.event_dispatcher import EventDispatcher
from api.notifications.subscription_stream import SubscriptionStream
from schema.core.refusals import Refusal, RefusalCode

FAREWELL_SECONDS = 2.0
PASSING = frozenset({RefusalCode.UNAVAILABLE.value, RefusalCode.BUSY.value})
Errors = list[dict[str, Any]]


class SubscriptionRejectedError(Exception):
    """The operation was not begun; `shown` are its errors as the caller sees them."""

    def __init__(self, shown: Errors) -> None:
        super().__init__("rejected")
        self.shown = shown


@dataclass
class StreamQuota:
    """How many streams are open in this process, by person; a ws connection counts as one, whatever runs over it."""

    per_person: int
    most: int
    taken: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def taking(self, user_id: str) -> Iterator[None]:
        """Raise `Refusal(LIMIT_EXCEEDED)` where the person has too many open, `Refusal(BUSY)` where all have."""
        if self.taken.total() >= self.most:
            raise Refusal(RefusalCode.BUSY)
        if self.taken[user_id] >= self.per_person:
            raise Refusal(RefusalCode.LIMIT_EXCEEDED, f"At most {self.per_person} streams of one person at once.")
        self.taken[user_id] += 1
        try:
            yield
        finally:
            self.taken[user_id] -= 1
            self.taken += Counter()  # forgets those who have none


@dataclass
class SubscriptionService:
    """`context_for` makes the context of one subscription, by viewer, time, stream and level of the contract."""

    schema: strawberry.Schema
    documents: TrustedDocuments
    board: EventDispatcher
    authenticator: Authenticator
    seats: StreamQuota
    context_for: Callable[[Authenticated, datetime, SubscriptionStream, int | None], Context]
    heartbeat_seconds: float
    flat: bool = False

    async def stop(self) -> None:
        """End every stream, and wait a moment for them to say why: a server that stops cuts WebSockets off at once."""
        self.board.stop()
        with anyio.move_on_after(FAREWELL_SECONDS):
            while self.seats.taken.total():  # noqa: ASYNC110  a moment, once in a process
                await anyio.sleep(0.02)

    async def begin(
        self, payload: Payload, admission: Authenticated, *, level: int | None = None, resumed_after: str | None = None
    ) -> "ActiveSubscription":
        """Begin a subscription. Raise `SubscriptionRejectedError` with typed errors; nothing has run then."""
        try:
            return await self._begun(payload, admission, level, resumed_after)
        except MalformedRequestError as error:
            raise SubscriptionRejectedError([errors.caller_error(str(error))]) from None
        except Refusal as refusal:
            raise SubscriptionRejectedError([errors.refusal_error(refusal)]) from None
        except GraphQLError as error:
            raise SubscriptionRejectedError(errors.format_errors([error], flat=self.flat)) from None
        except SubscriptionRejectedError:
            raise
        except Exception as error:
            raise SubscriptionRejectedError([errors.mask_error(error)]) from error

    async def _begun(
        self, payload: Payload, admission: Authenticated, level: int | None, resumed_after: str | None
    ) -> "ActiveSubscription":
        resolved = self.documents.resolve(payload)
        if resolved.unfit:
            raise MalformedRequestError(partial_batches.UNFIT)
        viewer = await self.authenticator.refresh(admission)
        if viewer is None:
            raise Refusal(RefusalCode.SESSION_ENDED)
        now_admitted = Authenticated(viewer, admission.expires_at, admission.session_id)
        stream = SubscriptionStream(self.board, self.authenticator, now_admitted, resumed_after)
        results: Any = await self.schema.stream(
            resolved.query,
            variable_values=resolved.variables,
            context_value=self.context_for(now_admitted, clock(), stream, level),
            operation_name=resolved.operation_name,
            allowed_operation_types={OperationType.SUBSCRIPTION},
        )
        try:
            first = await anext(results, None)
        except BaseException:
            stream.close()
            raise
        if first is None or isinstance(first, PreExecutionError) or (first.data is None and first.errors):
            await results.aclose()
            raise SubscriptionRejectedError(self._rejections(first))
        return ActiveSubscription(stream, first, results, flat=self.flat)

    def _rejections(self, first: Any) -> Errors:
        found = first.errors if first is not None else ()
        causes = [getattr(error, "original_error", None) for error in found]
        if any(isinstance(cause, InvalidOperationTypeError) for cause in causes):
            return [errors.caller_error("Only subscriptions come as a stream: send queries and mutations to /graphql.")]
        if any(isinstance(cause, CannotGetOperationTypeError) for cause in causes):
            return [errors.caller_error("The document has no operation of that name.")]
        return errors.format_errors(found, flat=self.flat)


class ActiveSubscription:
    """A subscription under way."""

    def __init__(self, stream: SubscriptionStream, first: Any, results: Any, *, flat: bool) -> None:
        self.stream = stream
        self._first = first
        self._results = results
        self._flat = flat

    async def answers(self) -> AsyncGenerator[tuple[dict[str, Any], str | None], None]:
        """Each result as the caller sees it, and the cursor to go on from once it has arrived; None to stay.

        What could not be read because a part of the service is down ends the stream, to be told to whoever comes again.
        """
        result = self._first
        while result is not None:
            body: dict[str, Any] = {"data": result.data}
            if result.errors:
                body["errors"] = errors.format_errors(result.errors, flat=self._flat)
                if not PASSING.isdisjoint(each["extensions"]["code"] for each in body["errors"]):
                    yield body, None
                    return
            yield body, self.stream.cursor if self.stream.ended is None else None
            result = await anext(self._results, None)

    async def aclose(self) -> None:
        """Whoever began it closes it, also without having read it."""
        self.stream.close()
        await self._results.aclose()
