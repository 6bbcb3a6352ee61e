"""Test the indexes of all collections: those of earlier versions go, also if several processes start together."""

import asyncio
import json
from pathlib import Path

from storage.indexes import INDEXES, RETIRED, ensure_indexes
from storage.mongodb.client import ASCENDING, Mongo

EVER_MADE = Path(__file__).parents[1] / "stored" / "index_names.json"
"""Each index that any version has made, by collection. A name stays here for ever."""


def names_made(collection: str) -> set[str]:
    return {"_".join(f"{field}_{order}" for field, order in keys) for keys, _ in INDEXES[collection]}


async def names(mongo: Mongo, collection: str) -> set[str]:
    listed = await mongo.command("listIndexes", collection)
    return {each["name"] for each in listed["cursor"]["firstBatch"]}


def test_every_index_that_was_ever_made_is_made_or_retired() -> None:
    ever = json.loads(EVER_MADE.read_text())
    assert set(ever) == {collection for collection in INDEXES if names_made(collection)}
    for collection, ever_made in ever.items():
        retired = set(RETIRED.get(collection, ()))
        assert names_made(collection) | retired == set(ever_made), f"{collection}: retire an index that is not made"
        assert not names_made(collection) & retired


async def test_starts_drop_retired_indexes_and_no_others(mongo: Mongo) -> None:
    for collection, retired in RETIRED.items():
        for name in [*retired, "an_operators_own"]:
            await mongo.collection(collection).create_index([(f"made.{name}", ASCENDING)], name=name)
    await asyncio.gather(*(ensure_indexes(mongo) for _ in range(3)))
    for collection in RETIRED:
        assert await names(mongo, collection) == {"_id_", *names_made(collection), "an_operators_own"}
        await mongo.command("dropIndexes", collection, index="an_operators_own")
