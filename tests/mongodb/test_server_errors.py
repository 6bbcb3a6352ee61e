"""Test that every error code of the server that passes by itself reaches callers as a typed refusal.

The server itself throws each code, by its fail points.
"""

import asyncio
from typing import Any

import pytest
from pymongo.helpers_shared import _NOT_PRIMARY_CODES, _RETRYABLE_ERROR_CODES, _SHUTDOWN_CODES

from schema.core.refusals import CATALOGUE, NextStep, Refusal
from storage.mongodb.client import Mongo
from storage.mongodb.errors import ERROR_NAMES, HISTORY_LOST, SERVER_ERRORS
from tests.support.fail_points import failing
from tests.support.small_schema import SECRET
from tests.support.world import SUBMIT, World, draft

NEED_MORE = frozenset({249, 13388})
"""Codes that a fail point can throw only together with details of shards, which a replica set does not have."""
THROWN = sorted(SERVER_ERRORS.keys() - NEED_MORE)


def test_the_table_holds_every_code_that_the_drivers_retry() -> None:
    assert SERVER_ERRORS.keys() >= (_RETRYABLE_ERROR_CODES | _NOT_PRIMARY_CODES | _SHUTDOWN_CODES)
    assert ERROR_NAMES.keys() == SERVER_ERRORS.keys()
    assert not HISTORY_LOST & SERVER_ERRORS.keys()
    assert {CATALOGUE[code].next_step for code in SERVER_ERRORS.values()} == {NextStep.RETRY_LATER}


@pytest.mark.both_drivers
async def test_every_code_of_the_table_is_refused_with_the_code_that_the_table_says(
    mongo: Mongo, system: Mongo
) -> None:
    things = mongo.collection("things")
    await things.insert_one({"_id": "a"})
    told: dict[int, list[str]] = {}
    for code in THROWN:
        async with failing(system, mongo, "things", errorCode=code):
            calls = (
                things.find({}),
                things.find_one({}),
                things.aggregate([{"$match": {}}]),
                things.count({}),
                things.insert_one({"_id": "b"}),
                things.insert_many([{"_id": "b"}]),
                things.update_one({"_id": "a"}, {"$set": {"n": 1}}),
                things.upsert_many([({"_id": "a"}, {"$set": {"n": 1}})]),
                things.change_one({"_id": "a"}, {"$set": {"n": 1}}),
                things.delete_many({"_id": "a"}),
            )
            told[code] = await asyncio.gather(*map(_refusal, calls))
    assert told == {code: [SERVER_ERRORS[code].value] * 10 for code in THROWN}
    assert await things.find({}) == [{"_id": "a"}]


async def _refusal(call: Any) -> str:
    try:
        await call
    except Refusal as refusal:
        return refusal.code.value
    return "nothing"


@pytest.mark.both_drivers
@pytest.mark.parametrize("code", [18, 91, 211, 11602, 14031])
async def test_a_failed_write_concern_is_refused_like_a_failed_command(mongo: Mongo, system: Mongo, code: int) -> None:
    things = mongo.collection("things")
    async with failing(system, mongo, "things", writeConcernError={"code": code, "errmsg": SECRET}):
        for call in (things.insert_one({"_id": code}), things.insert_many([{"_id": -code}])):
            with pytest.raises(Refusal) as refusal:
                await call
            assert refusal.value.code is SERVER_ERRORS[code]


@pytest.mark.both_drivers
async def test_an_unknown_code_that_the_server_labels_as_retryable_is_refused(mongo: Mongo, system: Mongo) -> None:
    how = {"errorCode": 479999, "errorLabels": ["RetryableError"]}
    async with failing(system, mongo, "things", **how):
        with pytest.raises(Refusal):
            await mongo.collection("things").find({})


@pytest.mark.parametrize("code", [211, 112, 11602])
async def test_a_phone_is_told_to_retry_and_nothing_was_stored(world: World, system: Mongo, code: int) -> None:
    before = await world.snapshot()
    sent = draft()
    async with failing(system, world.store.mongo, "observations", errorCode=code):
        answer = await world.ask("inspector", SUBMIT, input={"drafts": [sent]})
    refused = answer["submitObservations"]
    assert (refused["code"], refused["nextStep"]) == (SERVER_ERRORS[code].value, "RETRY_LATER")
    assert await world.snapshot() == before
    again = await world.ask("inspector", SUBMIT, input={"drafts": [sent]})
    assert again["submitObservations"]["results"][0]["outcome"] == "ACCEPTED"
