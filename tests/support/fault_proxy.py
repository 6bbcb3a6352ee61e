"""Plant a fault in front of the real product. A proxy edits the requests to the product, or the product's answers."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

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
    event is let through.
    """

    name: str
    breaks: str
    seen: str
    of: tuple[str, ...] = ()
    before: Callable[[ProxiedCall], None] | None = None
    after: Callable[[ProxiedCall], None] | None = None
    event: Callable[[int], bool] | None = None

    def meddles(self, call: ProxiedCall) -> bool:
        return not self.of or call.sent.get("operationName") in self.of


@contextmanager
def faulty(address: str, fault: PlantedFault) -> Iterator[str]:
    """Serve the product behind the fault, and yield the proxy's address."""
    media: dict[str, str] = {}

    async def pass_on(request: Request) -> Response:
        content = await request.body()
        sent = _read(content)
        headers = {name: value for name, value in request.headers.items() if name not in {"host", "content-length"}}
        url = f"{address}{request.url.path}"
        if request.url.path.endswith("/stream"):
            return StreamingResponse(_events(url, content, headers, sent, fault), media_type="text/event-stream")
        media.update((each["id"], each["sha256"]) for draft in drafts_of(sent) for each in draft.get("media", ()))
        coding = request.headers.get("content-encoding", "")
        call = ProxiedCall(sent, deepcopy(sent), request.headers.get("mingcha-level", ""), coding, media)
        meddles = fault.meddles(call)
        if fault.before and meddles:
            fault.before(call)
        body = content if call.passed == sent else json.dumps(call.passed).encode()
        async with httpx.AsyncClient(timeout=30) as client:
            got = await client.request(request.method, url, content=body, headers=headers)
        call.answer, call.status = got.json(), got.status_code
        told = {name: got.headers[name] for name in ("content-type", "mingcha-level") if name in got.headers}
        if fault.after and meddles:
            fault.after(call)
        return Response(json.dumps(call.answer), call.status, told)

    app = Starlette(routes=[Route("/{path:path}", pass_on, methods=["GET", "POST"])])
    with serving(app) as own:
        yield own


async def _events(
    url: str, content: bytes, headers: dict[str, str], sent: Json, fault: PlantedFault
) -> AsyncIterator[bytes]:
    """Pass the stream on without the events that the fault holds back.

    Events are counted from 1. The first event states the stream's position.
    """
    number = 0
    async with (
        httpx.AsyncClient(timeout=30) as client,
        client.stream("POST", url, content=content, headers=headers) as got,
    ):
        async for line in got.aiter_lines():
            is_event = line.startswith("data:") and bool(line[5:].strip())
            number += is_event
            is_lost = is_event and sent.get("variables", {}).get("since") and fault.event is not None
            if not (is_lost and fault.event and not fault.event(number)):
                yield f"{line}\n".encode()


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
