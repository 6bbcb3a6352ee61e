"""Test the limit on concurrent requests: surplus requests are told to retry, slow requests keep their slots."""

import asyncio

import httpx
import structlog
from starlette.types import ASGIApp

from api.http.concurrency_limit import ConcurrencyLimitMiddleware
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
