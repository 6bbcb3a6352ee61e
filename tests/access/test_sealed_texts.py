"""Test that cursors and pack addresses tell their holder nothing, and that cursors of earlier versions still open."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from schema.core.pagination import CursorSeal
from schema.core.refusals import Refusal
from tests.support.world import World

LIST = "{ observations(first: 1) { edges { cursor } pageInfo { endCursor } } }"
PULL = "{ changes { ... on ChangePage { cursor } } }"
PACK = "query($id: ID!) { observation(id: $id) { pack { url } } }"


def readable(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signed_cursor(secret: bytes, binding: list[Any], keyset: list[Any]) -> str:
    """Return a cursor as versions before 2026-12 made it."""
    bound = json.dumps(binding, default=str, ensure_ascii=False, sort_keys=True).encode()
    key = hmac.digest(secret, hashlib.sha256(bound).digest(), "sha256")
    body = json.dumps(keyset, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(hmac.digest(key, body, "sha256")[:12] + body).decode().rstrip("=")


async def test_a_list_cursor_hides_the_exact_time_of_receipt(world: World) -> None:
    id = await world.observe()
    [stored] = await world.store.observations.many([id])
    page = (await world.ask("clerk", LIST))["observations"]
    cursors = {page["pageInfo"]["endCursor"], page["edges"][0]["cursor"]}
    assert len(cursors) == 1
    for cursor in cursors:
        assert stored.received_at.isoformat()[:10].encode() not in readable(cursor)
        assert id.encode() not in readable(cursor)


async def test_a_pull_cursor_hides_topics_and_numbers(world: World) -> None:
    cursor = (await world.ask("inspector", PULL))["changes"]["cursor"]
    assert b'["",{},{}]' not in readable(cursor), "a pull before the first worker has run has read nothing"


async def test_a_pack_address_hides_who_downloads(world: World) -> None:
    id = await world.observe()
    link = (await world.ask("clerk", PACK, id=id))["observation"]["pack"]["url"]
    read = readable(link.rsplit("/", 1)[-1])
    for hidden in (world.people["clerk"].id, world.devices["clerk"], id):
        assert hidden.encode() not in read
    assert b"user_id" not in read


def test_a_cursor_of_an_earlier_version_still_opens_for_its_holder_only() -> None:
    secret, binding, keyset = b"secret", ["usr_1", "changes"], ["epoch", {"oAAAA": 7}, {}]
    former = signed_cursor(secret, binding, keyset)
    assert CursorSeal(secret, binding).open(former) == tuple(keyset)
    for seal in (CursorSeal(b"other", binding), CursorSeal(secret, ["usr_2", "changes"])):
        with pytest.raises(Refusal):
            seal.open(former)
    with pytest.raises(Refusal):
        CursorSeal(secret, binding).open("A" + former[1:] if former[0] != "A" else "B" + former[1:])
