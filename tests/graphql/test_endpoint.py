"""Test GraphQL over HTTP: methods, media types, statuses, and requests that are refused before anything runs."""

import json
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse

from api.http.responses import GRAPHQL_JSON, JSON, negotiate_media_type, prefers_html
from schema.core.refusals import Refusal, RefusalCode
from tests.support.small_schema import SECRET, Context, serving

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("application/json; charset=utf-8", JSON),
        ("APPLICATION/GraphQL-response+JSON", GRAPHQL_JSON),
        ("application/json, application/graphql-response+json", GRAPHQL_JSON),
        ("application/graphql-response+json;q=0.5, application/json", JSON),
        ("application/json;q=0.9, */*", GRAPHQL_JSON),
        ("application/graphql-response+json, text/event-stream, multipart/mixed", GRAPHQL_JSON),
        (BROWSER, JSON),
        ("text/html", None),
        ("application/json;q=0", None),
        ("application/json;q=nonsense", None),
    ],
)
def test_the_accept_header_chooses_the_media_type(accept: str | None, chosen: str | None) -> None:
    assert negotiate_media_type(accept) == chosen


@pytest.mark.parametrize(("accept", "page"), [(BROWSER, True), ("*/*", False), (None, False), (GRAPHQL_JSON, False)])
def test_only_browsers_prefer_html(accept: str | None, page: bool) -> None:
    assert prefers_html(accept) is page


async def test_post_and_get_answer_alike() -> None:
    async with serving() as small:
        posted = await small.post("query Q($n: String!) { hello(name: $n) }", variables={"n": "明察"})
        got = await small.client.get(
            "/graphql",
            params={"query": "query Q($n: String!) { hello(name: $n) }", "variables": '{"n":"明察"}'},
            headers={"accept": GRAPHQL_JSON},
        )
    assert posted.json() == got.json() == {"data": {"hello": "hello 明察"}}
    assert posted.status_code == got.status_code == 200
    assert posted.headers["content-type"] == f"{GRAPHQL_JSON}; charset=utf-8"
    assert posted.headers["cache-control"] == "no-store"
    assert posted.headers["vary"] == "Accept"


async def test_mutation_by_get_is_refused_and_does_not_run() -> None:
    query = 'mutation { submit(input: {drafts: [{id: "1", count: 1}]}) { accepted } }'
    async with serving() as small:
        got = await small.client.get("/graphql", params={"query": query})
        assert small.ran == []
        posted = await small.post(query)
    assert (got.status_code, got.headers["allow"]) == (405, "POST")
    assert "data" not in got.json()
    assert posted.json() == {"data": {"submit": {"accepted": ["1"]}}}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
async def test_other_methods_are_refused(method: str) -> None:
    async with serving() as small:
        answer = await small.client.request(method, "/graphql")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert small.contexts == []


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=UTF-8", 200),
        ('application/json;charset="utf-8"', 200),
        ("application/json; charset=gbk", 415),
        ("application/graphql", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        (None, 415),
    ],
)
async def test_only_json_in_utf_8_is_accepted(content_type: str | None, status: int) -> None:
    headers = {"content-type": content_type} if content_type else {}
    async with serving() as small:
        answer = await small.client.post("/graphql", content=b'{"query":"{hello}"}', headers=headers)
    assert answer.status_code == status
    assert len(small.contexts) == (status == 200)


async def test_a_request_for_another_media_type_is_406() -> None:
    async with serving() as small:
        answer = await small.client.post("/graphql", json={"query": "{hello}"}, headers={"accept": "image/png"})
    assert answer.status_code == 406
    assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert small.contexts == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"3",
        b"[]",
        b'[{"query":"{hello}"}]',
        b"{}",
        b'{"query":null}',
        b'{"query":""}',
        b'{"query":1}',
        b'{"query":["{hello}"]}',
        b'{"query":"{hello}","variables":[]}',
        b'{"query":"{hello}","variables":"{}"}',
        b'{"query":"{hello}","operationName":1}',
        b'{"query":"{hello}","extensions":1}',
        b'{"query":"{hello}","variables":{"a":NaN}}',
        b'{"query":"{hello}","variables":{"a":1e999}}',
        b'{"query":"{hello}","variables":{"a":"\xff"}}',
        b'{"query":"{hello}","variables":{"a":"\\u0000"}}',
        b'{"query":"{hello}","variables":{"a":"\\ud83d"}}',
        b'{"query":"{hello}","variables":{"a":{"\\ud83d":{"b\\u0000":1}}}}',
        b'{"query":"{hello}","variables":{"a":"\\ud83d","b":NaN}}',
        b'{"query":"{hello} #\\u0000"}',
        b'{"query":"{hello} #\\ud800"}',
        b'{"query":"{hello}","operationName":"\\udc00"}',
        b'{"query":"{hello}","variables":' + b'{"a":' * 2000 + b"1" + b"}" * 2001,
        b'{"query":"{hello}","variables":{"s":"\\ud83d","a":' + b"[" * 90000 + b"]" * 90000 + b"}}",
        b'{"query":"{hello}","variables":{"s":"\\ud83d","a":' + b"9" * 90000 + b"}}",
    ],
)
@pytest.mark.parametrize("accept", [JSON, GRAPHQL_JSON])
async def test_malformed_bodies_are_400(body: bytes, accept: str) -> None:
    headers = {"content-type": "application/json", "accept": accept}
    async with serving() as small:
        answer = await small.client.post("/graphql", content=body, headers=headers)
    assert answer.status_code == 400, answer.text
    assert set(answer.json()) == {"errors"}
    assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert small.ran == []


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"query": ""},
        {"query": "{hello}", "variables": "{"},
        {"query": "{hello}", "variables": "[]"},
        {"query": "{hello}", "variables": '{"a":"\\u0000"}'},
        {"query": "{hello}", "extensions": "1"},
        {"query": "{hello\0}"},
    ],
)
async def test_malformed_query_strings_are_400(parameters: dict[str, str]) -> None:
    async with serving() as small:
        answer = await small.client.get("/graphql", params=parameters, headers={"accept": GRAPHQL_JSON})
    assert answer.status_code == 400
    assert "data" not in answer.json()
    assert small.ran == []


