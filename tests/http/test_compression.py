"""Test compressed requests and responses: which are read, which are refused, and which responses are compressed."""

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from api.graphql.endpoint import GraphQLEndpoint
from api.http.compression import MIN_BYTES
from api.http.content_encodings import compress, decompress
from api.http.responses import GRAPHQL_JSON, JSON
from api.server.app import create_app
from api.server.middleware import build_middleware
from api.settings import Settings
from api.telemetry import tracing
from api.telemetry.metrics import Metrics
from mobile_contract.documents import text_of
from mobile_contract.levels import Levels
from mobile_contract.phone.network.backoff import Backoff
from mobile_contract.phone.network.client import GraphqlClient
from tests.support.asgi_server import on_a_socket
from tests.support.compression_bombs import LIMIT, TEXT, gzip_bomb, zstd_bomb
from tests.support.phone_sessions import PASSWORD, SIGN_IN, with_passwords
from tests.support.small_schema import Context, schema_of
from tests.support.world import World, new_id


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the small schema behind all middleware, with a route for every kind of response."""
    (tmp_path / "page.css").write_text("a { color: red }\n" * 100)

    async def text(request: Request) -> Response:
        return Response(TEXT[: int(request.query_params.get("size", "100000"))], media_type=request.query_params["as"])

    async def packed(_: Request) -> Response:
        return Response(gzip.compress(TEXT), media_type=JSON, headers={"Content-Encoding": "gzip"})

    async def tokens(_: Request) -> Response:
        tracing.current().is_secret = True
        return JSONResponse({"words": TEXT.decode()})

    async def events(_: Request) -> Response:
        async def stream() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield TEXT

        return StreamingResponse(stream(), media_type="text/event-stream")

    async def file(_: Request) -> Response:
        return FileResponse(tmp_path / "page.css")

    async def size(request: Request) -> Response:
        return JSONResponse([len(await request.body()), request.headers.get("content-encoding")])

    async def context_of(_: Request) -> Context:
        return Context()

    settings = Settings(body_limit_bytes=LIMIT)
    routes = [
        Route("/graphql", GraphQLEndpoint(schema_of(settings), context_of)),
        Route("/text", text),
        Route("/packed", packed),
        Route("/tokens", tokens),
        Route("/events", events),
        Route("/file", file),
        Route("/size", size, methods=["POST"]),
    ]
    app = Starlette(routes=routes, middleware=build_middleware(settings, Metrics(), Levels(1, 1)))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://small", headers={"accept-encoding": "identity"}
    ) as client:
        yield client


@pytest.mark.parametrize("coding", ["zstd", "gzip", "x-gzip", "ZSTD", "identity"])
async def test_a_compressed_request_is_executed(small: httpx.AsyncClient, coding: str) -> None:
    query = json.dumps({"query": "query($name: String!) { hello(name: $name) }", "variables": {"name": "a" * 3000}})
    plain = coding.lower() == "identity"
    body = query.encode() if plain else compress(query.encode(), "gzip" if "gzip" in coding else "zstd")
    headers = {"content-type": JSON, "content-encoding": coding}
    answer = await small.post("/graphql", content=body, headers=headers)
    assert answer.json() == {"data": {"hello": f"hello {'a' * 3000}"}}
    size = await small.post("/size", content=body, headers=headers)
    assert size.json() == [len(query), None]


@pytest.mark.parametrize(
    ("coding", "body", "status", "code"),
    [
        ("zstd", zstd_bomb(), 413, "LIMIT_EXCEEDED"),
        ("gzip", gzip_bomb()[:3500], 413, "LIMIT_EXCEEDED"),
        ("zstd", compress(bytes(LIMIT + 1), "zstd"), 413, "LIMIT_EXCEEDED"),
        ("gzip", compress(bytes(LIMIT + 1), "gzip"), 413, "LIMIT_EXCEEDED"),
        ("gzip", compress(TEXT, "gzip")[:-1], 400, "BAD_INPUT"),
        ("zstd", compress(TEXT, "zstd")[:-1], 400, "BAD_INPUT"),
        ("gzip", compress(TEXT, "zstd"), 400, "BAD_INPUT"),
        ("zstd", TEXT, 400, "BAD_INPUT"),
        ("br", TEXT, 415, "BAD_INPUT"),
        ("gzip, zstd", compress(compress(TEXT, "gzip"), "zstd"), 415, "BAD_INPUT"),
        ("gzip, gzip", compress(compress(TEXT, "gzip"), "gzip"), 415, "BAD_INPUT"),
        ("identity, gzip", compress(TEXT, "gzip"), 415, "BAD_INPUT"),
    ],
)
async def test_a_compressed_body_that_is_bad_too_large_or_unsupported_is_refused(
    small: httpx.AsyncClient, coding: str, body: bytes, status: int, code: str
) -> None:
    headers = {"content-encoding": coding, "accept": GRAPHQL_JSON}
    answer = await small.post("/size", content=body[: LIMIT if coding == "zstd" else None], headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith(GRAPHQL_JSON)
    (error,) = answer.json()["errors"]
    assert error["extensions"]["code"] == code
    assert error["extensions"]["nextStep"] == "FIX_AND_RESEND"
    assert answer.headers.get("accept-encoding") == ("zstd, gzip" if status == 415 else None)


@pytest.mark.parametrize("coding", ["zstd", "gzip"])
@pytest.mark.parametrize("media", [JSON, GRAPHQL_JSON, "text/html", "text/css", f"{JSON}; charset=utf-8"])
async def test_text_responses_are_compressed(small: httpx.AsyncClient, coding: str, media: str) -> None:
    answer = await small.get("/text", params={"as": media}, headers={"accept-encoding": coding})
    assert answer.headers["content-encoding"] == coding
    assert int(answer.headers["content-length"]) < len(TEXT) / 4
    assert "accept-encoding" in answer.headers["vary"].lower()
    assert answer.content == TEXT


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/text?as=application/json&size=499", "gzip"),
        ("/text?as=application/json", "identity"),
        ("/text?as=application/json", "gzip;q=0"),
        ("/text?as=image/jpeg", "gzip"),
        ("/text?as=application/zip", "gzip"),
        ("/events", "gzip"),
        ("/tokens", "gzip"),
    ],
)
async def test_short_binary_streamed_secret_and_declined_responses_stay_plain(
    small: httpx.AsyncClient, path: str, asked: str
) -> None:
    plain = await small.get(path)
    answer = await small.get(path, headers={"accept-encoding": asked})
    assert "content-encoding" not in answer.headers
    assert answer.content == plain.content
    assert answer.headers.get("content-length") == plain.headers.get("content-length")
    is_text = answer.headers["content-type"].partition(";")[0] == JSON
    assert ("accept-encoding" in answer.headers.get("vary", "").lower()) == is_text


async def test_a_compressed_response_is_not_compressed_again(small: httpx.AsyncClient) -> None:
    answer = await small.get("/packed", headers={"accept-encoding": "zstd, gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.content == TEXT


async def test_compression_weakens_etags_and_skips_ranges_and_head_requests(small: httpx.AsyncClient) -> None:
    plain = await small.get("/file")
    packed = await small.get("/file", headers={"accept-encoding": "zstd"})
    part = await small.get("/file", headers={"accept-encoding": "zstd", "range": "bytes=0-799"})
    head = await small.head("/file", headers={"accept-encoding": "zstd"})
    assert packed.headers["content-encoding"] == "zstd"
    assert packed.headers["etag"] == f"W/{plain.headers['etag']}"
    assert packed.content == plain.content
    assert part.status_code == 206
    assert "content-encoding" not in part.headers
    assert part.content == plain.content[:800]
    assert "content-encoding" not in head.headers


async def test_compressed_bodies_pass_both_ways_over_a_socket() -> None:
    """The test uses a real server, because uvicorn checks that the stated length is the length sent."""

    async def text(request: Request) -> Response:
        return JSONResponse({"got": (await request.body()).decode()})

    app = Starlette(
        routes=[Route("/", text, methods=["POST"])], middleware=build_middleware(Settings(), Metrics(), Levels(1, 1))
    )
    async with (
        on_a_socket(app) as (host, port),
        httpx.AsyncClient(base_url=f"http://{host}:{port}") as client,
    ):
        for _ in range(2):
            answer = await client.post("/", content=compress(TEXT, "gzip"), headers={"content-encoding": "gzip"})
            assert answer.headers["content-encoding"] == "zstd"
            assert answer.json() == {"got": TEXT.decode()}


async def test_tokens_are_sent_plain_and_data_compressed(world: World) -> None:
    house = await with_passwords(world)
    for _ in range(3):
        await house.observe()
    given = {"userName": "inspector", "password": PASSWORD, "deviceId": new_id("dev"), "deviceName": "手机" * 40}
    transport = httpx.ASGITransport(create_app(house.settings, house.store))
    async with httpx.AsyncClient(transport=transport, base_url="http://small") as client:
        signed_in = await client.post("/graphql", json={"query": SIGN_IN, "variables": {"input": given}})
        token = signed_in.json()["data"]["answer"]["accessToken"]
        mine = await client.post(
            "/graphql",
            json={"query": text_of("MyReports"), "variables": {}},
            headers={"authorization": f"Bearer {token}"},
        )
    assert len(signed_in.content) > MIN_BYTES
    assert "content-encoding" not in signed_in.headers
    assert mine.headers["content-encoding"] == "zstd"
    assert len(mine.json()["data"]["observations"]["edges"]) == 3


@pytest.mark.parametrize(
    ("reads", "bodies"), [(None, "packed packed packed"), (415, "packed plain plain"), (400, "packed plain plain")]
)
async def test_a_phone_stops_compressing_when_the_server_cannot_read_it(reads: int | None, bodies: str) -> None:
    came: list[str] = []

    async def answer(request: Request) -> Response:
        coding = request.headers.get("content-encoding")
        came.append("packed" if coding else "plain")
        if coding and reads:
            return Response("?", reads)
        body = await request.body()
        asked = json.loads(decompress(body, coding, 10**6) if coding else body)
        return JSONResponse({"data": {"changes": {"cursor": asked["variables"]["since"]}}})

    app = Starlette(routes=[Route("/graphql", answer, methods=["POST"])])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        wire = GraphqlClient(client, "http://small/graphql", Backoff(attempts=1))
        for _ in range(3 if reads is None else 2):
            assert (await wire.ask("Changes", {"since": "s" * 2000})).value == {"cursor": "s" * 2000}
    assert " ".join(came) == bodies
