"""Test the stored documents of casework: cases, the counters of their numbers, assignments, and the answers to them."""

from dataclasses import replace

from schema.casework.assignment_answers import AnswerKind, AnswerState, AssignmentAnswer, StoredAnswer, to_stored_answer
from schema.casework.assignments import AssignmentKind, AssignmentState
from schema.casework.cases import Case, CaseEventKind, CaseOutcome, CaseState
from schema.casework.notices import Notice, NoticeState
from schema.core.refusals import Refusal, RefusalCode
from storage.casework.standing import Acting
from storage.store import Store
from tests.stored.fixed import DIGEST, NOW, by_id, fixed_id, minutes
from tests.stored.fixed_records import (
    COVERT,
    EDIT,
    OFFICE,
    OPEN,
    bare_assignment,
    bare_case,
    case_event,
    notice_event,
    stateless,
    whole_assignment,
    whole_case,
    whole_notice,
    whole_observation,
)
from tests.stored.golden_documents import Goldens

ANYBODY = Acting({})


async def opened(records: Store, case: Case, *observation_ids: str) -> Case:
    """Store the case under the office's next number. That must be the number that the case has."""

    def numbered(sequence: int) -> Case:
        assert sequence == case.sequence
        return case

    return await records.cases.open(OFFICE, 2026, numbered, observation_ids, {})


async def test_cases_and_number_counters_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    """One case has every field, one only required fields, one is closed, and one has an observation unlinked.

    Four cases were stored before events had a capacity.
    """
    former_ids = [fixed_id("cas", number) for number in range(1, 5)]
    await goldens.restore("cases", *former_ids)
    whole, bare, moving, linking = (
        replace(case, id=fixed_id("cas", 10 + number), office_id=fixed_id("unt", 9))
        for number, case in enumerate(
            [
                whole_case(1, CaseState.ACCEPTED),
                bare_case(2, CaseState.RECEIVED),
                bare_case(3, CaseState.INVESTIGATING),
                bare_case(4, CaseState.ACCEPTED),
            ]
        )
    )
    await records.observations.add([replace(whole_observation(number), case_ids=()) for number in (1, 2)])
    for case in (whole, bare, moving, linking):
        await opened(records, case)
    closing = case_event(2, CaseEventKind.MOVED, CaseState.CLOSED)
    ended = {"closed_at": minutes(9), "outcome": CaseOutcome.SUBSTANTIATED.value, "reply": "属实。"}
    moved = await records.cases.move(moving.id, [CaseState.INVESTIGATING], closing, ended, ANYBODY, {})
    joining = case_event(3, CaseEventKind.LINKED, CaseState.ACCEPTED)
    both = [fixed_id("obs", 1), fixed_id("obs", 2)]
    assert await records.cases.link(linking.id, both, stateless(joining), 10, ANYBODY, {})
    leaving = case_event(4, CaseEventKind.UNLINKED, CaseState.ACCEPTED)
    linked = await records.cases.unlink(linking.id, both[:1], stateless(leaving), ANYBODY, {})
    await goldens.check("cases")
    await goldens.check("counters")
    assert moved == replace(
        moving,
        state=CaseState.CLOSED,
        history=[closing],
        closed_at=minutes(9),
        outcome=CaseOutcome.SUBSTANTIATED,
        reply="属实。",
    )
    assert linked == replace(linking, history=[joining, leaving])
    found = await records.cases.many([whole.id, bare.id, moving.id, linking.id])
    assert by_id(found) == [whole, bare, moved, linked]
    events = [event for case in await records.cases.many(former_ids) for event in case.history]
    assert len(events) == 4
    assert all(event.by_capacity is None and not event.capacity.is_covert for event in events)
    assert replace(events[0], kind=CaseEventKind.FINISHED).capacity.is_covert


