"""Test contract levels: what raises one, what must never change, and what an outdated phone can still do."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import FieldNode, OperationDefinitionNode, build_schema, parse
from graphql.utilities.find_schema_changes import find_breaking_changes

from api.http.contract_level import outdated_refusal, parse_level, sunset_header
from api.server.app import create_app
from api.settings import Settings
from mobile_contract import documents, levels
from mobile_contract.documents import digest, text_of
from mobile_contract.levels import BreakingChangeError, Levels, changes_of
from schema.access.permissions import OUTBOX
from schema.core.refusals import Refusal
from scripts.export import plan_files
from storage.store import Store
from tests.support.world import SCHEMA, World, draft

DAY, LATER = date(2026, 11, 23), date(2028, 11, 23)
SDL = """
"A person."
type Query { me: String old: Int }
type Mutation { submit(input: Draft!): ID }
input Draft { id: ID! text: String }
"""
ME = "query Me { me }\n"
SUBMIT = "mutation SubmitObservations($input: Draft!) { submit(input: $input) }\n"


def manifest(**texts: str) -> dict[str, Any]:
    return {"operations": [{"id": digest(text), "name": name, "body": text} for name, text in texts.items()]}


def files(sdl: str = SDL, current: int = 1, **texts: str) -> dict[str, str]:
    return {
        "schema.graphql": sdl,
        "oldest.graphql": sdl,
        "documents.json": documents.manifest_text(manifest(**texts)),
        "retired.json": documents.manifest_text({"operations": []}),
        "level.json": Levels(current, 1).as_text(),
        "CHANGELOG.md": "# Changes\n\n## Level 1 · 2026-11-22\n\nThe first.\n",
    }


BEFORE = files(Me=ME, SubmitObservations=SUBMIT)
SAME = manifest(Me=ME, SubmitObservations=SUBMIT)


def test_a_changed_description_does_not_raise_the_level() -> None:
    described = SDL.replace("A person.", "Somebody.")
    new = plan_files(BEFORE, described, SAME, DAY)
    assert set(new) == {"schema.graphql", "documents.json"}
    assert new["schema.graphql"] == described


def test_an_addition_raises_the_level_and_is_listed_in_the_changelog() -> None:
    wider = SDL.replace("old: Int", "old: Int new(first: Int): [String!]!").replace(
        "text: String", "text: String at: ID"
    )
    new = plan_files(BEFORE, wider, manifest(Me=ME, SubmitObservations=SUBMIT, News="query News { new }\n"), DAY)
    assert Levels.parse(new["level.json"]) == Levels(2, 1)
    assert new["CHANGELOG.md"] == (
        "# Changes\n\n## Level 2 · 2026-11-23\n\n- An optional field Draft.at was added.\n- Field Query.new was added.\n"
        "- Operation News was added.\n\n## Level 1 · 2026-11-22\n\nThe first.\n"
    )
    assert "oldest.graphql" not in new


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("old: Int", ""),
        ("old: Int", "old: String"),
        ("me: String", "me(of: ID!): String"),
        ("text: String", "text: String at: ID!"),
        ("text: String", "text: String!"),
    ],
)
def test_a_breaking_change_is_refused_without_a_reason_and_an_end_date(was: str, becomes: str) -> None:
    narrower = SDL.replace(was, becomes)
    for given in ({}, {"why": "No phone asks it."}, {"until": LATER}):
        with pytest.raises(BreakingChangeError) as broken:
            plan_files(BEFORE, narrower, SAME, DAY, **given)
        assert all(change.is_breaking for change in broken.value.changes)


def test_an_intended_breaking_change_ends_the_earlier_levels() -> None:
    narrower = SDL.replace("old: Int", "")
    new = plan_files(BEFORE, narrower, SAME, DAY, why="No phone asks it.", until=LATER)
    raised = Levels.parse(new["level.json"])
    assert raised == Levels(2, 2, {1: LATER})
    assert "No phone asks it.\n\n- **Breaking.** Field Query.old was removed." in new["CHANGELOG.md"]
    assert new["oldest.graphql"] == narrower
    assert raised.is_supported(1, LATER)
    assert not raised.is_supported(1, date(2028, 11, 24))
    further = plan_files(BEFORE | new, SDL.replace("old: Int", "other: Int"), SAME, DAY)
    assert Levels.parse(further["level.json"]) == Levels(3, 2, {1: LATER})


def test_a_change_that_breaks_phone_outboxes_is_always_refused() -> None:
    narrower = SDL.replace("submit(", "submitAll(")
    changed = manifest(Me=ME, SubmitObservations=SUBMIT.replace("submit(", "submitAll("))
    with pytest.raises(BreakingChangeError, match="SubmitObservations of level 1"):
        plan_files(BEFORE, narrower, changed, DAY, why="A better name.", until=LATER)


def test_a_changed_operation_stays_trusted_for_phones_that_send_it() -> None:
    changed = manifest(Me="query Me { me old }\n", SubmitObservations=SUBMIT)
    new = plan_files(BEFORE, SDL, changed, DAY)
    [retired] = json.loads(new["retired.json"])["operations"]
    assert (retired["id"], retired["body"], retired["level"]) == (digest(ME), ME, 1)
    assert Levels.parse(new["level.json"]) == Levels(2, 1)
    asked_no_more = manifest(Me="query Me { old }\n", SubmitObservations=SUBMIT)
    without = SDL.replace("me: String", "")
    with pytest.raises(BreakingChangeError, match="removed"):
        plan_files(BEFORE | new, without, asked_no_more, DAY)
    back = plan_files(BEFORE | new, SDL, SAME, DAY)
    assert [each["body"] for each in json.loads(back["retired.json"])["operations"]] == ["query Me { me old }\n"]


def root_fields(text: str) -> set[str]:
    [operation] = [each for each in parse(text).definitions if isinstance(each, OperationDefinitionNode)]
    return {each.name.value for each in operation.selection_set.selections if isinstance(each, FieldNode)}


def test_the_stored_contract_breaks_no_supported_level() -> None:
    kept, sdl = Levels.read(), levels.SDL.read_text(encoding="utf-8")
    retired = json.loads(documents.RETIRED.read_text(encoding="utf-8"))["operations"]
    oldest = levels.OLDEST.read_text(encoding="utf-8")
    assert find_breaking_changes(build_schema(oldest), build_schema(sdl)) == []
    assert list(levels.broken_documents(sdl, retired, kept.oldest)) == []
    assert [change for change in changes_of(oldest, sdl) if change.is_breaking] == []
    heads = [line for line in levels.CHANGELOG.read_text(encoding="utf-8").splitlines() if line.startswith("## Level ")]
    assert [int(head.split()[2]) for head in heads] == list(range(kept.current, 0, -1))
    assert {f"Mutation.{field}" for name in levels.OUTBOX for field in root_fields(text_of(name))} == OUTBOX


@pytest.mark.parametrize(
    ("header", "level"),
    [(None, None), ("1", 1), ("007", 7), ("", ...), ("-1", ...), ("1.0", ...), ("１", ...), ("1" * 10, ...)],
)
def test_a_level_header_must_be_a_whole_number(header: str | None, level: Any) -> None:
    if level is ...:
        with pytest.raises(Refusal):
            parse_level(header)
    else:
        assert parse_level(header) == level


LEVELS = Levels(5, 4, {3: LATER, 2: date(2026, 1, 31)})


@pytest.mark.both_drivers
async def test_an_outdated_phone_can_still_empty_its_outbox(world: World) -> None:
    assert outdated_refusal(LEVELS, None, DAY) is None
    for works in (3, 4, 5, 6):
        assert outdated_refusal(LEVELS, works, DAY) is None
    assert outdated_refusal(LEVELS, 1, DAY)
    refusal = outdated_refusal(LEVELS, 2, DAY)
    assert refusal
    assert "worked until 2026-01-31" in str(refusal)
    context = replace(world.context("inspector"), outdated=refusal)
    asked = await SCHEMA.execute("{ me { userName } }", context_value=context)
    assert asked.errors
    assert getattr(asked.errors[0].original_error, "code", None) is refusal.code
    signed_out = await SCHEMA.execute("mutation { signOut { ... on Refused { code } } }", context_value=context)
    assert signed_out.data == {"signOut": {"code": "LEVEL_TOO_OLD"}}
    sent = draft()
    done = await SCHEMA.execute(
        "mutation($input: SubmitObservationsInput!) { submitObservations(input: $input) "
        "{ ... on SubmitObservationsPayload { results { outcome } } } }",
        variable_values={"input": {"drafts": [sent]}},
        context_value=context,
    )
    assert done.data == {"submitObservations": {"results": [{"outcome": "ACCEPTED"}]}}


@pytest.mark.both_drivers
async def test_every_answer_names_the_current_level_and_the_end_of_the_phones_level(
    kept: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Levels, "read", lambda: LEVELS)
    app = create_app(Settings(data=tmp_path), kept)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mingcha") as client:
        for named, end, code in (
            ("5", None, "UNAUTHENTICATED"),
            ("3", "Thu, 23 Nov 2028 23:59:59 GMT", "UNAUTHENTICATED"),
            ("2", "Sat, 31 Jan 2026 23:59:59 GMT", "LEVEL_TOO_OLD"),
            ("1", None, "LEVEL_TOO_OLD"),
            ("one", None, "BAD_INPUT"),
        ):
            answer = await client.post(
                "/graphql", json={"query": "{ me { userName } }"}, headers={"Mingcha-Level": named}
            )
            assert (answer.headers["Mingcha-Level"], answer.headers.get("Sunset")) == ("5", end)
            assert answer.json()["errors"][0]["extensions"]["code"] == code
    assert sunset_header(LEVELS, "x") is None
    assert datetime.now(UTC).date() < LATER


def test_a_change_of_texts_raises_the_level_only_when_it_is_announced() -> None:
    described = SDL.replace("A person.", "A person who is signed in.")
    assert "level.json" not in plan_files(BEFORE, described, SAME, DAY)
    new = plan_files(BEFORE, described, SAME, DAY, texts="Descriptions are in plain English.")
    assert Levels.parse(new["level.json"]) == Levels(2, 1)
    assert "- Descriptions are in plain English." in new["CHANGELOG.md"]
