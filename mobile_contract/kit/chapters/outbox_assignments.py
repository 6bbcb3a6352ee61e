"""Check chapter 4, the outbox: items that arrive too early wait on the server, and edits of two devices merge."""

from datetime import datetime, timedelta
from typing import Any

from mobile_contract.kit.accounts import Party, Person, new_answer, new_draft, new_note_edit
from mobile_contract.kit.case_setup import AssignedCase, assign_case, assign_case_as
from mobile_contract.kit.chapters.uploads import confirm, new_photo, put, wait_verified
from mobile_contract.kit.clauses import clause
from mobile_contract.kit.results import require
from mobile_contract.phone.ids import new_id


@clause(
    "O8",
    "An item that comes before the one it belongs to is held, not refused: an announced medium (`requestUploads`) and"
    " its confirmation before the observation; an answer before its assignment. It settles by itself, and"
    " `heldOperations` lists the answers that wait.",
    "officer",
)
async def check_held_items(party: Party) -> str:
    await _check_photo_first(party)
    await _check_answer_first(party)
    return "A photo was confirmed before its observation, and an answer came before its assignment. Both settled."


async def _check_photo_first(party: Party) -> None:
    medium, observation_id = new_photo(), new_id("obs")
    said = {name: value for name, value in medium.announced.items() if name != "id"} | {"observationId": observation_id}
    wanted = {"media": [{"mediaId": medium.id, "announcement": said}]}
    [slot] = (await party.user.ask("RequestUploads", {"input": wanted}))["results"]
    require(slot["slot"], f"RequestUploads announcing {medium.id} before its observation", "a slot", slot)
    response = await put(party, slot["slot"], medium.body)
    require(response.is_success, f"PUT of {medium.id}", "2xx", f"{response} {response.text}")
    result = await confirm(party.user, medium)
    require(not result["refusal"], f"ConfirmMedia of {medium.id} before its observation", "no refusal", result)
    [accepted] = await party.user.submit(new_draft(id=observation_id, media=[medium.announced]))
    require(accepted["outcome"] == "ACCEPTED", f"SubmitObservations naming {medium.id}", "ACCEPTED", accepted)
    found = await wait_verified(party, observation_id, medium)
    require(found["state"] == "READY", f"MyReports of {observation_id}", "READY, without another upload", found)


async def _check_answer_first(party: Party) -> None:
    given = AssignedCase(new_id("cas"), new_id("asg"))
    answer = new_answer(given.assignment_id)
    request = f"AnswerAssignments of {given.assignment_id}, which does not exist yet"
    [result] = (await party.user.ask("AnswerAssignments", {"input": {"answers": [answer]}}))["results"]
    require(result["outcome"] == "HELD", request, "HELD", result)
    waiting = (await party.user.send("HeldOperations")).data["heldOperations"]
    require(
        answer["id"] in {operation["id"] for operation in waiting},
        "HeldOperations",
        f"{answer['id']} among them",
        waiting,
    )
    await assign_case_as(party, given)

    async def accepted() -> bool:
        nodes = await party.user.fetch_nodes("MyAssignments")
        return any(node["id"] == given.assignment_id and node["state"] == "ACCEPTED" for node in nodes)

    await party.wait_until(
        accepted, f"MyAssignments once {given.assignment_id} was given", "ACCEPTED by the held answer"
    )


@clause(
    "O11",
    "Edits of the same field on two devices end the same in any order of arrival, and the loser is kept: `lostEdits`"
    " shows it, and an edit that names it restores it. Edits of different fields merge.",
    "officer",
)
async def check_note_edits(party: Party) -> str:
    other = await party.user.sign_in_again()
    ends = []
    for turned in (False, True):
        given = await assign_case(party)
        early, late = _new_edit(given, "先", 0), _new_edit(given, "后", 60)
        plan = _new_edit(given, "2026-12-01", 30, field="PLANNED_ON")
        by = [(party.user, early), (other, late), (other, plan)]
        for person, edit in reversed(by) if turned else by:
            notes = await _send_edit(person, edit)
        note = notes["WORKING_NOTE"]
        ends.append((note["value"], [lost["value"] for lost in note["lostEdits"]], notes["PLANNED_ON"]["value"]))
    expected = ("后", ["先"], "2026-12-01")
    require(ends == [expected] * 2, "EditAssignmentNotes in both orders", str(expected), str(ends))
    return "The edits of two devices gave the same result in both orders, and the earlier one is in `lostEdits`."


def _new_edit(given: AssignedCase, value: str, seconds: int, field: str = "WORKING_NOTE") -> dict[str, Any]:
    at = datetime.now().astimezone() + timedelta(seconds=seconds - 3600)
    edited = at.isoformat(timespec="milliseconds")
    return new_note_edit(given.assignment_id, value, field=field, editedAt=edited, deviceSequence=seconds + 1)


async def _send_edit(person: Person, edit: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Send an edit that the server must accept. Return the assignment's notes, keyed by field."""
    [result] = (await person.ask("EditAssignmentNotes", {"input": {"edits": [edit]}}))["results"]
    require(not result["refusal"], f"EditAssignmentNotes {edit}", "no refusal", result)
    return {note["field"]: note for note in result["assignment"]["notes"]}
