"""Test who may act: every mutation, called by people who have come to see a record in every way."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from schema.casework import standing
from schema.casework.cases import CaseState
from schema.core.refusals import RefusalCode
from tests.support.assignment_steps import ANSWER, EDIT, accept, edit, finish
from tests.support.case_steps import LINK, MOVE, UNLINK
from tests.support.flags import REVIEW
from tests.support.limits import SET_LIMIT
from tests.support.notices import operation, order
from tests.support.observation_queries import REVISE
from tests.support.redactions import BOX, STEPS
from tests.support.sdl import roots
from tests.support.thresholds import SET
from tests.support.uploads import CONFIRM, REQUEST
from tests.support.ways_of_seeing import WAYS, Seen, see
from tests.support.world import ACCEPT, ASSIGN, FINISH, HAND_ON, OPEN, REFUSED, WITHDRAW, World, draft, new_id

Call = Callable[[Seen], Awaitable[dict[str, Any]]]
ABORT = f"""
mutation Abort($input: AbortUploadsInput!) {{
  abortUploads(input: $input) {{ ... on AbortUploadsPayload {{ results {{ refusal {{ code }} }} }} {REFUSED} }}
}}"""


def step(seen: Seen, **more: Any) -> dict[str, Any]:
    return {"id": new_id("evt"), "caseId": seen.case} | more


def move(to: str, *before: str, **more: Any) -> Call:
    """Return a call that moves the case. The office first moves it to the states `before`."""

    async def call(seen: Seen) -> dict[str, Any]:
        for state in before:
            closing = {"outcome": "UNFOUNDED", "reply": "不实"} if state == "CLOSED" else {}
            await seen.as_office(state, **closing)
        return await seen.do(MOVE, **step(seen, to=to, **more))

    return call


async def withdraw_own_offer(seen: Seen) -> dict[str, Any]:
    onward = {"id": new_id("asg"), "assignmentId": seen.assignment, "assigneeId": seen.world.people["officer"].id}
    await seen.do(HAND_ON, **onward)
    return await seen.do(WITHDRAW, id=onward["id"])


def redact(what: str, **more: Any) -> Call:
    return lambda seen: seen.do(STEPS[what], id=new_id("evt"), redactionId=seen.redaction, **more)


def step_notice(name: str) -> Call:
    return lambda seen: seen.do(operation(name), id=new_id("evt"), noticeId=seen.notice, text="理由")


REPLY = {"reason": "不属本办", "reply": "已转有关部门"}
CALLS: dict[str, tuple[Call, set[str]]] = {
    "openCase": (
        lambda seen: seen.do(OPEN, id=new_id("cas"), title="另立一件", observationIds=[seen.evidence[0]]),
        {"scope"},
    ),
    "linkObservations": (lambda seen: seen.do(LINK, **step(seen, observationIds=[seen.spare])), {"scope"}),
    "linkObservations of one's own county": (
        lambda seen: seen.do(LINK, **step(seen, observationIds=[seen.own])),
        {"scope", "accepted"},
    ),
    "unlinkObservations": (lambda seen: seen.do(UNLINK, **step(seen, observationIds=[seen.evidence[1]])), {"scope"}),
    "moveCase ACCEPTED": (move("ACCEPTED"), {"scope"}),
    "moveCase DECLINED": (move("DECLINED", **REPLY), {"scope"}),
    "moveCase RECTIFYING": (move("RECTIFYING"), {"scope", "accepted"}),
    "moveCase VERIFYING": (move("VERIFYING", "RECTIFYING"), {"scope", "accepted"}),
    "moveCase CLOSED": (move("CLOSED", outcome="UNFOUNDED", reply="不实"), {"scope"}),
    "moveCase REOPENED": (move("REOPENED", "CLOSED", reason="又有反映"), {"scope"}),
    "assign": (
        lambda seen: seen.do(
            ASSIGN, id=new_id("asg"), caseId=seen.case, assigneeId=seen.world.people["supervisor2"].id
        ),
        {"scope"},
    ),
    "withdrawAssignment": (lambda seen: seen.do(WITHDRAW, id=seen.offer), {"scope"}),
    "withdrawAssignment of one's own": (lambda seen: seen.do(WITHDRAW, id=seen.assignment), set()),
    "withdrawAssignment of one's own offer": (withdraw_own_offer, {"accepted"}),
    "acceptAssignment": (lambda seen: seen.do(ACCEPT, id=seen.assignment), {"offered"}),
    "acceptAssignment of another": (lambda seen: seen.do(ACCEPT, id=seen.offer), set()),
    "finishAssignment": (lambda seen: seen.do(FINISH, id=seen.assignment, result="属实"), {"accepted"}),
    "handOnAssignment": (
        lambda seen: seen.do(
            HAND_ON,
            id=new_id("asg"),
            assignmentId=seen.assignment,
            assigneeId=seen.world.people["officer"].id,
        ),
        {"accepted"},
    ),
    "answerAssignments ACCEPT": (lambda seen: seen.do(ANSWER, answers=[accept(seen.assignment)]), {"offered"}),
    "answerAssignments FINISH": (lambda seen: seen.do(ANSWER, answers=[finish(seen.assignment)]), {"accepted"}),
    # Notes are the assignee's own text, which must not be lost. They change no case.
    "editAssignmentNotes": (
        lambda seen: seen.do(EDIT, edits=[edit(seen.assignment)]),
        {"offered", "accepted", "handed on", "finished", "withdrawn"},
    ),
    "issueNotice": (lambda seen: seen.do(operation("issueNotice"), **order(seen.case)), {"scope"}),
    "reviseObservation": (
        lambda seen: seen.do(
            REVISE, id=new_id("rev"), reason="更正", content=draft(id=seen.evidence[0], text="另一说法")
        ),
        {"author", "ex-covert"},
    ),
    "reviewFlag": (
        lambda seen: seen.do(REVIEW, id=new_id("evt"), flagId=seen.flag, verdict="EXPLAINED", note="无妨"),
        {"scope"},
    ),
    "setLimit": (
        lambda seen: seen.do(
            SET_LIMIT, id=new_id("lim"), unitId=seen.world.units["360700"].id, step="HANDLING", amount=20
        ),
        {"scope"},
    ),
    "setThreshold": (
        lambda seen: seen.do(
            SET, id=new_id("thr"), unitId=seen.world.units["360700"].id, kind="UNIT_DISTANCE", value=900
        ),
        {"scope"},
    ),
    "requestRedaction": (
        lambda seen: seen.do(STEPS["request"], id=new_id("red"), mediaId=seen.photo, purpose="通报用图"),
        {"scope"},
    ),
    "rejectRedaction": (redact("reject", reason="不宜"), {"scope"}),
}
"""For each call: how to make it, and the ways of seeing the case that let a person change anything by it."""
ADMITTED: dict[str, tuple[Call, set[str]]] = {
    "correctRedaction": (redact("correct", revision=0, boxes=[BOX]), {"scope"}),
    "approveRedaction": (redact("approve", sha256="0" * 64), {"scope"}),
    **{name: (step_notice(name), {"scope"}) for name in ("returnNotice", "verifyNotice", "withdrawNotice")},
    "requestUploads": (lambda seen: seen.do(REQUEST, media=[{"mediaId": seen.photo}]), {"author", "ex-covert"}),
    "confirmMedia": (lambda seen: seen.do(CONFIRM, mediaIds=[seen.photo]), {"author", "ex-covert"}),
    "abortUploads": (lambda seen: seen.do(ABORT, mediaIds=[seen.photo]), {"author", "ex-covert"}),
}
"""Calls that change nothing here: the photo is READY, its redaction has not been rendered, and the notice has ended.

