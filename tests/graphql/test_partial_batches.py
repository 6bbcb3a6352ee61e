"""Test the salvage of batches over HTTP.

Bad drafts are removed and reported, and good drafts are executed. A fault outside the drafts fails the request.
"""

import json
from typing import Any

import httpx
import pytest

from api.graphql.requests import unfit_paths
from tests.support.small_schema import Served, serving

SUBMIT = "mutation S($input: SubmitInput!) { submit(input: $input) { accepted unreadable } }"


def draft(id: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "count": 1, **more}


async def submit(small: Served, drafts: Any, query: str = SUBMIT, **more: Any) -> dict[str, Any]:
    answer = await small.post(query, variables={"input": {"drafts": drafts, **more}})
    found: dict[str, Any] = answer.json()
    return found


async def test_good_drafts_pass_unchanged() -> None:
    async with serving() as small:
        answer = await submit(small, [draft("a"), draft("b")])
    assert answer == {"data": {"submit": {"accepted": ["a", "b"], "unreadable": []}}}
    assert small.ran == ["submit"]


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        (draft("b", count="many"), "1 b drafts.1.count"),
        ({"id": "b"}, "1 b drafts.1"),
        (draft("b", colour="GREEN"), "1 b drafts.1.colour"),
        (draft("b", unknown=1), "1 b drafts.1"),
        (draft("b", parts=[draft("c"), draft("d", count=2**40)]), "1 b drafts.1.parts.1.count"),
        (draft("b", text="NUL\0"), "1 b drafts.1.text"),
        (draft("b", text="cut \ud83d"), "1 b drafts.1.text"),
        (draft("b", **{"k\0": 1}), "1 b drafts.1"),
        (draft("\ud83d"), "1 None drafts.1.id"),
        (draft("x" * 101, count=None), "1 None drafts.1.count"),
        ({"id": {"a": 1}, "count": 1}, "1 None drafts.1.id"),
        (None, "1 None drafts.1"),
        ("text", "1 None drafts.1"),
    ],
)
async def test_a_bad_draft_is_removed_and_reported(bad: Any, named: str) -> None:
    async with serving() as small:
        answer = await submit(small, [draft("a"), bad, draft("c")])
    assert answer == {"data": {"submit": {"accepted": ["a", "c"], "unreadable": [named]}}}
    assert small.ran == ["submit"]


async def test_reported_positions_are_those_in_the_sent_list() -> None:
    drafts = [draft("a", count="x"), draft("b"), draft("c\0"), draft("d", text="\udc00", count="x"), draft("e")]
    async with serving() as small:
        answer = await submit(small, drafts)
    assert answer["data"]["submit"]["accepted"] == ["b", "e"]
    assert [entry.split()[0] for entry in answer["data"]["submit"]["unreadable"]] == ["0", "2", "3"]


async def test_the_operation_reports_every_draft_when_all_are_bad() -> None:
    async with serving() as small:
        answer = await submit(small, [draft("a", count="x"), draft("b", count="y")])
    assert answer["data"]["submit"] == {"accepted": [], "unreadable": ["0 a drafts.0.count", "1 b drafts.1.count"]}


async def test_drafts_in_a_variable_of_their_own_are_salvaged() -> None:
    query = "mutation S($drafts: [Draft!]!) { submit(input: {drafts: $drafts}) { accepted unreadable } }"
    async with serving() as small:
        answer = (await small.post(query, variables={"drafts": [draft("a"), {}]})).json()
    assert answer["data"]["submit"] == {"accepted": ["a"], "unreadable": ["1 None drafts.1"]}


