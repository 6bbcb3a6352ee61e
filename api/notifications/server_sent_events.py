"""Serve subscriptions as server-sent events, one subscription per request.

The protocol is graphql-sse in "distinct connections mode", see https://github.com/enisdenjo/graphql-sse. The `id:` of
an event is its cursor. So a client that connects again with `Last-Event-ID` resumes where the connection broke.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

import anyio
import orjson
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from api.accounts.authentication import Authenticated
from api.graphql import requests
from api.graphql.context import clock
from api.graphql.requests import MalformedRequestError, Payload
from api.http import responses
from api.http.contract_level import HEADER, parse_level
from api.http.errors import caller_error, mask_error, refusal_error
from api.notifications.subscription_session import ActiveSubscription, SubscriptionRejectedError, SubscriptionService
from api.notifications.websocket_operations import CLOSED_BY, STALL_SECONDS
from api.telemetry import tracing
from schema.core.refusals import Refusal, RefusalCode

PATH = "/graphql/stream"
EVENT_STREAM = "text/event-stream"
RETRY = b"retry: 3000\n\n"
BEAT = b":\n\n"
HEADERS = {
    "content-type": f"{EVENT_STREAM}; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # otherwise nginx buffers the events
}


class EventStreamEndpoint:
    """An ASGI application for the path `PATH`."""

    def __init__(self, subscriptions: SubscriptionService) -> None:
        self.subscriptions = subscriptions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            payload = await _read_payload(request)
            authenticated = await self._authenticate(request)
            with self.subscriptions.quota.hold(authenticated.viewer.user_id):
                subscription = await self._start(request, payload, authenticated)
                await _stream(subscription, self.subscriptions.heartbeat_seconds, receive, send)
                return
        except MalformedRequestError as error:
            headers = {"Allow": error.allow} if error.allow else None
            shown, status = [caller_error(str(error))], error.status
        except Refusal as refusal:
            headers, shown, status = None, [refusal_error(refusal)], None
        except SubscriptionRejectedError as rejected:
            headers, shown, status = None, rejected.shown, None
        response = responses.error_response(shown, media_type=responses.GRAPHQL_JSON, status=status, headers=headers)
        await response(scope, receive, send)

    async def _authenticate(self, request: Request) -> Authenticated:
        authorization = request.headers.get("authorization")
        if authorization is None:
            raise Refusal(RefusalCode.UNAUTHENTICATED)
        return await self.subscriptions.authenticator.authenticate(authorization, clock())

    async def _start(self, request: Request, payload: Payload, authenticated: Authenticated) -> ActiveSubscription:
        tracing.current().operation = "subscription"
        return await self.subscriptions.start(
            payload,
            authenticated,
            level=parse_level(request.headers.get(HEADER)),
            # `Last-Event-ID` is newer than `since` in the variables: a client sends its variables again unchanged.
            resumed_after=request.headers.get("last-event-id") or None,
        )


async def _read_payload(request: Request) -> Payload:
    """Return the GraphQL request of an HTTP request. Raise `MalformedRequestError` or `Refusal` if it is invalid."""
    if request.method not in {"GET", "POST"}:
        raise MalformedRequestError("Subscribe by POST or GET.", 405, allow="GET, POST")
    if not responses.quality_of(EVENT_STREAM, request.headers.get("accept", "")):
        raise MalformedRequestError(f"This path answers only with {EVENT_STREAM}.", 406)
    if request.method == "GET":
        return requests.from_query_string(request.query_params)
    return requests.from_body(await request.body())


async def _stream(subscription: ActiveSubscription, beat_seconds: float, receive: Receive, send: Send) -> None:
    """Send events until the stream ends or the client disconnects. A running database command is never cancelled."""
    headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    leaving = asyncio.ensure_future(_close_on_disconnect(receive, subscription))
    try:
        async with aclosing(subscription):
            with suppress(OSError, TimeoutError):
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                await _send(send, RETRY)
                async with aclosing(_events(subscription, beat_seconds)) as events:
                    async for event in events:
                        if leaving.done():
                            break
                        await _send(send, event)
                await send({"type": "http.response.body", "body": b""})
    finally:
        subscription.stream.close()
        leaving.cancel()
        await asyncio.wait({leaving})


async def _events(subscription: ActiveSubscription, beat_seconds: float) -> AsyncGenerator[bytes, None]:
    results = subscription.responses()
    waiting = asyncio.ensure_future(anext(results, None))
    try:
        while True:
            done, _ = await asyncio.wait({waiting}, timeout=beat_seconds)
            if not done:
                yield BEAT
                continue
            if (result := waiting.result()) is None:
                break
            yield _format_event(*result)
            waiting = asyncio.ensure_future(anext(results, None))
        if subscription.stream.ended not in CLOSED_BY:
            yield b"event: complete\ndata:\n\n"
    finally:
        subscription.stream.close()
        await asyncio.wait({waiting})
        await results.aclose()


def _format_event(body: dict[str, Any], cursor: str | None) -> bytes:
    try:
        data = orjson.dumps(body)
    except TypeError as error:
        data, cursor = orjson.dumps({"errors": [mask_error(error)]}), None
    id = f"id: {cursor}\n".encode() if cursor else b""
    return b"event: next\n" + id + b"data: " + data + b"\n\n"


async def _send(send: Send, body: bytes) -> None:
    with anyio.fail_after(STALL_SECONDS):
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def _close_on_disconnect(receive: Receive, subscription: ActiveSubscription) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    subscription.stream.close()
