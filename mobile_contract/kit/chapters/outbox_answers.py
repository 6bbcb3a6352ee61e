"""Check chapter 4, the outbox: each answer to an assignment and each edit of its notes gets its own result."""

from datetime import datetime, timedelta
from typing import Any

from mobile_contract.kit.accounts import Party, Person, new_answer, new_note_edit, now
from mobile_contract.kit.case_setup import TITLE, AssignedCase, assign_case
from mobile_contract.kit.clauses import clause
from mobile_contract.kit.comparison import Comparison, Rule, near, recent, refusal, same_texts, some_text
from mobile_contract.kit.results import require
from mobile_contract.phone.ids import new_id

ANSWERS, EDITS = "answerAssignments.results", "editAssignmentNotes.results"


@clause(
    "O15",
    "The result of an answer or edit is about that item: its id, its assignment as it then is or its refusal; in `Sync` as"
    " in an operation of its own.",
    "officer",
)
async def check_answer_results(party: Party) -> str:
    compared = Comparison()
    first, second, third, fourth = [await assign_case(party) for _ in range(4)]
    await _check_answers(party, compared, first, second, fourth)
    await _check_edits(party, compared, second)
    accepted = await party.user.ask("AcceptAssignment", {"input": {"id": third.assignment_id}})
    compared.same("AcceptAssignment", "acceptAssignment.assignment", _steps(third, "ACCEPTED"), accepted["assignment"])
    done = {"id": third.assignment_id, "result": TITLE}
    finished = await party.user.ask("FinishAssignment", {"input": done})
    compared.same("FinishAssignment", "finishAssignment.assignment", _steps(third, "FINISHED"), finished["assignment"])
    return f"{compared.report()} fields of the results of answers and edits were those of their items."


async def _check_answers(party: Party, compared: Comparison, *given: AssignedCase) -> None:
    first, second, third = given
    early = [new_answer(new_id("asg")) for _ in range(2)]
    finish = new_answer(first.assignment_id) | {"kind": "FINISH", "result": TITLE}
    bad = [new_answer(first.assignment_id) | {"kind": "FINISH"} for _ in range(4)]
    held = {"outcome": "HELD", "assignment": None, "refusal": None}
    asked = [new_answer(first.assignment_id), new_answer(third.assignment_id), early[0], *bad[:2]]
    own = await _send(party.user, "AnswerAssignments", "answers", asked)
    expected = [
        _settled(asked[0], _steps(first, "ACCEPTED") | {"result": None}),
        _settled(asked[1], _steps(third, "ACCEPTED") | {"result": None}),
        {"id": early[0]["id"]} | held,
        *(_refused(asked[at], _bad_input(f"answers.{at}.result")) for at in (3, 4)),
    ]
    compared.same("AnswerAssignments", ANSWERS, expected, own)
    asked = [finish, new_answer(second.assignment_id), early[1], *bad[2:]]
    together = await _send(party.user, "Sync", "answers", asked)
    expected = [
        _settled(finish, _steps(first, "FINISHED") | {"result": TITLE}),
        _settled(asked[1], _steps(second, "ACCEPTED") | {"result": None}),
        {"id": early[1]["id"]} | held,
        *(_refused(asked[at], _bad_input(f"answers.{at}.result")) for at in (3, 4)),
    ]
    compared.same("Sync", ANSWERS, expected, together)
    _compare_texts(compared, ANSWERS, own, together)
    waiting = (await party.user.send("HeldOperations")).data["heldOperations"]
    for answer, newest in zip(early, waiting[-2:] or [None] * 2, strict=False):
        named = (each for each in waiting if answer["id"] == each["id"] or answer["assignmentId"] == each["waitsFor"])
        got = next(named, newest)
        since = str((got or {}).get("heldSince"))
        waits = {"id": answer["id"], "operation": "answerAssignments", "waitsFor": answer["assignmentId"]}
        times = {"heldSince": recent(), "heldUntil": _end_of_wait(since)}
        compared.same("HeldOperations", "heldOperations", waits | times | {"refusal": None}, got)


def _end_of_wait(since: str) -> Rule:
    """Expect a time 30 days later: as long an answer waits."""
    try:
        return near(datetime.fromisoformat(since) + timedelta(days=30), timedelta(minutes=1))
    except ValueError:
        return some_text()


