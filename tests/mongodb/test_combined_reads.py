"""Test reads that run together as one command."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from strawberry import ID

from schema.media.media import Media
from schema.organisation.units import Unit
from storage.embedded.engines import Addresses
from storage.mongodb.client import DESCENDING, Mongo
from storage.mongodb.codecs import to_document
from storage.mongodb.combined_reads import Read, run_together
from storage.mongodb.records import Records
from tests.stored.fixed_records import whole_unit
from tests.support.command_counter import Commands
from tests.support.world import World, draft, medium, new_id


async def test_reads_that_run_together_find_what_each_finds_alone(world: World) -> None:
    store, photos = world.store, [medium(), medium()]
    ids = [await world.observe("inspector", media=[photo]) for photo in photos]
    media, wanted = Records(store.mongo, "media", Media), {"_id": photos[0]["id"]}
    sent = {photos[0]["sha256"]}
    reads: tuple[Read[Any], ...] = (
        store.units.read_named(["360703-JT-1", "360783"]),
        store.monitoring_points.read_named(["GZ-001", "unknown"]),
        store.observations.read_many([*ids, new_id("obs")]),
        media.read(wanted),
        media.read({"_id": {"$in": []}}),
        store.media.count_known_bytes(str(world.people["inspector"].id), sent, world.context(None).now - timedelta(1)),
    )
    await run_together(store.mongo, reads)
    units, points, observations, found, nothing, known = (read.result for read in reads)
    alone = await store.units.named(["360703-JT-1", "360783"])
    assert sorted(unit.id for unit in units) == sorted(unit.id for unit in alone)
    assert [unit for unit in units if unit not in alone] == []
    assert points == await store.monitoring_points.named(["GZ-001", "unknown"])
    in_order = {observation.id: observation for observation in observations}
    assert in_order == {observation.id: observation for observation in await store.observations.many(ids)}
    assert (found, nothing) == (await media.find(wanted), [])
    assert (known.counts, known.copies) == ({}, 0)


async def test_a_draft_that_names_no_unit_and_has_no_media_is_placed(world: World) -> None:
    [result] = await world.submit("inspector", draft(unit=None))
    assert (result["outcome"], result["observation"]["placement"], result["uploads"]) == ("ACCEPTED", "PLACED", [])


async def test_reads_of_many_records_take_one_command(engines: Addresses, mongo: Mongo) -> None:
    """MongoDB puts 101 documents into the first reply to an aggregation by itself."""
    units = [replace(whole_unit(), id=ID(f"unt_{number:03d}"), code=f"{number:03d}") for number in range(150)]
    await mongo.collection("units").insert_many([to_document(unit) for unit in units])
    commands = Commands()
    counted = Mongo(engines.mongo_url, mongo.name, listeners=[commands])
    records = Records(counted, "units", Unit)
    newest = records.read({"code": {"$gte": "100"}}, sort=[("code", DESCENDING)], limit=2)
    reads: tuple[Read[Any], ...] = (
        records.read({}),
        newest,
        records.read_ids({"code": "007"}, limit=1),
        records.read_values("code", {"code": {"$lt": "002"}}),
        records.read_values("code", {"code": "none"}),
    )
    try:
        await run_together(counted, reads)
        together = [read.result for read in reads]
        assert commands.names == {"aggregate": 1}
        await run_together(counted, [newest])
    finally:
        await counted.close()
    assert sorted(unit.id for unit in together[0]) == [unit.id for unit in units]
    assert {unit.code for unit in together[1]} == {"149", "148"}
    assert together[2:] == [["unt_007"], ["000", "001"], []]
    assert [unit.code for unit in newest.result] == ["149", "148"]
