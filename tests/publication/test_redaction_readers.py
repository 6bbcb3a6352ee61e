"""Test who finds a redaction, in which state and by which query, and the log of who got access to which bytes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from schema.publication.redactions import RedactionState
from tests.support.redactions import (
    approved,
    awaiting,
    corrected,
    of_medium,
    one,
    ready_photo,
    requested,
    take,
    worker,
)
from tests.support.world import World, new_id

EVERYBODY = ("inspector", "supervisor", "officer", "clerk", "city_officer", "neighbour", "monitor", "liaison", "admin")


async def test_access_to_the_original_and_the_copy_is_logged(world: World, tmp_path: Path) -> None:
    _, photo = await ready_photo(world)
    made = await awaiting(world, tmp_path, photo)
    await one(world, "clerk", made["id"])
    logged = [
        {key: each.get(key) for key in ("rendition", "user_id", "purpose", "redaction_id")}
        for each in await world.store.media.find_accesses(photo)
    ]
    officer, clerk = world.people["officer"].id, world.people["clerk"].id
    original = {"rendition": "ORIGINAL", "user_id": officer, "purpose": "通报用图", "redaction_id": made["id"]}
    copy = {"rendition": "REDACTED", "purpose": None, "redaction_id": made["id"]}
    assert logged == [original, original, copy | {"user_id": officer}, copy | {"user_id": clerk}]
    await corrected(world, made["id"], "clerk", revision=1)
    assert await worker(world, tmp_path).do_one()
    assert [each["user_id"] for each in await world.store.media.find_accesses(photo)][4:] == [clerk]


async def test_only_officers_in_scope_find_a_redaction_before_its_approval(world: World, tmp_path: Path) -> None:
    observation, photo = await ready_photo(world)
    made = await awaiting(world, tmp_path, photo)
    asked = "query($id: ID!) { node(id: $id) { id } }"

    async def finders() -> set[str]:
        found = set()
        for name in EVERYBODY:
            by_node = (await world.ask(name, asked, id=made["id"]))["node"] is not None
            if name in {"inspector", "supervisor", "officer", "clerk", "city_officer", "neighbour", "monitor"}:
                assert (await one(world, name, made["id"]) is not None) == by_node, name
            if by_node:
                found.add(name)
        return found

    assert await finders() == {"officer", "clerk", "city_officer"}
    assert await of_medium(world, "inspector", observation) == []
    assert await of_medium(world, "supervisor", observation) == []
    [shown] = await of_medium(world, "clerk", observation)
    assert shown["link"] is not None
    before = await world.snapshot()
    for what, input in (
        ("correct", {"revision": 1, "boxes": []}),
        ("approve", {"sha256": made["rendering"]["sha256"]}),
        ("reject", {"reason": "不宜"}),
    ):
        refused = await take(world, "neighbour", what, id=new_id("evt"), redactionId=made["id"], **input)
        assert (refused["code"], refused["field"]) == ("NOT_FOUND", "redactionId")
    assert await world.snapshot() == before
    assert (await approved(world, made, "city_officer"))["state"] == "APPROVED"
    assert await finders() == {"inspector", "supervisor", "officer", "clerk", "city_officer"}


async def test_officers_list_the_redactions_in_their_scope(world: World, tmp_path: Path) -> None:
    listed = """
    query($states: [RedactionState!], $first: Int!, $after: String) {
      redactions(states: $states, first: $first, after: $after) {
        edges { node { id state } } pageInfo { hasNextPage endCursor }
      }
    }"""
    _, photo = await ready_photo(world)
    waiting = (await awaiting(world, tmp_path, photo))["id"]
    others = [await requested(world, photo) for _ in range(2)]

    async def ids(name: str, **variables: Any) -> list[str]:
        found: list[str] = []
        after = None
        while True:
            page = (await world.ask(name, listed, first=1, after=after, **variables))["redactions"]
            found += [edge["node"]["id"] for edge in page["edges"]]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                return found

    assert await ids("clerk", states=["AWAITING_APPROVAL"]) == [waiting]
    assert await ids("city_officer") == [*reversed(others), waiting]
    assert await ids("clerk", states=[]) == []
    assert await ids("neighbour") == []
    assert await world.errors("supervisor", listed, first=1) == ["FORBIDDEN"]


async def test_access_to_the_bytes_depends_on_state_and_scope_alone(world: World, tmp_path: Path) -> None:
    """This rule applies in addition to the filters. Without it, a record found in another way would open its bytes."""
    _, photo = await ready_photo(world)
    [made] = await world.store.redactions.many([(await awaiting(world, tmp_path, photo))["id"]])
    opened = {
        state: {name for name in EVERYBODY if replace(made, state=state).is_open_to(world.viewer(name))}
        for state in RedactionState
    }
    assert opened.pop(RedactionState.APPROVED) == set(EVERYBODY)
    assert opened.pop(RedactionState.AWAITING_APPROVAL) == {"officer", "clerk", "city_officer"}
    assert set().union(*opened.values()) == set()
