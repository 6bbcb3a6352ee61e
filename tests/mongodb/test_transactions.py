"""Test transactions under both drivers: a conflict at commit is retried, so no caller sees it."""

from typing import Any

import pytest
from pymongo.errors import OperationFailure

from schema.core.refusals import Refusal, RefusalCode
from storage.mongodb.client import Mongo, Session

pytestmark = pytest.mark.both_drivers


def failing_once(session: Session, label: str, *, committed: bool) -> None:
    """Make the next commit report an error with `label`, either after a real commit or instead of it."""
    commit = session.commit_transaction

    async def fail() -> None:
        session.commit_transaction = commit
        await (commit() if committed else session.abort_transaction())
        raise OperationFailure("as the server says it", 112, {"errorLabels": [label]})

    session.commit_transaction = fail


async def test_a_conflict_at_commit_repeats_the_whole_transaction(mongo: Mongo) -> None:
    things, runs = mongo.collection("things"), 0

    async def work(session: Session) -> int:
        nonlocal runs
        runs += 1
        await things.insert_one({"_id": 1, "run": runs}, session=session)
        if runs < 3:
            failing_once(session, "TransientTransactionError", committed=False)
        return runs

    assert await mongo.transact(work) == 3
    assert await things.find({}) == [{"_id": 1, "run": 3}]


async def test_a_commit_with_a_lost_reply_is_retried_and_applied_once(mongo: Mongo) -> None:
    things, runs = mongo.collection("things"), 0

    async def work(session: Session) -> Any:
        nonlocal runs
        runs += 1
        failing_once(session, "UnknownTransactionCommitResult", committed=True)
        return await things.change_one({"_id": 1}, {"$inc": {"count": 1}}, upsert=True, session=session)

    await mongo.transact(work)
    assert runs == 1
    assert await things.find({}) == [{"_id": 1, "count": 1}]


async def test_an_error_in_the_work_rolls_the_transaction_back(mongo: Mongo) -> None:
    things = mongo.collection("things")

    async def work(session: Session) -> None:
        await things.insert_one({"_id": 1}, session=session)
        raise Refusal(RefusalCode.CONFLICT)

    with pytest.raises(Refusal):
        await mongo.transact(work)
    assert await things.find({}) == []
