"""Plant a fault in front of the real product. A proxy edits the requests to the product, or the product's answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.support.asgi_server import serving

Json = dict[str, Any]


@dataclass
class ProxiedCall:
    """One request, and its answer once there is one.

    `sent` is the request as the phone sent it, and `passed` is the request as it is passed on. `media` holds the
    digests of all media that anybody has announced through this proxy, keyed by id.
    """

    sent: Json
    passed: Json
    level: str
    coding: str
    media: dict[str, str]
    answer: Json = field(default_factory=dict)
    status: int = 200

    @property
    def root(self) -> Json:
        value = next(iter((self.answer.get("data") or {}).values()), None)
        return value if isinstance(value, dict) else {}

    @property
    def results(self) -> list[Json]:
        found = self.root.get("results")
        return found if isinstance(found, list) else []

    @property
    def refusals(self) -> list[Json]:
        return [each["refusal"] for each in self.results if each.get("refusal")]


@dataclass(frozen=True)
class PlantedFault:
    """A fault that breaks one clause.

    `breaks` is the clause. `seen` is the pattern of what the kit must report. `of` names the operations that the fault
    changes. If `of` is empty, the fault changes all. `before` edits the request that is passed on, and `after` edits
    the answer. `event` gets the number of an event in a stream that resumes after a cursor, and decides whether the
    event is let through. `data` edits the data of every answer and event; its first argument is the operation's name.
    """

    name: str
    breaks: str
    seen: str
    of: tuple[str, ...] = ()
    before: Callable[[ProxiedCall], None] | None = None
    after: Callable[[ProxiedCall], None] | None = None
    event: Callable[[int], bool] | None = None
    data: Callable[[str, Json], None] | None = None

    def meddles(self, call: ProxiedCall) -> bool:
        return not self.of or call.sent.get("operationName") in self.of

    def edit(self, operation: str, answer: Json) -> Json:
        """Edit the data of an answer or event, and return the answer."""
        if self.data and isinstance(answer.get("data"), dict):
            self.data(operation, answer["data"])
        return answer


@contextmanager
def faulty(address: str, fault: PlantedFault) -> Iterator[str]:
    """Serve the product behind the fault, and yield the proxy's address."""
    proxy = _Proxy(address, fault)
    routes = [
        WebSocketRoute("/{path:path}", proxy.pass_socket_on),
        Route("/{path:path}", proxy.pass_on, methods=["GET", "POST"]),
    ]
    with serving(Starlette(routes=routes, lifespan=proxy.lifespan), lifespan="on") as own:
        yield own


@dataclass
class _Proxy:
    address: str
    fault: PlantedFault
    media: dict[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        async with httpx.AsyncClient(timeout=30) as self.client:
            yield

    async def pass_on(self, request: Request) -> Response:
        content = await request.body()
        sent = _read(content)
        headers = {name: value for name, value in request.headers.items() if name not in {"host", "content-length"}}
        url = f"{self.address}{request.url.path}"
        if request.url.path.endswith("/stream"):
            return StreamingResponse(self._events(url, content, headers, sent), media_type="text/event-stream")
        self.media.update((each["id"], each["sha256"]) for draft in drafts_of(sent) for each in draft.get("media", ()))
        coding = request.headers.get("content-encoding", "")
        call = ProxiedCall(sent, deepcopy(sent), request.headers.get("mingcha-level", ""), coding, self.media)
        meddles = self.fault.meddles(call)
        if self.fault.before and meddles:
            self.fault.before(call)
        body = content if call.passed == sent else json.dumps(call.passed).encode()
        got = await self.client.request(request.method, url, content=body, headers=headers)
        call.answer, call.status = got.json(), got.status_code
        told = {name: got.headers[name] for name in ("content-type", "mingcha-level") if name in got.headers}
        if self.fault.after and meddles:
            self.fault.after(call)
        self.fault.edit(str(sent.get("operationName")), call.answer)
        return Response(json.dumps(call.answer), call.status, told)

    async def _events(self, url: str, content: bytes, headers: dict[str, str], sent: Json) -> AsyncIterator[bytes]:
        """Pass the stream on without the events that the fault holds back, and edit the others.

        Events are counted from 1. The first event states the stream's position.
        """
        number = 0
        resumes = bool((sent.get("variables") or {}).get("since"))
        async with self.client.stream("POST", url, content=content, headers=headers) as got:
            async for line in got.aiter_lines():
                is_event = line.startswith("data:") and bool(line[5:].strip())
                number += is_event
                if is_event and resumes and self.fault.event and not self.fault.event(number):
                    continue
                if is_event and self.fault.data:
                    edited = self.fault.edit(str(sent.get("operationName")), json.loads(line[5:]))
                    yield f"data: {json.dumps(edited)}\n".encode()
                else:
                    yield f"{line}\n".encode()

    async def pass_socket_on(self, socket: WebSocket) -> None:
        """Pass a WebSocket's messages on in both directions, and edit the events."""
        await socket.accept(subprotocol="graphql-transport-ws")
        url = f"{self.address.replace('http', 'ws', 1)}{socket.url.path}"
        names: dict[str, str] = {}
        async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as upstream:
            downward = asyncio.create_task(self._pass_down(socket, upstream, names))
            try:
                async for text in socket.iter_text():
                    message = json.loads(text)
                    if message["type"] == "subscribe":
                        names[message["id"]] = message["payload"]["operationName"]
                    await upstream.send(text)
            finally:
                downward.cancel()

    async def _pass_down(self, socket: WebSocket, upstream: ClientConnection, names: dict[str, str]) -> None:
        async for text in upstream:
            message = json.loads(text)
            if message["type"] == "next":
                self.fault.edit(names[message["id"]], message["payload"])
            await socket.send_text(json.dumps(message))


def _read(content: bytes) -> Json:
    try:
        sent = json.loads(content) if content else {}
    except ValueError:
        return {}
    return sent if isinstance(sent, dict) else {}


def drafts_of(sent: Json) -> list[Json]:
    """Return the drafts of a request."""
    given = (sent.get("variables") or {}).get("input")
    return list(given.get("drafts", ())) if isinstance(given, dict) else []
