"""Test what is refused while a disk is full."""

from dataclasses import replace
from pathlib import Path

import pytest

from schema.access.permissions import WITHOUT_SPACE
from tests.support.uploads import REQUEST
from tests.support.world import CASE, OPEN, REFUSED, SCHEMA, SUBMIT, World, draft, medium, new_id

SYNC = f"mutation {{ sync(input: {{}}) {{ ... on SyncPayload {{ serverTime }} {REFUSED} }} }}"


@pytest.fixture
async def full(world: World, tmp_path: Path) -> World:
    """Return a world with a case, on a disk that is full now."""
    await world.open_case()
    world.settings = replace(world.settings, storage_folders=(str(tmp_path),), min_free_bytes=2**62)
    return world


async def test_writes_are_refused_and_change_nothing_and_reads_go_on(full: World) -> None:
    [case] = (await full.ask("officer", "{ cases { edges { node { id } } } }"))["cases"]["edges"]
    before = await full.snapshot()
    opened = {"id": new_id("cas"), "title": "窗口", "observationIds": [str(before["observations"][0]["_id"])]}
    for name, operation, given in (
        ("inspector", SUBMIT, {"drafts": [draft()]}),
        ("inspector", REQUEST, {"media": [{"mediaId": medium()["id"]}]}),
        ("officer", OPEN, opened),
    ):
        [answer] = (await full.ask(name, operation, input=given)).values()
        assert (answer["code"], answer["nextStep"]) == ("UNAVAILABLE", "RETRY_LATER")
        assert answer["message"].startswith("The server's disk is nearly full.")
    assert await full.snapshot() == before
    assert (await full.ask("officer", CASE, id=case["node"]["id"]))["case"]["observations"]
    assert "serverTime" in (await full.ask("inspector", SYNC))["sync"]


def test_the_mutations_that_need_no_space_exist() -> None:
    mutation = SCHEMA._schema.mutation_type
    assert mutation
    assert {f"Mutation.{name}" for name in mutation.fields} > WITHOUT_SPACE