A person who may not act gets NOT_FOUND or OUT_OF_SCOPE. A person who may act gets another answer.
"""
OF_NO_RECORD = {
    **dict.fromkeys(
        ("signIn", "refreshSession", "signOut", "changePassword", "revokeDevice", "wipeDevices"), "account"
    ),
    **dict.fromkeys(("registerPushToken", "forgetPushToken"), "the caller's own device"),
    **dict.fromkeys(
        ("registerWebhook", "rotateWebhookSecret", "enableWebhook", "removeWebhook"), "webhooks of administrators"
    ),
    **dict.fromkeys(("submitObservations", "submitRatings"), "makes records of the caller's own"),
    **dict.fromkeys(("acknowledgeNotice", "replyToNotice"), "for liaisons, who come to see no other record"),
    "sync": "reads",
    "addWorkingYear": "makes a record that belongs to no office",
}
"""Mutations that act on no record that a person could have come to see, and why."""
UNACCEPTED = {"moveCase ACCEPTED", "moveCase DECLINED"}


def test_the_matrix_has_every_mutation_and_every_move() -> None:
    called = {name.split()[0] for name in (*CALLS, *ADMITTED)}
    assert called.isdisjoint(OF_NO_RECORD)
    assert called | set(OF_NO_RECORD) == set(roots("Mutation"))
    by_assignment = {CaseState.RECEIVED, CaseState.ASSIGNED, CaseState.INVESTIGATING}
    assert set(standing.MOVE) == set(CaseState) - by_assignment
    assert {f"moveCase {state.value}" for state in standing.MOVE} <= set(CALLS)


def refusals(answer: Any) -> list[str]:
    """Return the codes of all refusals in an answer. Units and flags have codes too, but other ones."""
    if isinstance(answer, list):
        return [code for each in answer for code in refusals(each)]
    if not isinstance(answer, dict):
        return []
    here = [answer["code"]] if answer.get("code") in RefusalCode.__members__ else []
    return here + [code for each in answer.values() for code in refusals(each)]


@pytest.mark.parametrize("way", WAYS)
async def test_seeing_a_record_lets_nobody_act_on_it(world: World, way: str) -> None:
    """Each call that must be refused leaves everything as it was. Each call that is allowed changes something."""
    seen, unaccepted = await see(world, way), await see(world, way, accept=False)
    for name, (call, allowed) in CALLS.items():
        if way in allowed:
            continue
        before = await world.snapshot()
        target = unaccepted if name in UNACCEPTED else seen
        if name in {"moveCase VERIFYING", "moveCase REOPENED"}:
            call = move(name.split()[1], reason="又有反映")  # noqa: PLW2901  without the steps of the office
        answer = await call(target)
        assert await world.snapshot() == before, (name, answer)
    for name, (call, allowed) in ADMITTED.items():
        before = await world.snapshot()
        codes = set(refusals(await call(seen)))
        assert (codes <= {"NOT_FOUND", "OUT_OF_SCOPE"} and bool(codes)) == (way not in allowed), (name, codes)
        assert await world.snapshot() == before, name


@pytest.mark.parametrize(("way", "name"), [(way, name) for name, (_, ways) in CALLS.items() for way in sorted(ways)])
async def test_those_who_may_act_can(world: World, way: str, name: str) -> None:
    call, _ = CALLS[name]
    seen = await see(world, way, accept=name not in UNACCEPTED)
    before = await world.snapshot()
    answer = await call(seen)
    assert refusals(answer) == []
    assert await world.snapshot() != before
