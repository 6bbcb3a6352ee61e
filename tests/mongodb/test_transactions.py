"""Transactions under both drivers: what a commit meets is tried again, so that a conflict is nobody's answer."""

from typing import Any

import pytest
from pymongo.errors import OperationFailure

from schema.core.refusals import Refusal, RefusalCode
from storage.mongodb.client import Mongo, Session

pytestmark = pytest.mark.both_drivers


def failing_once(session: Session, label: str, *, committed: bool) -> None:
    """Let the next commit report a fault that bears `label`, before or after it has been made for real."""
    commit = session.commit_transaction

    async def fail() -> None:
        session.commit_transaction = commit
        await (commit() if committed else session.abort_transaction())
        raise OperationFailure("as the server says it", 112, {"errorLabels": [label]})

    session.commit_transaction = fail


async def test_a_conflict_at_the_commit_runs_the_whole_again(mongo: Mongo) -> None:
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


async def test_a_commit_whose_answer_is_lost_is_sent_again_and_done_once(mongo: Mongo) -> None:
    things, runs = mongo.collection("things"), 0

    async def work(session: Session) -> Any:
        nonlocal runs
        runs += 1
        failing_once(session, "UnknownTransactionCommitResult", committed=True)
        return await things.change_one({"_id": 1}, {"$inc": {"count": 1}}, upsert=True, session=session)

    await mongo.transact(work)
    assert runs == 1
    assert await things.find({}) == [{"_id": 1, "count": 1}]


async def test_what_the_work_raises_ends_it_without_effect(mongo: Mongo) -> None:
    things = mongo.collection("things")

    async def work(session: Session) -> None:
        await things.insert_one({"_id": 1}, session=session)
        raise Refusal(RefusalCode.CONFLICT)

    with pytest.raises(Refusal):
        await mongo.transact(work)
    assert await things.find({}) == []
