"""Serve the product, sign devices in, and subscribe over WebSocket and server-sent events."""

import asyncio
import json
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from api.accounts.access_tokens import AccessTokens, Bearer
from api.notifications.websocket import MAX_MESSAGE_BYTES, SUBPROTOCOL
from api.server.app import create_app
from schema.accounts.users import Device
from storage.embedded.engines import Addresses
from storage.processes.fork_server import MODULE_COMMAND
from tests.support.forked_commands import ROOT, command_server
from tests.support.process_states import wait_until_async
from tests.support.world import World, new_id

SECONDS = 10.0
NEWS = """
__typename
... on RecordLost { cursor id }
... on StreamPosition { cursor }
... on Resync { cursor reason: reason }
... on StreamEnded { ended: reason }
"""
ASSIGNMENTS = f"""
subscription Assignments($since: String) {{
  assignmentChanged(since: $since) {{
    {NEWS}
    ... on AssignmentChanged {{ cursor assignment {{ id state assignee {{ id displayName }} case {{ id state }} }} }}
  }}
}}"""
CASES = f"""
subscription Cases($since: String) {{
  caseChanged(since: $since) {{ {NEWS} ... on CaseChanged {{ cursor case {{ id state title }} }} }}
}}"""


@dataclass
class Signed:
    """A session of a person of the world."""

    user_id: str
    device_id: str
    session_id: str
    token: str

    @property
    def header(self) -> str:
        return f"Bearer {self.token}"


async def signed_in(world: World, name: str, *, seconds: int = 600) -> Signed:
    now = world.context(None).now
    user, device_id, session_id = world.people[name], new_id("dev"), new_id("ses")
    device = Device(id=device_id, name="手机", signed_in_at=now, seen_at=now)
    assert await world.store.users.add_device(user.id, device, session_id)
    token, _ = AccessTokens(world.keys, seconds).issue(Bearer(user.id, session_id, device_id), now)
    return Signed(user.id, device_id, session_id, token)


@asynccontextmanager
async def serving(world: World, **settings: Any) -> AsyncIterator[str]:
    """Serve the product over a world in this process, and yield its host and port."""
    app = create_app(replace(world.settings, **settings), world.store)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, ws="websockets-sansio", ws_max_size=MAX_MESSAGE_BYTES, log_config=None, lifespan="on")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    running = asyncio.ensure_future(server.serve([listener]))
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        await app.state.stop_streams()
        server.should_exit = True
        await running


class Process:
    """The product over a world, in a process of its own that can be killed. `output` is the descriptor that it prints to."""

    def __init__(self, world: World, engines: Addresses, folder: Path, **environment: str) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MINGCHA_")}
        self.output = 1
        self.environment = {
            **kept,
            **replace(engines, s3_bucket=world.store.objects.bucket).environment(),
            "MINGCHA_MONGO_DATABASE": world.store.mongo.name,
            "MINGCHA_DATA": str(folder),
            "MINGCHA_KEYS": str(world.settings.keys_folder),
            "PYTHONPATH": str(ROOT),
            **environment,
        }

    async def start(self) -> None:
        descriptor = self._listener.fileno()
        command = (*MODULE_COMMAND, "api.server.serve", "--fd", str(descriptor))
        self.process = command_server().start(command, self.environment, ROOT, self.output, passed=(descriptor,))
        async with httpx.AsyncClient() as client:
            deadline = time.monotonic() + 90
            while time.monotonic() < deadline:
                with suppress(httpx.TransportError):
                    await client.get(f"http://{self.address}/healthz", timeout=1)
                    return
        raise AssertionError("it does not serve")

    async def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    async def stop(self) -> int:
        """Ask the process to end, and return its exit code."""
        self.process.terminate()
        await wait_until_async(lambda: self.process.poll() is not None, 20)
        return self.process.wait()

    async def close(self) -> None:
        if self.process.poll() is None:
            await self.kill()
        self._listener.close()


class Socket:
    """A client of graphql-transport-ws."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await asyncio.wait_for(self.connection.recv(), SECONDS))
        return message

    async def subscribe(self, query: str, since: str | None = None, *, id: str = "1") -> None:
        await self.send(id=id, type="subscribe", payload={"query": query, "variables": {"since": since}})

    async def news(self, id: str = "1") -> dict[str, Any]:
        """Receive the next event of a subscription."""
        message = await self.receive()
        assert (message["id"], message["type"]) == (id, "next"), message
        assert "errors" not in message["payload"], message
        [news] = message["payload"]["data"].values()
        found: dict[str, Any] = news
        return found

    async def _drained(self) -> None:
        while True:
            await self.connection.recv()

    async def closed(self) -> tuple[int, str]:
        """Skip remaining messages, and return the code and reason of the close."""
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(self._drained(), SECONDS)
        assert closed.value.rcvd, closed.value
        return closed.value.rcvd.code, closed.value.rcvd.reason


@asynccontextmanager
async def plugged(address: str, subprotocol: str = SUBPROTOCOL, *, query: str = "") -> AsyncIterator[Socket]:
    """Connect without authentication."""
    offered = [Subprotocol(subprotocol)]
    async with connect(f"ws://{address}/graphql{query}", subprotocols=offered, proxy=None) as connection:
        yield Socket(connection)


@asynccontextmanager
async def linked(address: str, signed: Signed, **payload: Any) -> AsyncIterator[Socket]:
    """Connect and authenticate."""
    async with plugged(address) as made:
        await made.send(type="connection_init", payload={"authorization": signed.header, **payload})
        assert await made.receive() == {"type": "connection_ack"}
        yield made


@dataclass
class Events:
    """A stream of server-sent events. `beats` counts comments. `retry` is the server's last `retry` value."""

    response: httpx.Response
    last_id: str | None = None
    beats: int = 0
    retry: int | None = None
    _lines: Any = field(default=None)

    async def next(self) -> tuple[str, dict[str, Any] | None] | None:
        """Return the name and data of the next event. Return None at the end of the stream."""
        self._lines = self._lines or self.response.aiter_lines()
        name, data = "", ""
        async with asyncio.timeout(SECONDS):
            async for line in self._lines:
                field, _, value = line.partition(": ")
                if line == ":":
                    self.beats += 1
                elif field == "event":
                    name = value
                elif field == "id":
                    self.last_id = value
                elif field == "retry":
                    self.retry = int(value)
                elif field == "data":
                    data = value
                elif not line and name:
                    return name, json.loads(data) if data else None
        return None

    async def news(self) -> dict[str, Any]:
        event = await self.next()
        assert event, "the stream has ended"
        assert event[0] == "next", event
        assert event[1]
        assert "errors" not in event[1], event
        [news] = event[1]["data"].values()
        found: dict[str, Any] = news
        return found


@asynccontextmanager
async def listening(
    address: str, signed: Signed, query: str, since: str | None = None, **headers: str
) -> AsyncIterator[Events]:
    given = {"authorization": signed.header, "accept": "text/event-stream", **headers}
    body = {"query": query, "variables": {"since": since}}
    async with (
        httpx.AsyncClient(timeout=SECONDS) as client,
        client.stream("POST", f"http://{address}/graphql/stream", json=body, headers=given) as response,
    ):
        assert response.status_code == 200, await response.aread()
        yield Events(response)
