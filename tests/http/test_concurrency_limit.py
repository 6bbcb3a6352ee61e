"""Test the limit on concurrent requests: surplus requests are told to retry, slow requests keep their slots."""

import asyncio

import httpx
import structlog
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.concurrency_limit import ConcurrencyLimitMiddleware, release_slot
from tests.support.small_schema import SECRET, serving, until


async def test_a_request_over_the_limit_is_told_to_retry() -> None:
    async with serving(wrap=lambda app: ConcurrencyLimitMiddleware(app, limit=2)) as small:
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


async def test_a_timed_out_request_is_answered_and_keeps_its_slot_until_it_ends() -> None:
    made: list[ConcurrencyLimitMiddleware] = []

    def narrow(app: ASGIApp) -> ASGIApp:
        made.append(ConcurrencyLimitMiddleware(app, limit=1, seconds=0.1))
        return made[0]

    async with serving(wrap=narrow) as small:
        cut = await small.post("{ waits }")
        full = await small.post("{ hello }")
        assert small.ran == ["waits"]
        small.contexts[0].gate.set()
        await until(lambda: made[0].in_progress == 0)
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


async def test_a_timed_out_request_that_fails_later_is_logged_and_frees_its_slot() -> None:
    gate = asyncio.Event()

    async def broken(_: object, __: object, ___: object) -> None:
        await gate.wait()
        raise RuntimeError(SECRET)

    limited = ConcurrencyLimitMiddleware(broken, limit=1, seconds=0.02)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(limited), base_url="http://small") as client:
        cut = await client.get("/")
        with structlog.testing.capture_logs() as lines:
            gate.set()
            await until(lambda: limited.in_progress == 0 and bool(lines))
    assert cut.status_code == 503
    assert [line["event"] for line in lines] == ["fault"]


async def test_operational_paths_answer_while_the_server_is_full() -> None:
    async with serving(
        wrap=lambda app: ConcurrencyLimitMiddleware(app, limit=0, exempt=frozenset({"/healthz"}))
    ) as small:
        full = await small.post("{ hello }")
        health = await small.client.get("/healthz")
    assert (full.status_code, health.status_code) == (503, 404)


async def test_a_request_that_waits_elsewhere_leaves_its_slot_to_others() -> None:
    waiting, go_on = asyncio.Event(), asyncio.Event()
    limited: list[ConcurrencyLimitMiddleware] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/waits":
            with release_slot():
                waiting.set()
                await go_on.wait()
        await PlainTextResponse(str(limited[0].in_progress))(scope, receive, send)

    limited.append(ConcurrencyLimitMiddleware(app, limit=1))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(limited[0]), base_url="http://test") as client:
        first = asyncio.ensure_future(client.get("/waits"))
        await waiting.wait()
        assert (await client.get("/other")).text == "1"
        go_on.set()
        assert (await first).text == "1"
    assert limited[0].in_progress == 0


async def test_the_time_in_a_queue_is_not_time_of_the_request() -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with release_slot():
            await go_on.wait()
        await PlainTextResponse("done")(scope, receive, send)

    limited = ConcurrencyLimitMiddleware(app, limit=1, seconds=0.02)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(limited), base_url="http://test") as client:
        waiting = asyncio.ensure_future(client.get("/"))
        done, _ = await asyncio.wait({waiting}, timeout=0.1)
        assert not done
        go_on.set()
        assert (await waiting).text == "done"