@pytest.mark.parametrize(
    "variables",
    [
        {"input": {"drafts": [draft("a"), draft("b", count="x")], "note": 3}},
        {"input": {"drafts": [draft("a", count="x")], "odd": 1}},
        {"input": {"drafts": draft("a", count="x")}},
        {"input": {"drafts": None}},
        {"input": {"drafts": 3}},
        {"input": None},
        {},
        {"input": {"drafts": [draft("a")], "note": "\0"}},
        {"input": {"drafts": [draft("a", text="\0")], "note": "\ud800"}},
    ],
)
async def test_a_fault_outside_the_drafts_fails_the_request(variables: dict[str, Any]) -> None:
    async with serving() as small:
        answer = await small.post(SUBMIT, variables=variables)
    assert answer.status_code == 400
    assert {error["extensions"]["code"] for error in answer.json()["errors"]} == {"BAD_USER_INPUT"}
    assert small.ran == []


async def test_each_of_two_fields_reports_its_own_drafts() -> None:
    query = """mutation S($a: SubmitInput!, $b: SubmitInput!) {
        a: submit(input: $a) { accepted unreadable } b: submit(input: $b) { accepted unreadable } }"""
    variables = {"a": {"drafts": [draft("a")]}, "b": {"drafts": [draft("b", count="x"), draft("c")]}}
    async with serving() as small:
        answer = (await small.post(query, variables=variables)).json()["data"]
    assert answer["a"] == {"accepted": ["a"], "unreadable": []}
    assert answer["b"] == {"accepted": ["c"], "unreadable": ["0 b drafts.0.count"]}


@pytest.mark.parametrize(
    "query",
    [
        "mutation S($a: SubmitInput!) { a: submit(input: $a) { accepted } b: submit(input: $a) { accepted } }",
        "mutation S($a: SubmitInput!) { ...Both } fragment Both on Mutation { submit(input: $a) { accepted } }",
        """mutation S($a: [Draft!]!, $b: [Draft!]!) {
            submit(input: {drafts: $a}) { accepted } s: submit(input: {drafts: $a}) { accepted } }""",
    ],
)
async def test_drafts_are_not_salvaged_when_their_field_is_ambiguous(query: str) -> None:
    bad = [draft("a"), draft("b", count="x")]
    variables = {"a": bad if "[Draft" in query else {"drafts": bad}, "b": []}
    async with serving() as small:
        answer = await small.post(query, variables=variables)
    assert answer.status_code == 400
    assert small.ran == []


@pytest.mark.parametrize("bad", [draft("b", text="\0"), draft("b", count="x")])
async def test_a_bad_document_is_not_salvaged(bad: dict[str, Any]) -> None:
    async with serving() as small:
        answer = await submit(small, [bad], query="mutation S($input: SubmitInput!) { submit(input: $input) { odd } }")
        broken = await submit(small, [bad], query="mutation S($input: SubmitInput!) { submit(")
    assert "odd" in answer["errors"][0]["message"]
    assert broken["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert small.ran == []


async def test_a_deeply_nested_draft_causes_no_internal_error() -> None:
    deep = draft("z")
    for _ in range(450):
        deep = draft("y", parts=[deep])
    async with serving() as small:
        answer = await small.post(SUBMIT, variables={"input": {"drafts": [draft("a"), deep]}})
    assert answer.status_code in {200, 400}
    assert "INTERNAL" not in answer.text


async def test_messages_are_short_and_the_answer_is_utf8() -> None:
    async with serving() as small:
        raw = json.dumps({"query": SUBMIT, "variables": {"input": {"drafts": [draft("a", count="\ud83d" * 5000)]}}})
        headers = {"content-type": "application/json"}
        answer: httpx.Response = await small.client.post("/graphql", content=raw, headers=headers)
    assert answer.json()["data"]["submit"]["unreadable"] == ["0 a drafts.0.count"]
    assert all(len(bad.message) <= 300 for context in small.contexts for bad in context.unreadable["submit"])


def test_invalid_text_is_found_at_any_path() -> None:
    found = unfit_paths({"a": ["x", {"b": "\0"}], "c\ud800": {"d": "\0"}, "e": 1, "f": None, "g": "😀"})
    assert sorted(map(str, found)) == ["()"]
    found = unfit_paths({"a": ["x", {"b": "\0"}], "h": "\udfff"})
    assert sorted(map(str, found)) == ["('a', 1, 'b')", "('h',)"]
