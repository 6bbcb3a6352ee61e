"""Test the order and the effect of all middleware around the small schema."""

import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from api.graphql.endpoint import GraphQLEndpoint
from api.http.body_limit import BodyLimitMiddleware
from api.http.concurrency_limit import ConcurrencyLimitMiddleware
from api.server.middleware import SECURITY_HEADERS, SecurityHeadersMiddleware, TracingMiddleware, build_middleware
from api.settings import Settings
from api.telemetry.metrics import Metrics
from api.telemetry.tracing import correlation_id
from mobile_contract.levels import Levels
from tests.support.small_schema import SECRET, Context, schema_of


def wrapped(settings: Settings) -> ASGIApp:
    """Return the small schema behind all middleware, with a route that answers with the size of the request's body."""

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
        middleware=build_middleware(settings, Metrics(), Levels(1, 1)),
    )


@contextlib.asynccontextmanager
async def in_process(settings: Settings = Settings()) -> AsyncIterator[httpx.AsyncClient]:  # noqa: B008  frozen
    async with httpx.AsyncClient(transport=httpx.ASGITransport(wrapped(settings)), base_url="http://small") as client:
        yield client


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
def test_malformed_correlation_ids_are_replaced(proposed: str | None) -> None:
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
        policy = answer.headers["content-security-policy"]
        sources = {word for rule in policy.split(";") for word in rule.split()[1:]}
        assert policy.startswith("default-src 'none';")
        assert sources == {"'none'", "'self'", "data:"}
        assert [answer.headers[name] for name in ("x-frame-options", "x-content-type-options", "referrer-policy")] == [
            "DENY",
            "nosniff",
            "no-referrer",
        ]
        assert [answer.headers[f"cross-origin-{kind}-policy"] for kind in ("opener", "resource")] == ["same-origin"] * 2
    async with in_process(Settings(https=True)) as client:
        assert (await client.get("/nowhere")).headers["strict-transport-security"] == "max-age=31536000"


async def test_an_unhandled_error_is_masked() -> None:
    async with in_process() as client:
        answer = await client.get("/broken")
    assert answer.status_code == 500
    assert answer.json()["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert answer.headers["x-request-id"] in answer.json()["errors"][0]["message"]
    assert SECRET not in answer.text


async def test_cors_admits_only_listed_origins() -> None:
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


@pytest.mark.parametrize("scope_type", ["lifespan", "websocket"])
@pytest.mark.parametrize("make", [
    lambda app: TracingMiddleware(app, Metrics()), SecurityHeadersMiddleware, ConcurrencyLimitMiddleware, lambda app:
    BodyLimitMiddleware(app, limit=1),
])  # fmt: skip
async def test_scopes_other_than_http_pass_unchanged(scope_type: str, make: type[ConcurrencyLimitMiddleware]) -> None:
    seen = []

    async def app(scope: object, receive: object, send: object) -> None:
        seen.append((scope, receive, send))

    scope, receive, send = {"type": scope_type}, object(), object()
    await make(app)(scope, receive, send)  # type: ignore[arg-type]
    assert seen == [(scope, receive, send)]
