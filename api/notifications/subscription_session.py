"""Start subscriptions for both transports, WebSocket and server-sent events.

This covers trusted documents, limits, quotas of open streams, and the form in which callers see results and errors.
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
EXCEEDED = frozenset({RefusalCode.LIMIT_EXCEEDED.value})
Errors = list[dict[str, Any]]


class SubscriptionRejectedError(Exception):
    """Raised if a subscription was not started. `shown` has the errors in the form that the caller sees."""

    def __init__(self, shown: Errors) -> None:
        super().__init__("rejected")
        self.shown = shown


@dataclass
class StreamQuota:
    """Limits the number of open streams in this process.

    A WebSocket counts as one stream, even if it carries several subscriptions.
    """

    max_per_person: int
    max_total: int
    open_streams: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def hold(self, user_id: str) -> Iterator[None]:
        """Count one open stream of a person while the block runs.

        Raise `Refusal(LIMIT_EXCEEDED)` if the person has too many open streams, and `Refusal(BUSY)` if the whole
        process has too many.
        """
        if self.open_streams.total() >= self.max_total:
            raise Refusal(RefusalCode.BUSY)
        if self.open_streams[user_id] >= self.max_per_person:
            raise Refusal(RefusalCode.LIMIT_EXCEEDED, f"At most {self.max_per_person} streams of one person at once.")
        self.open_streams[user_id] += 1
        try:
            yield
        finally:
            self.open_streams[user_id] -= 1
            self.open_streams += Counter()  # drops people without a stream


@dataclass
class SubscriptionService:
    """What is needed to start subscriptions.

    `context_for` makes the context of a subscription from the viewer, the time, the stream and the contract level.
    """

    schema: strawberry.Schema
    documents: TrustedDocuments
    dispatcher: EventDispatcher
    authenticator: Authenticator
    quota: StreamQuota
    context_for: Callable[[Authenticated, datetime, SubscriptionStream, int | None], Context]
    heartbeat_seconds: float
    flat: bool = False

    async def stop(self) -> None:
        """End every stream.

        Wait briefly until all streams have sent the reason, because a stopping server cuts off WebSockets.
        """
        self.dispatcher.stop()
        with anyio.move_on_after(FAREWELL_SECONDS):
            while self.quota.open_streams.total():  # noqa: ASYNC110  a moment, once in a process
                await anyio.sleep(0.02)

    async def start(
        self,
        payload: Payload,
        authenticated: Authenticated,
        *,
        level: int | None = None,
        resumed_after: str | None = None,
    ) -> "ActiveSubscription":
        """Start a subscription and read its first result. Raise `SubscriptionRejectedError` if this fails."""
        try:
            return await self._start(payload, authenticated, level, resumed_after)
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

    async def _start(
        self, payload: Payload, authenticated: Authenticated, level: int | None, resumed_after: str | None
    ) -> "ActiveSubscription":
        resolved = self.documents.resolve(payload)
        if resolved.unfit:
            raise MalformedRequestError(partial_batches.UNFIT)
        viewer = await self.authenticator.refresh(authenticated)
        if viewer is None:
            raise Refusal(RefusalCode.SESSION_ENDED)
        refreshed = Authenticated(viewer, authenticated.expires_at, authenticated.session_id)
        stream = SubscriptionStream(self.dispatcher, self.authenticator, refreshed, resumed_after)
        results: Any = await self.schema.stream(
            resolved.query,
            variable_values=resolved.variables,
            context_value=self.context_for(refreshed, clock(), stream, level),
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
        graphql_errors = first.errors if first is not None else ()
        causes = [getattr(error, "original_error", None) for error in graphql_errors]
        if any(isinstance(cause, InvalidOperationTypeError) for cause in causes):
            return [errors.caller_error("Only subscriptions run as a stream. Send queries and mutations to /graphql.")]
        if any(isinstance(cause, CannotGetOperationTypeError) for cause in causes):
            return [errors.caller_error("The document has no operation of that name.")]
        return errors.format_errors(graphql_errors, flat=self.flat)


class ActiveSubscription:
    def __init__(self, stream: SubscriptionStream, first: Any, results: Any, *, flat: bool) -> None:
        self.stream = stream
        self._first = first
        self._results = results
        self._flat = flat

    async def responses(self) -> AsyncGenerator[tuple[dict[str, Any], str | None], None]:
        """Yield pairs of a result, in the form that the caller sees, and the cursor to resume from after this result.

        A cursor of None means that the previous cursor remains valid. If a part of the service is down, or if a result
        takes more work than allowed, the stream ends. The caller then connects again and gets this result again.
        """
        result = self._first
        while result is not None:
            body: dict[str, Any] = {"data": result.data}
            if result.errors:
                body["errors"] = errors.format_errors(result.errors, flat=self._flat)
                codes = {error["extensions"]["code"] for error in body["errors"]}
                if not PASSING.isdisjoint(codes) or (result.data is None and codes == EXCEEDED):
                    yield body, None
                    return
            yield body, self.stream.cursor if self.stream.ended is None else None
            result = await anext(self._results, None)

    async def aclose(self) -> None:
        """Close the stream. The caller of `start` must call this, even if it reads nothing."""
        self.stream.close()
        await self._results.aclose()
