"""Middleware around the small schema: in process where that is enough, over a real socket where the wire matters."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from api.graphql.endpoint import GraphQLEndpoint
from api.http.admission_control import BodyLimitMiddleware, ConcurrencyLimitMiddleware
from api.http.responses import GRAPHQL_JSON
from api.server.middleware import SECURITY_HEADERS, SecurityHeaders, Tracing, middleware
from api.settings import Settings
from api.telemetry.metrics import Metrics
from api.telemetry.tracing import correlation_id
from mobile_contract.levels import Levels
from tests.support.small_schema import SECRET, Context, schema_of, serving, until


def wrapped(settings: Settings) -> ASGIApp:
    """The small schema behind all middleware, and a route that echoes how many bytes came."""

    async def size(request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    async def broken(_: Request) -> Response:
        raise RuntimeError(SECRET)

    async def context_of(_: Request) -> Context:
        return Context()

    return Starlette(
        routes=[
            Route("/graphql", GraphQLEndpoint(schema_of(settings), context_of)),
            Route("/size", size, methods=["POST"]),
            Route("/broken", broken),
            Route("/healthz", size, methods=["GET"]),
        ],
        middleware=middleware(settings, Metrics(), Levels(1, 1)),
    )


@contextlib.asynccontextmanager
async def in_process(settings: Settings = Settings()) -> AsyncIterator[httpx.AsyncClient]:  # noqa: B008  frozen
    async with httpx.AsyncClient(transport=httpx.ASGITransport(wrapped(settings)), base_url="http://small") as client:
        yield client


@contextlib.asynccontextmanager
async def on_a_socket(app: ASGIApp) -> AsyncIterator[tuple[str, int]]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, server_header=False))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await until(lambda: server.started)
        yield listening.getsockname()
        server.should_exit = True
        await serving


async def test_the_correlation_id_is_the_callers_or_a_new_one() -> None:
    async with in_process() as client:
        own = await client.get(
            "/graphql?query={hello}", headers={"x-request-id": "0198f00d-7000-8000-8000-0123456789ab"}
        )
        odd = await client.get("/graphql?query={hello}", headers={"x-request-id": "eyJhbGciOi.x.y"})
        fault = await client.get("/graphql?query={fails}")
        none = await client.get("/nowhere")
    assert own.headers["x-request-id"] == "0198f00d-7000-8000-8000-0123456789ab"
    assert len(odd.headers["x-request-id"]) == len(none.headers["x-request-id"]) == 16
    assert odd.headers["x-request-id"] != none.headers["x-request-id"]
    assert fault.json()["errors"][0]["message"].endswith(fault.headers["x-request-id"])


@pytest.mark.parametrize(
    "proposed", [None, "", "short", "x" * 65, "with space", "a\nb-c-d-e-f", "user_name_x", "名字名字名字名字"]
)
def test_odd_ids_are_not_taken_over(proposed: str | None) -> None:
    assert correlation_id(proposed) != proposed


async def test_every_answer_has_the_security_headers() -> None:
    async with in_process() as client:
        answers = [
            await client.get("/graphql?query={hello}"),
            await client.get("/nowhere"),
            await client.get("/broken"),
            await client.post("/size", content=b"x" * 300_000),
        ]
    for answer in answers:
        for name, value in SECURITY_HEADERS.items():
            assert answer.headers[name] == value
        assert "strict-transport-security" not in answer.headers
    async with in_process(Settings(https=True)) as client:
        assert "max-age" in (await client.get("/nowhere")).headers["strict-transport-security"]


async def test_what_nothing_answers_is_masked() -> None:
    async with in_process() as client:
        answer = await client.get("/broken")
    assert answer.status_code == 500
    assert answer.json()["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert answer.headers["x-request-id"] in answer.json()["errors"][0]["message"]
    assert SECRET not in answer.text


async def test_cors_is_for_listed_origins_only() -> None:
    asked = {"origin": "https://desk.example", "access-control-request-method": "POST",
             "access-control-request-headers": "authorization,content-type,x-request-id"}  # fmt: skip
    async with in_process() as client:
        closed = await client.options("/graphql", headers=asked)
    async with in_process(Settings(cors_origins=("https://desk.example",))) as client:
        opened = await client.options("/graphql", headers=asked)
        stranger = await client.options("/graphql", headers=asked | {"origin": "https://evil.example"})
        refused = await client.post("/size", content=b"x" * 300_000, headers={"origin": "https://desk.example"})
    assert "access-control-allow-origin" not in closed.headers
    assert opened.status_code == 200
    assert opened.headers["access-control-allow-origin"] == "https://desk.example"
    assert "access-control-allow-credentials" not in opened.headers
    assert "access-control-allow-origin" not in stranger.headers
    assert refused.status_code == 413
    assert refused.headers["access-control-allow-origin"] == "https://desk.example"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("size", "status"), [(0, 200), (1000, 200), (1001, 413), (2_000_000, 413), (20_000_000, 413)])
async def test_bodies_are_counted_as_they_come(chunked: bool, size: int, status: int) -> None:
    """Over a real socket: a chunked body has no length to trust."""

    def chunks() -> Iterator[bytes]:
        for start in range(0, size, 400):
            yield b"x" * min(400, size - start)

    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks():
            yield chunk

    async with (
        on_a_socket(wrapped(Settings(body_limit_bytes=1000))) as (host, port),
        httpx.AsyncClient(base_url=f"http://{host}:{port}") as client,
    ):
        content = stream() if chunked else b"x" * size
        try:
            answer = await client.post("/size", content=content, headers={"accept": GRAPHQL_JSON})
        except (httpx.WriteError, httpx.ReadError):
            # The server has answered and closed while the client was still sending: allowed by HTTP.
            assert status == 413
            assert size > 4_000_000
        else:
            assert answer.status_code == status
            if status == 413:
                assert answer.headers["content-type"].startswith(GRAPHQL_JSON)
                (error,) = answer.json()["errors"]
                assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
                assert error["extensions"]["nextStep"] == "FIX_AND_RESEND"
            else:
                assert answer.text == str(size)
                assert "server" not in answer.headers
        after = await client.post("/size", content=b"again")
        assert after.text == "5"


async def test_a_lying_length_is_refused_unread() -> None:
    async with on_a_socket(wrapped(Settings(body_limit_bytes=1000))) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\nx")
        await writer.drain()
        assert b"413" in await asyncio.wait_for(reader.readline(), 5)
        assert b"LIMIT_EXCEEDED" in await asyncio.wait_for(reader.read(), 5), "the server closes, so read() ends"
        writer.close()


async def test_a_body_that_does_not_come_ends_in_408() -> None:
    async def size(request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    app = BodyLimitMiddleware(Starlette(routes=[Route("/", size, methods=["POST"])]), limit=1000, seconds=0.05)
    async with on_a_socket(app) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nx")
        assert b"408" in await asyncio.wait_for(reader.readline(), 5)
        assert b"RETRY_LATER" in await asyncio.wait_for(reader.read(), 5)
        writer.close()


async def test_more_than_the_bound_are_told_to_come_back() -> None:
    async with serving(wrap=lambda app: ConcurrencyLimitMiddleware(app, most=2)) as small:
        waiting = [asyncio.create_task(small.post("{ waits }")) for _ in range(2)]
        await until(lambda: small.ran == ["waits", "waits"])
        busy = await small.post("{ hello }")
        assert small.ran == ["waits", "waits"]
        for context in small.contexts:
            context.gate.set()
        done = [await task for task in waiting]
        after = await small.post("{ hello }")
    assert busy.status_code == 503
    assert busy.headers["retry-after"] == "2"
    assert busy.json()["errors"][0]["extensions"]["nextStep"] == "RETRY_LATER"
    assert [answer.json()["data"] for answer in done] == [{"waits": "done"}] * 2
    assert after.json()["data"] == {"hello": "hello world"}


async def test_what_takes_too_long_is_answered_and_keeps_its_place_until_it_ends() -> None:
    made: list[ConcurrencyLimitMiddleware] = []

    def narrow(app: ASGIApp) -> ASGIApp:
        made.append(ConcurrencyLimitMiddleware(app, most=1, seconds=0.1))
        return made[0]

    async with serving(wrap=narrow) as small:
        cut = await small.post("{ waits }")
        full = await small.post("{ hello }")
        assert small.ran == ["waits"]
        small.contexts[0].gate.set()
        await until(lambda: made[0].under_way == 0)
        after = await small.post("{ hello }")
    assert (cut.status_code, full.status_code) == (503, 503)
    assert cut.json()["errors"][0]["extensions"] == {
        "code": "UNAVAILABLE",
        "nextStep": "RETRY_LATER",
        "messageZh": "服务暂时不可用，数据没有丢失，请稍后再试。",
        "field": None,
    }
    assert full.json()["errors"][0]["extensions"]["code"] == "BUSY"
    assert after.json() == {"data": {"hello": "hello world"}}


async def test_a_cut_request_that_fails_later_is_logged_and_leaves() -> None:
    gate = asyncio.Event()

    async def broken(_: object, __: object, ___: object) -> None:
        await gate.wait()
        raise RuntimeError(SECRET)

    turnstile = ConcurrencyLimitMiddleware(broken, most=1, seconds=0.02)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(turnstile), base_url="http://small") as client:
        cut = await client.get("/")
        with structlog.testing.capture_logs() as lines:
            gate.set()
            await until(lambda: turnstile.under_way == 0 and bool(lines))
    assert cut.status_code == 503
    assert [line["event"] for line in lines] == ["fault"]


async def test_operational_paths_answer_while_the_server_is_full() -> None:
    async with serving(
        wrap=lambda app: ConcurrencyLimitMiddleware(app, most=0, exempt=frozenset({"/healthz"}))
    ) as small:
        full = await small.post("{ hello }")
        health = await small.client.get("/healthz")
    assert (full.status_code, health.status_code) == (503, 404)


@pytest.mark.parametrize("scope_type", ["lifespan", "websocket"])
@pytest.mark.parametrize("make", [
    lambda app: Tracing(app, Metrics()), SecurityHeaders, ConcurrencyLimitMiddleware, lambda app:
    BodyLimitMiddleware(app, limit=1),
])  # fmt: skip
async def test_other_scopes_pass_untouched(scope_type: str, make: type[ConcurrencyLimitMiddleware]) -> None:
    seen = []

    async def app(scope: object, receive: object, send: object) -> None:
        seen.append((scope, receive, send))

    scope, receive, send = {"type": scope_type}, object(), object()
    await make(app)(scope, receive, send)  # type: ignore[arg-type]
    assert seen == [(scope, receive, send)]