async def test_assignments_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    """One assignment has every field, one is withdrawn, and one is accepted covertly, edited and finished.

    Three assignments were stored before assignments had capacities.
    """
    former_ids = [fixed_id("asg", number) for number in range(1, 4)]
    await goldens.restore("assignments", *former_ids)
    whole, bare = whole_assignment(11), bare_assignment(12)
    taken = replace(bare, id=fixed_id("asg", 13), kind=AssignmentKind.CASE, case_id=fixed_id("cas", 1))
    covertly = replace(case_event(5, CaseEventKind.HAND_OVER_ACCEPTED, CaseState.ASSIGNED), by_capacity=COVERT)
    await opened(records, bare_case(1, CaseState.ACCEPTED))
    noted = case_event(5, CaseEventKind.ASSIGNED, CaseState.ASSIGNED)
    for offer in (whole, bare, taken):
        assert await records.assignments.offer(offer, stateless(noted), ANYBODY) == offer
    assert await records.assignments.withdraw(bare.id, minutes(3), stateless(noted), ANYBODY)
    assert await records.assignments.accept(taken.id, minutes(4), stateless(covertly))
    assert await records.assignments.append_edit(taken.id, EDIT, {})
    finished = await records.assignments.finish(taken.id, minutes(9), stateless(noted), result="已办结")
    await goldens.check("assignments")
    assert finished == replace(
        taken,
        state=AssignmentState.FINISHED,
        accepted_at=minutes(4),
        ended_at=minutes(9),
        result="已办结",
        note_edits=(EDIT,),
        assignee_capacity=COVERT,
    )
    assert await records.assignments.many([whole.id]) == [whole]
    former = await records.assignments.many(former_ids)
    assert [(one.assignee_capacity, one.offered_by_capacity) for one in former] == [(None, None)] * 3
    [case] = await records.cases.many([fixed_id("cas", 1)])
    assert (case.state, case.responsible_id) == (CaseState.INVESTIGATING, taken.assignee_id)
    assert case.history[-1] == replace(noted, state=CaseState.INVESTIGATING)


async def test_answers_to_assignments_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    """One answer has every field, one waits for its assignment, one is applied, and one is refused after it waited.

    Four answers were stored before answers had a capacity.
    """
    former_ids = [fixed_id("ans", number) for number in range(1, 5)]
    await goldens.restore("assignment_answers", *former_ids)
    whole = StoredAnswer(
        id=fixed_id("ans", 11),
        user_id=fixed_id("usr", 1),
        assignment_id=fixed_id("asg", 1),
        kind=AnswerKind.FINISH,
        answered_at=minutes(-1),
        result="已办结",
        sha256=DIGEST,
        received_at=NOW,
        state=AnswerState.REFUSED,
        refused_as=RefusalCode.WRONG_STATE,
        reason="The assignment is WITHDRAWN.",
        capacity=COVERT,
    )
    sent = [
        to_stored_answer(
            AssignmentAnswer(
                id=fixed_id("ans", number),
                assignment_id=fixed_id("asg", number),
                kind=AnswerKind.ACCEPT,
                answered_at=minutes(-number),
            ),
            user_id=fixed_id("usr", 1),
            capacity=OPEN,
            now=NOW,
            field="answers.0",
        )
        for number in (12, 13, 14)
    ]
    answers, refusal = records.assignment_answers, Refusal(RefusalCode.NOT_FOUND, "There is none.")
    await answers.add([whole, *sent])
    assert await answers.settle(sent[1], NOW)
    assert await answers.settle(sent[2], minutes(5), refusal)
    await goldens.check("assignment_answers")
    assert await answers.many([whole.id]) == [whole]
    former = await answers.many(former_ids)
    assert [one.capacity for one in former] == [None] * 4
    assert await answers.held_after("", 10) == [*(one for one in former if one.state is AnswerState.HELD), sent[0]]
    assert await answers.many([sent[2].id]) == [sent[2].with_outcome(refusal)]


async def test_notices_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    """One notice has every field, and one has only required fields and gets a step that ends it."""
    case = bare_case(1, CaseState.INVESTIGATING)
    await opened(records, case)
    whole = whole_notice(1, NoticeState.VERIFIED)
    bare = replace(whole_notice(2, NoticeState.ISSUED), ended_at=None, returns=0, history=[])
    for notice in (whole, bare):
        issuing = stateless(case_event(5, CaseEventKind.NOTICE_ISSUED, CaseState.RECTIFYING))

        def numbered(sequence: int, notice: Notice = notice) -> Notice:
            assert sequence == notice.sequence
            return notice

        assert await records.notices.issue(OFFICE, 2026, numbered, issuing, {}, 2)
    withdrawing = replace(notice_event(3, NoticeState.WITHDRAWN), text=None)
    about = stateless(case_event(6, CaseEventKind.NOTICE_WITHDRAWN, CaseState.RECTIFYING))
    ended = await records.notices.step(bare.id, withdrawing, {"ended_at": minutes(9)}, {}, about, [], NOW)
    await goldens.check("notices")
    assert ended == replace(bare, state=NoticeState.WITHDRAWN, ended_at=minutes(9), history=[withdrawing])
    assert await records.notices.many([whole.id]) == [whole]