async def _check_edits(party: Party, compared: Comparison, given: AssignedCase) -> None:
    """Edit on two devices: the edit that was made later stays, and the earlier one is kept as lost."""
    id, other = given.assignment_id, await party.user.sign_in_again()
    late, plan = _edit(id, "后", 60, 1), _edit(id, "2026-12-01", 30, 2, field="PLANNED_ON")
    wrong = [_edit(id, "下周", 40, 3 + at % 2, field="PLANNED_ON") for at in range(4)]
    own = await _send(party.user, "EditAssignmentNotes", "edits", [late, plan, *wrong[:2]])
    both = [expect_note(late, 1), expect_note(plan, 1)]
    expected = [_settled(late, {"id": id, "notes": both[:1]}), _settled(plan, {"id": id, "notes": both})]
    expected += [_refused(wrong[at], _bad_input(f"edits.{2 + at}.value")) for at in (0, 1)]
    compared.same("EditAssignmentNotes", EDITS, expected, own)
    early, contact = _edit(id, "先", 0, 1), _edit(id, "李工", 10, 2, field="CONTACT")
    together = await _send(other, "Sync", "edits", [early, contact, *wrong[2:]])
    both = [expect_note(late, 2, early), expect_note(plan, 1)]
    notes = {"id": id, "notes": [*both, expect_note(contact, 1)]}
    expected = [_settled(early, {"id": id, "notes": both}), _settled(contact, notes)]
    expected += [_refused(wrong[2 + at], _bad_input(f"edits.{2 + at}.value")) for at in (0, 1)]
    compared.same("Sync", EDITS, expected, together)
    _compare_texts(compared, EDITS, own, together)
    again = await _send(party.user, "EditAssignmentNotes", "edits", [late])
    compared.same("EditAssignmentNotes", EDITS, [_settled(late, notes) | {"outcome": "DUPLICATE"}], again)


def _compare_texts(compared: Comparison, path: str, own: list[dict[str, Any]], together: list[dict[str, Any]]) -> None:
    """Compare the messages of the last items, which are refused for the same reason."""
    operation = "AnswerAssignments" if path == ANSWERS else "EditAssignmentNotes"
    said = {operation: own[-1]["refusal"], "Sync": together[-1]["refusal"]}
    same_texts(compared, {(name, f"{path}.refusal"): refused for name, refused in said.items()})


async def _send(person: Person, operation: str, name: str, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Send answers or edits in an operation of their own or in `Sync`, and return the results."""
    root, switch, variable = {
        "answers": ("answerAssignments", "replies", "answers"),
        "edits": ("editAssignmentNotes", "notes", "edits"),
    }[name]
    variables: dict[str, Any] = {"input": {name: items}}
    if operation == "Sync":
        variables = {switch: True, variable: {name: items}, "input": {"first": 1}}
    answer = await person.send(operation, variables)
    results: list[dict[str, Any]] = answer.data[root].get("results") or []
    require(len(results) == len(items), answer.request, f"{len(items)} results", f"{results}")
    return results


def _steps(given: AssignedCase, state: str) -> dict[str, Any]:
    """Expect an assignment in this state, with what the officer gave it."""
    told = {name: given.assignment[name] for name in ("id", "kind", "dueOn")}
    return told | {"state": state, "acceptedAt": recent(), "endedAt": recent() if state == "FINISHED" else None}


def _settled(item: dict[str, Any], assignment: dict[str, Any]) -> dict[str, Any]:
    return {"id": item["id"], "outcome": "SETTLED", "assignment": assignment, "refusal": None}


def _refused(item: dict[str, Any], refused: dict[str, Any]) -> dict[str, Any]:
    return {"id": item["id"], "outcome": "REFUSED", "assignment": None, "refusal": refused}


def _bad_input(field: str) -> dict[str, Any]:
    return refusal("BAD_INPUT", "FIX_AND_RESEND", field)


def _edit(id: str, value: str, seconds: int, sequence: int, **fields: Any) -> dict[str, Any]:
    at = (now() + timedelta(seconds=seconds - 600)).isoformat(timespec="milliseconds")
    return new_note_edit(id, value, editedAt=at, deviceSequence=sequence, **fields)


async def edit_notes(party: Party, person: Person, assignment_id: str) -> list[dict[str, Any]]:
    """Edit two notes of an assignment, one of them on two devices. Return the notes that it must have then."""
    plan = new_note_edit(assignment_id, "2026-12-01", field="PLANNED_ON")
    early, late = new_note_edit(assignment_id, "先"), _edit(assignment_id, "后", 630, 2)
    for editor, edit in ((person, plan), (await party.user.sign_in_again(), early), (person, late)):
        await editor.ask("EditAssignmentNotes", {"input": {"edits": [edit]}})
    return [expect_note(late, 2, early), expect_note(plan, 1)]


def expect_note(edit: dict[str, Any], version: int, *lost: dict[str, Any]) -> dict[str, Any]:
    """Expect a note that this edit set, and that these earlier edits lost to."""
    losers = [{"id": each["id"], "value": each["value"], "editedAt": _converted(each)} for each in lost]
    told = {"field": edit["field"], "value": edit["value"], "editId": edit["id"], "editedAt": _converted(edit)}
    return told | {"version": version, "lostEdits": losers}


def _converted(edit: dict[str, Any]) -> Rule:
    """Expect the edit's time by the server's clock, which may differ from the kit's."""
    return near(edit["editedAt"], timedelta(minutes=5))
