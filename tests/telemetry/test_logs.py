"""Test logs: machines and people can read them, and they contain no personal data and no credentials."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import structlog

from api.server.health import Readiness
from api.server.routes import build_web_app
from api.settings import Settings
from api.telemetry import logs
from api.telemetry.metrics import Metrics
from storage.mongodb.errors import StoreError
from tests.support.small_schema import Context, schema_of

PASSWORD = "hunter2-correct-horse"
USER = "zhang.wei"
TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1c3JfMSJ9.c2lnbmF0dXJl-_x"
URL = "https://media.example/b/k?X-Amz-Signature=0123456789abcdef&X-Amz-Expires=60"
MONGO = "mongodb://root:s3cr3t-of-mongo@127.0.0.1:27017"
SECRETS = (PASSWORD, USER, TOKEN, "0123456789abcdef", "s3cr3t-of-mongo", "c2lnbmF0dXJl")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Restore the logging configuration after each test, because it belongs to the whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    taken = {name: logging.getLogger(name) for name in ("uvicorn", "uvicorn.error", "uvicorn.asgi", *logs.SILENT)}
    before = {name: (logger.handlers, logger.propagate, logger.level) for name, logger in taken.items()}
    yield
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level
    for name, logger in taken.items():
        logger.handlers, logger.propagate, logger.level = before[name]


def written(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def stream() -> io.StringIO:
    made = io.StringIO()
    logs.configure_logging(stream=made)
    return made


def test_a_line_is_json_with_known_keys_only(stream: io.StringIO) -> None:
    structlog.get_logger("api.x").info(
        "signed in", user_name=USER, password=PASSWORD, variables={"a": PASSWORD}, status=200, codes=["A"], part="x",
        user="usr_1", device="dev_1", address="203.0.113.7", token=TOKEN, query="{ me }", url=URL, text="窗口无人",
    )  # fmt: skip
    (line,) = written(stream)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "event": "signed in",
        "level": "info",
        "logger": "api.x",
        "status": 200,
        "codes": ["A"],
        "part": "x",
        "withheld": [
            *sorted(("address", "device", "password", "query", "text", "token", "url")),
            *sorted(("user", "user_name", "variables")),
        ],
    }


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {TOKEN}",
        f"got {TOKEN}",
        f"bearer opaque-{PASSWORD}",
        f"link {URL} made",
        f"connecting to {MONGO}",
        f"GET /graphql?query=x&variables={PASSWORD}",
    ],
)
def test_secrets_in_a_text_are_scrubbed(stream: io.StringIO, text: str) -> None:
    structlog.get_logger().warning(text, reason=text)
    logging.getLogger("some.module").warning(text)
    assert len(written(stream)) == 2
    for secret in SECRETS:
        assert secret not in stream.getvalue()


def test_a_traceback_keeps_locations_and_drops_messages(stream: io.StringIO) -> None:
    def deep() -> None:
        raise KeyError(PASSWORD)

    try:
        try:
            deep()
        except KeyError as error:
            raise StoreError(f"dup key: {{ userName: '{USER}' }}") from error
    except StoreError:
        structlog.get_logger().exception("fault")
        logging.getLogger("asyncio").exception("Task exception was never retrieved\nfuture: %r", USER)
    ours, theirs = written(stream)
    for line in (ours, theirs):
        assert line["fault"] == "StoreError < KeyError"
        assert any(frame.endswith(" deep") and "test_logs.py" in frame for frame in line["frames"])
    assert theirs["event"] == "Task exception was never retrieved"
    assert PASSWORD not in stream.getvalue()
    assert USER not in stream.getvalue()


def test_the_debug_level_adds_error_messages() -> None:
    stream = io.StringIO()
    logs.configure_logging("DEBUG", stream=stream)
    structlog.get_logger().error("fault", exc_info=ValueError("odd value"))
    logging.getLogger("pymongo.command").debug("command with documents")
    (line,) = written(stream)
    assert line["words"] == "odd value"


def test_libraries_log_warnings_only_and_noisy_ones_nothing(stream: io.StringIO) -> None:
    logging.getLogger("pymongo.command").info("find users")
    logging.getLogger("uvicorn.error").info('127.0.0.1:1 - "WebSocket /graphql?token=x" [accepted]')
    logging.getLogger("uvicorn.access").error("127.0.0.1 GET /?token=x")
    logging.getLogger("strawberry.execution").error("value %s", PASSWORD)
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    assert [line["event"] for line in written(stream)] == ["Invalid HTTP request received."]


def test_pretty_lines_are_readable_and_free_of_secrets() -> None:
    stream = io.StringIO()
    logs.configure_logging(stream=stream, pretty=True)
    structlog.get_logger("api.y").error("fault", field="case", user=USER, exc_info=ValueError(PASSWORD))
    text = stream.getvalue()
    assert "fault" in text
    assert "case" in text
    assert "ValueError" in text
    assert PASSWORD not in text
    assert USER not in text


def test_long_and_structured_values_are_cut(stream: io.StringIO) -> None:
    structlog.get_logger().info("x", reason="y" * 1000, part={"password": PASSWORD}, kind=b"bytes")
    (line,) = written(stream)
    assert len(line["reason"]) == 301
    assert line["part"] == "[dict]"
    assert line["kind"] == "[bytes]"


async def test_requests_full_of_secrets_leave_none_in_the_log(stream: io.StringIO) -> None:
    """The requests have secrets in the path, query string, headers, document, variables and operation name."""

    async def context_of(request: object) -> Context:
        if "refuse" in str(getattr(request, "query_params", "")):
            raise RuntimeError(f"{PASSWORD} {TOKEN} {USER}")
        return Context()

    app = build_web_app(Settings(), schema_of(), context_of, metrics=Metrics(), readiness=Readiness([]))
    headers = {"authorization": f"Bearer {TOKEN}", "cookie": f"s={PASSWORD}", "user-agent": USER, "x-request-id": TOKEN}
    named = f'query {USER.replace(".", "_")} {{ hello(name: "{PASSWORD}") }}'
    alias = "x" + PASSWORD.replace("-", "_")
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://small", headers=headers
    ) as client:
        await client.get(f"/{TOKEN}")
        await client.get(f"/graphql/{PASSWORD}/{USER}?token={TOKEN}")
        await client.get("/graphql", params={"query": named, "token": TOKEN, "refuse": PASSWORD})
        await client.post("/graphql", json={"query": named})
        await client.post("/graphql", json={"query": f"{{ {alias}: fails }}"})
        await client.post("/graphql", json={"query": f"{{ {alias}: failsSoftly wrong half }}"})
        await client.post("/graphql", json={"query": f"{{ {alias} }}", "operationName": PASSWORD})
        await client.post(
            "/graphql", json={"query": "query($n: Int!) { halfOf(number: $n) }", "variables": {"n": PASSWORD}}
        )
        await client.post(
            "/graphql", content=f'{{"query": "{PASSWORD}'.encode(), headers={"content-type": "application/json"}
        )
        await client.request(PASSWORD.upper(), "/graphql")
    text = stream.getvalue().lower()
    lines = written(stream)
    assert sum(line["event"] == "request" for line in lines) == 10
    assert sum(line["event"] == "fault" for line in lines) >= 4
    for secret in (*SECRETS, alias, USER.replace(".", "_")):
        assert secret.lower() not in text
    assert {line["route"] for line in lines if line["event"] == "request"} == {
        "none",
        "/graphql",
        "/graphql/explorer",
    } - {"/graphql/explorer"}


async def test_a_request_line_holds_the_operation_and_its_outcome(stream: io.StringIO) -> None:
    async def context_of(_: object) -> Context:
        return Context()

    app = build_web_app(Settings(), schema_of(), context_of, metrics=Metrics(), readiness=Readiness([]))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://small") as client:
        answers = await asyncio.gather(
            *(client.post("/graphql", json={"query": query}) for query in ("{ hello }", "{ refused }", "{ fails }"))
        )
    lines = {line["correlation"]: line for line in written(stream) if line["event"] == "request"}
    found = [lines[answer.headers["x-request-id"]] for answer in answers]
    assert [line["codes"] for line in found] == [[], ["NOT_FOUND"], ["INTERNAL"]]
    for line in found:
        assert (line["method"], line["route"], line["status"], line["operation"]) == ("POST", "/graphql", 200, "query")
        assert line["milliseconds"] >= 0
    (fault,) = (line for line in written(stream) if line["event"] == "fault")
    assert fault["correlation"] == answers[2].headers["x-request-id"]


def test_a_line_that_finds_no_space_is_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    with io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True) as full:
        logs.configure_logging(stream=full)
        structlog.get_logger("a").warning("work failed")
        assert not capsys.readouterr().err
        logging.getLogger("library").warning("work failed")
