"""Test subscription transports: graphql-transport-ws close codes, graphql-sse answers, limits, expiry and documents."""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from starlette.types import Message
from websockets.exceptions import ConnectionClosed

from api.notifications import server_sent_events, websocket
from api.notifications.websocket import INIT_SECONDS, MAX_SUBSCRIPTIONS
from api.notifications.websocket_operations import STALL_SECONDS
from api.server.app import create_app
from mobile_contract.documents import digest, text_of
from tests.support.subscription_clients import (
    ASSIGNMENTS,
    CASES,
    NEWS,
    SECONDS,
    linked,
    listening,
    plugged,
    serving,
    signed_in,
)
from tests.support.world import World

DEEP = (
    "subscription { caseChanged { ... on CaseChanged { case " + "{ relatedCases " * 14 + "{ id }" + " }" * 14 + " } } }"
)


async def test_each_breach_of_the_protocol_has_its_close_code(world: World) -> None:
    signed = await signed_in(world, "officer")
    init = {"type": "connection_init", "payload": {"authorization": signed.header}}
    ask = {"type": "subscribe", "id": "1", "payload": {"query": CASES}}
    cases: list[tuple[list[Any], int]] = [
        ([ask], 4401),
        ([init, init], 4429),
        ([init, ask, ask], 4409),
        ([init, {"type": "start"}], 4400),
        ([init, {**ask, "id": ""}], 4400),
        ([init, {**ask, "id": 7}], 4400),
        ([init, []], 4400),
        (["no json"], 4400),
        ([b"bytes"], 4400),
        ([init, "x" * 70_000], 1009),
        ([{"type": "connection_init"}], 4403),
        ([{"type": "connection_init", "payload": {"authorization": "Bearer x"}}], 4403),
        ([{"type": "connection_init", "payload": {"authorization": signed.header, "Mingcha-Level": "x"}}], 4403),
        ([{"type": "connection_init", "payload": "x"}], 4403),
    ]
    async with serving(world) as address:
        for messages, code in cases:
            async with plugged(address) as phone:
                for message in messages:
                    await phone.connection.send(message if isinstance(message, str | bytes) else json.dumps(message))
                assert (await phone.closed())[0] == code, messages
        async with plugged(address, "graphql-ws") as phone:
            assert (await phone.closed())[0] == 4406


async def test_a_silent_connection_is_closed_after_the_init_timeout(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket.SocketEndpoint.__init__, "__kwdefaults__", {"init_seconds": 0.1})
    assert INIT_SECONDS == 10
    async with serving(world) as address, plugged(address) as phone:
        assert await phone.closed() == (4408, "Connection initialisation timeout")


async def test_silent_connections_keep_nobody_out_and_the_oldest_has_to_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "MAX_UNAUTHENTICATED_PER_ADDRESS", 3)
    signed = await signed_in(world, "officer")
    async with serving(world) as address, AsyncExitStack() as held:
        silent = [await held.enter_async_context(plugged(address)) for _ in range(4)]
        assert await silent[0].closed() == (4408, "Connection initialisation timeout")
        phone = await held.enter_async_context(linked(address, signed))
        await phone.subscribe(CASES)
        assert (await phone.news())["__typename"] == "StreamPosition"
        assert await silent[1].closed() == (4408, "Connection initialisation timeout")
        await silent[3].send(type="ping")
        assert await silent[3].receive() == {"type": "pong"}


