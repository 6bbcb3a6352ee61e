"""Test how callers see errors, and what is logged about unexpected errors."""

from typing import Any

import pytest
import structlog

from api.settings import Settings
from tests.support.small_schema import SECRET, serving


async def test_refusals_in_resolvers_carry_their_catalogue_entry() -> None:
    async with serving() as small:
        answer = await small.post("{ hello refused }")
    assert answer.status_code == 200
    assert answer.json() == {
        "data": {"hello": "hello world", "refused": None},
        "errors": [
            {
                "message": "There is no such record, or you may not see it.",
                "extensions": {
                    "code": "NOT_FOUND",
                    "nextStep": "DISCARD",
                    "messageZh": "没有这条记录，或您无权查看。",
                    "field": "id",
                },
                "locations": [{"line": 1, "column": 9}],
                "path": ["refused"],
            }
        ],
    }


@pytest.mark.parametrize("query", ["{ fails }", "{ x: failsSoftly }", "{ wrong }"])
async def test_an_unexpected_error_is_masked_and_logged(query: str) -> None:
    with structlog.testing.capture_logs() as lines:
        async with serving() as small:
            answer = await small.post(query)
    assert answer.status_code == 200
    (error,) = answer.json()["errors"]
    assert "data" in answer.json()
    assert error["extensions"]["code"] == "INTERNAL"
    assert error["extensions"]["nextStep"] == "RETRY_LATER"
    assert error["message"].startswith("Something went wrong on our side. Quote this number: ")
    assert SECRET not in answer.text
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("fault", "error")
    assert line["field"] in query
    assert isinstance(line["exc_info"], Exception)


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ hello(", None),
        ("{ hello(name: 3) }", None),
        ("{ hello { x } }", None),
        ("query($n: Int!) { halfOf(number: $n) }", {"n": "x"}),
        ("query($n: String) { hello(name: $n) }", {"n": None}),
    ],
)
async def test_a_callers_mistake_is_reported_as_bad_user_input(query: str, variables: Any) -> None:
    async with serving() as small:
        answer = await small.post(query, variables=variables)
    for error in answer.json()["errors"]:
        assert error["extensions"] == {
            "code": "BAD_USER_INPUT",
            "nextStep": "FIX_AND_RESEND",
            "messageZh": "填写的内容不符合要求。",
            "field": None,
        }
    assert small.ran == []


async def test_the_number_of_errors_in_a_response_is_capped() -> None:
    async with serving() as small:
        invalid = await small.post("{ node {" + " ".join(f"unknown{n}" for n in range(150)) + "} }")
        failing = await small.post("{" + " ".join(f"a{n}: failsSoftly" for n in range(9)) + "}")
        values = await small.post(
            "mutation($i: SubmitInput!) { submit(input: $i) { accepted } }",
            variables={"i": {f"unknown{n}": n for n in range(3000)}},
        )
    assert len(invalid.json()["errors"]) == 20
    assert len(failing.json()["errors"]) == 9
    assert len(values.json()["errors"]) <= 20
    assert len(values.content) < 20_000


async def test_messages_reveal_nothing_of_the_schema_without_introspection() -> None:
    async with serving(Settings(introspection=False)) as small:
        for query in ("{ helo }", "{ node { nam } }", "{ hello(nane: 1) }", "{ node { ... on Nod { id } } }"):
            answer = await small.post(query)
            assert [error["message"] for error in answer.json()["errors"]] == ["This document does not fit the schema."]
        syntax = await small.post("{ hello")
        values = await small.post(
            "mutation($i: SubmitInput!) { submit(input: $i) { accepted } }", variables={"i": {"drafts": [], "nota": ""}}
        )
        schema = await small.post("{ __schema { types { name } } }")
        type_ = await small.post('{ __type(name: "Query") { name } }')
        name = await small.post("{ __typename }")
    assert syntax.status_code == 400
    assert "Did you mean" not in values.text
    for answer in (schema, type_):
        assert answer.status_code == 400
        assert "data" not in answer.json()
    assert name.json() == {"data": {"__typename": "Query"}}