@pytest.mark.parametrize(
    ("request_", "hint"),
    [
        ({"query": "{"}, "Syntax Error"),
        ({"query": "{ nothing }"}, "Cannot query field 'nothing'"),
        ({"query": "query Q($n: String!) { hello(name: $n) }", "variables": {"n": None}}, "$n"),
        ({"query": "query Q($n: String!) { hello(name: $n) }", "variables": {"n": 10**30}}, "String cannot represent"),
        ({"query": "query A { hello } query B { hello }"}, "operationName"),
        ({"query": "query A { hello }", "operationName": "B"}, "'B'"),
        ({"query": "fragment F on Query { hello }"}, "operation"),
        ({"query": "{ ...F } fragment F on Query { ...G } fragment G on Query { ...F }"}, "fragment"),
        ({"query": "subscription { ticks }"}, "Subscriptions"),
    ],
)
async def test_the_media_type_decides_the_status_of_a_request_error(request_: dict[str, Any], hint: str) -> None:
    async with serving() as small:
        typed = await small.client.post("/graphql", json=request_, headers={"accept": GRAPHQL_JSON})
        plain = await small.client.post("/graphql", json=request_, headers={"accept": JSON})
    assert typed.status_code == 400
    assert plain.status_code == (400 if "Subscriptions" in hint else 200)
    for answer in (typed, plain):
        assert set(answer.json()) == {"errors"}
        assert hint in answer.json()["errors"][0]["message"]
    assert small.ran == []


async def test_null_parameters_and_an_empty_operation_name_count_as_absent() -> None:
    async with serving() as small:
        answer = await small.post("{ hello }", variables=None, operationName="", extensions=None)
    assert answer.json() == {"data": {"hello": "hello world"}}


async def test_only_the_named_operation_runs() -> None:
    async with serving() as small:
        answer = await small.post("query A { hello } query B { node { id } }", operationName="B")
    assert answer.json() == {"data": {"node": {"id": "1"}}}
    assert small.ran == ["node"]


@pytest.mark.parametrize(
    ("code", "typed", "plain"),
    [
        (RefusalCode.UNAUTHENTICATED, 401, 200),
        (RefusalCode.SESSION_ENDED, 401, 200),
        (RefusalCode.FORBIDDEN, 403, 200),
        (RefusalCode.TOO_MANY_ATTEMPTS, 429, 200),
        (RefusalCode.UNAVAILABLE, 503, 503),
        (RefusalCode.BAD_INPUT, 400, 200),
    ],
)
async def test_a_refusal_while_building_the_context_is_a_request_error(
    code: RefusalCode, typed: int, plain: int
) -> None:
    async def refuse(_: Request) -> Context:
        raise Refusal(code)

    async with serving(context_of=refuse) as small:
        for accept, status in ((GRAPHQL_JSON, typed), (JSON, plain)):
            answer = await small.post("{ hello }", accept=accept)
            assert answer.status_code == status
            assert set(answer.json()) == {"errors"}
            (error,) = answer.json()["errors"]
            assert error["extensions"]["code"] == code.value
            assert error["extensions"]["nextStep"] == Refusal(code).next_step.value
            assert error["extensions"]["messageZh"] == Refusal(code).message_zh
            assert ("www-authenticate" in answer.headers) == (status == 401)
            assert ("retry-after" in answer.headers) == (status in {429, 503})


async def test_an_error_while_building_the_context_is_masked() -> None:
    async def broken(_: Request) -> Context:
        raise RuntimeError(SECRET)

    async with serving(context_of=broken) as small:
        answer = await small.post("{ hello }")
    assert answer.status_code == 500
    assert answer.json()["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert SECRET not in answer.text


async def test_a_result_that_is_not_json_is_masked() -> None:
    async with serving() as small:
        answer = await small.post("{ half }")
    assert answer.status_code == 500
    assert set(answer.json()) == {"errors"}
    assert answer.json()["errors"][0]["extensions"]["code"] == "INTERNAL"


async def test_an_escaped_emoji_and_escapes_quoted_in_text_are_read() -> None:
    """A whole emoji that is sent as escapes must pass, and so must a text that quotes an escape.

    Only half of an emoji is refused. JavaScript since ES2019 sends half of an emoji as an escape.
    """
    body = b'{"query":"query($n: String!) {hello(name: $n)}","variables":{"n":"\\ud83d\\ude00 \\\\ud83d \\\\u0000"}}'
    async with serving() as small:
        answer = await small.client.post("/graphql", content=body, headers={"content-type": "application/json"})
    assert answer.json() == {"data": {"hello": "hello 😀 \\ud83d \\u0000"}}


async def test_a_browser_gets_the_page_and_a_post_gets_json() -> None:
    async def page(_: Request) -> Any:
        return HTMLResponse("<p>page")

    async with serving(page=page) as small:
        html = await small.client.get("/graphql", headers={"accept": BROWSER})
        posted = await small.client.post(
            "/graphql", content=json.dumps({"query": "{hello}"}), headers={"accept": BROWSER, "content-type": JSON}
        )
    assert html.text == "<p>page"
    assert posted.json()["data"] == {"hello": "hello world"}