async def test_pings_are_answered_ids_are_reusable_and_subscriptions_are_limited(world: World) -> None:
    async with serving(world) as address, linked(address, await signed_in(world, "officer")) as phone:
        await phone.send(type="ping")
        assert await phone.receive() == {"type": "pong"}
        for _ in range(3):
            await phone.subscribe(CASES)
            await phone.news()
            await phone.send(type="complete", id="1")
        await phone.send(type="pong")
        await phone.send(type="complete", id="unknown")
    async with serving(world) as address, linked(address, await signed_in(world, "officer")) as phone:
        for number in range(MAX_SUBSCRIPTIONS + 1):
            await phone.subscribe(CASES, id=f"n{number}")
        said = [await phone.receive() for _ in range(MAX_SUBSCRIPTIONS + 1)]
        [refused] = [each for each in said if each["type"] == "error"]
        assert refused["payload"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"query": "{ me { userName } }"}, "BAD_USER_INPUT"),
        ({"query": "mutation { signOut { __typename } }"}, "BAD_USER_INPUT"),
        ({"query": "subscription {"}, "BAD_USER_INPUT"),
        ({"query": "subscription { nothing }"}, "BAD_USER_INPUT"),
        ({"query": DEEP}, "LIMIT_EXCEEDED"),
        ({"query": CASES, "variables": {"since": 5}}, "BAD_USER_INPUT"),
        ({"query": CASES, "variables": {"since": "\0"}}, "BAD_USER_INPUT"),
        ({"query": CASES, "operationName": "Other"}, "BAD_USER_INPUT"),
        ({"documentId": "sha256:" + "0" * 64}, "UNKNOWN_DOCUMENT"),
        ({}, "BAD_USER_INPUT"),
    ],
)
async def test_an_invalid_subscription_gets_a_typed_error_on_both_transports(
    world: World, payload: Any, code: str
) -> None:
    signed = await signed_in(world, "officer")
    async with serving(world) as address, linked(address, signed) as phone, httpx.AsyncClient() as client:
        await phone.send(id="1", type="subscribe", payload=payload)
        message = await phone.receive()
        assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", code), message
        headers = {"authorization": signed.header, "accept": "text/event-stream"}
        answer = await client.post(f"http://{address}/graphql/stream", json=payload, headers=headers)
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (400, code)
        await phone.subscribe(CASES)  # the connection goes on
        assert (await phone.news())["__typename"] == "StreamPosition"


async def test_a_malformed_request_for_an_event_stream_is_refused(world: World) -> None:
    signed = await signed_in(world, "officer")
    good = {"authorization": signed.header, "accept": "text/event-stream"}
    body = {"query": CASES}
    async with serving(world) as address, httpx.AsyncClient(base_url=f"http://{address}") as client:
        for method, headers, status in (
            ("PUT", good, 405),
            ("POST", good | {"accept": "application/json"}, 406),
            ("POST", {"accept": "text/event-stream"}, 401),
            ("POST", good | {"authorization": "Bearer x"}, 401),
            ("POST", good | {"Mingcha-Level": "x"}, 400),
            ("POST", good | {"Last-Event-ID": "x"}, 400),
        ):
            answer = await client.request(method, "/graphql/stream", json=body, headers=headers)
            assert answer.status_code == status, answer.text
            assert answer.headers["content-type"].startswith("application/graphql-response+json")
        monitor = {**good, "authorization": (await signed_in(world, "monitor")).header}
        answer = await client.post("/graphql/stream", json=body, headers=monitor)
        assert answer.status_code == 403
        async with client.stream("GET", "/graphql/stream", params=body, headers=good) as response:
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["x-content-type-options"] == "nosniff"


async def test_a_token_in_an_address_or_a_cookie_is_not_accepted(world: World) -> None:
    signed = await signed_in(world, "officer")
    given = {"authorization": signed.header, "access_token": signed.token, "token": signed.token}
    accept = {"accept": "text/event-stream"}
    async with serving(world) as address:
        async with httpx.AsyncClient(base_url=f"http://{address}", params=given, cookies=given) as client:
            stream = await client.post("/graphql/stream", json={"query": CASES}, headers=accept)
            me = await client.post("/graphql", json={"query": "{ me { userName } }"})
        assert stream.status_code == 401
        assert me.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        async with plugged(address, query=f"?{urlencode(given)}") as phone:
            await phone.send(type="connection_init")
            assert (await phone.closed())[0] == 4403


async def test_a_subscriber_who_takes_nothing_is_cut_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second message of the server is never taken over a WebSocket, and the first event over server-sent events."""
    assert STALL_SECONDS == 30
    for module in (websocket, server_sent_events):
        monkeypatch.setattr(module, "STALL_SECONDS", 0.1)
    monkeypatch.setattr(websocket, "GRACE_SECONDS", 0.1)
    signed = await signed_in(world, "officer")
    app = create_app(world.settings, world.store)
    client = {"scheme": "ws", "server": ("small", 80), "client": ("127.0.0.1", 1), "query_string": b""}
    init = {"type": "connection_init", "payload": {"authorization": signed.header}}
    asked = [init, {"type": "subscribe", "id": "1", "payload": {"query": CASES}}]
    request = {"type": "http.request", "body": json.dumps({"query": CASES}).encode(), "more_body": False}
    headers = [(b"authorization", signed.header.encode()), (b"accept", b"text/event-stream")]
    headers.append((b"content-type", b"application/json"))
    socket = {"type": "websocket", "path": "/graphql", "subprotocols": [websocket.SUBPROTOCOL], "headers": []}
    post = {"type": "http", "method": "POST", "path": "/graphql/stream", "headers": headers, "http_version": "1.1"}
    sent: list[Message] = [{"type": "websocket.connect"}]
    sent += [{"type": "websocket.receive", "text": json.dumps(each)} for each in asked]

    async def cut_off(scope: dict[str, Any], sent: list[Message], taken: int) -> list[Message]:
        """Serve a caller who sends these messages and takes so many. Return what it took."""
        told: list[Message] = []

        async def receive() -> Message:
            if not sent:
                await asyncio.Event().wait()
            return sent.pop(0)

        async def send(message: Message) -> None:
            if len(told) >= taken:
                await asyncio.Event().wait()
            told.append(message)

        async with asyncio.timeout(SECONDS):
            await app(client | scope, receive, send)
        return told

    async with app.router.lifespan_context(app):
        over_socket = await cut_off(socket, sent, 2)
        over_http = await cut_off(post, [request], 2)
        await app.state.stop_streams()
    assert [each["type"] for each in over_socket] == ["websocket.accept", "websocket.send"]
    assert over_http[0]["status"] == 200


async def test_a_quiet_stream_sends_heartbeats(world: World) -> None:
    signed = await signed_in(world, "officer")
    async with (
        serving(world, push_heartbeat_seconds=1) as address,
        listening(address, signed, CASES) as events,
    ):
        await events.news()
        coming = asyncio.ensure_future(events.news())
        async with asyncio.timeout(SECONDS):
            while events.beats < 2:  # noqa: ASYNC110  a heartbeat is a comment, not an event
                await asyncio.sleep(0.02)
        case = await world.open_case()
        assert (await coming)["case"]["id"] == case["id"]


async def test_an_expired_token_ends_its_streams(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.accounts.access_tokens.LEEWAY_SECONDS", 0)
    signed = await signed_in(world, "officer", seconds=4)
    async with (
        serving(world) as address,
        linked(address, signed) as phone,
        linked(address, signed) as idle,
        listening(address, signed, CASES) as events,
    ):
        await phone.subscribe(CASES)
        await phone.news()
        await events.news()
        assert (await events.news())["ended"] == "TOKEN_EXPIRED"
        assert await events.next() is None
        assert (await phone.news())["ended"] == "TOKEN_EXPIRED"
        assert await phone.closed() == await idle.closed() == (4403, "TOKEN_EXPIRED")


async def test_streams_are_limited_per_person_and_process_until_others_close(world: World) -> None:
    signed, other = await signed_in(world, "officer"), await signed_in(world, "clerk")
    async with serving(world, push_streams_per_person=2, push_streams_per_process=3) as address:
        async with linked(address, signed), listening(address, signed, CASES) as events:
            await events.news()
            async with plugged(address) as third:
                await third.send(type="connection_init", payload={"authorization": signed.header})
                assert await third.closed() == (4403, "LIMIT_EXCEEDED")
            async with linked(address, other), plugged(address) as fourth:
                await fourth.send(type="connection_init", payload={"authorization": other.header})
                assert await fourth.closed() == (1013, "BUSY")
        deadline = asyncio.get_running_loop().time() + 10
        while True:
            try:
                async with linked(address, signed), linked(address, signed):
                    break
            except ConnectionClosed:
                assert asyncio.get_running_loop().time() < deadline
                await asyncio.sleep(0.05)


async def test_the_strict_profile_accepts_only_documents_of_the_contract(world: World) -> None:
    signed = await signed_in(world, "officer")
    document = f"sha256:{digest(text_of('CaseChanged'))}"
    async with serving(world, trusted_documents_only=True) as address, linked(address, signed) as phone:
        await phone.send(id="1", type="subscribe", payload={"documentId": document})
        assert (await phone.news())["__typename"] == "StreamPosition"
        await phone.send(id="2", type="subscribe", payload={"query": text_of("AssignmentChanged")})
        assert (await phone.news("2"))["__typename"] == "StreamPosition"
        await phone.subscribe(ASSIGNMENTS, id="3")
        message = await phone.receive()
        assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "UNKNOWN_DOCUMENT")


async def test_two_subscriptions_in_one_document_are_refused(world: World) -> None:
    both = f"subscription {{ caseChanged {{ {NEWS} }} assignmentChanged {{ {NEWS} }} }}"
    async with serving(world) as address, linked(address, await signed_in(world, "officer")) as phone:
        await phone.send(id="1", type="subscribe", payload={"query": both})
        assert (await phone.receive())["type"] == "error"
