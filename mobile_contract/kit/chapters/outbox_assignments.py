"""Chapter 4, the outbox, where it comes before what it belongs to, or from two devices: held, merged, never lost."""

from datetime import datetime, timedelta
from typing import Any

from mobile_contract.kit.accounts import Party, Person, answer_to, draft, note_of
from mobile_contract.kit.case_setup import Given, give, give_as
from mobile_contract.kit.chapters.uploads import confirm, photo, put, settled
from mobile_contract.kit.clauses import clause
from mobile_contract.kit.results import hold
from mobile_contract.phone.ids import new_id


@clause(
    "O8",
    "An item that comes before the one it belongs to is held, not refused: an announced medium (`requestUploads`) and"
    " its confirmation before the observation; an answer before its assignment. It settles by itself, and"
    " `heldOperations` lists the answers that wait.",
    "officer",
)
async def held(party: Party) -> str:
    await _photo_first(party)
    await _answer_first(party)
    return "A photo was confirmed before its observation, an answer before its assignment; both settled by themselves."


async def _photo_first(party: Party) -> None:
    medium, observation_id = photo(), new_id("obs")
    said = {name: value for name, value in medium.announced.items() if name != "id"} | {"observationId": observation_id}
    wanted = {"media": [{"mediaId": medium.id, "announcement": said}]}
    [slot] = (await party.user.ask("RequestUploads", {"input": wanted}))["results"]
    hold(slot["slot"], f"RequestUploads announcing {medium.id} before its observation", "a slot", slot)
    response = await put(party, slot["slot"], medium.body)
    hold(response.is_success, f"PUT of {medium.id}", "2xx", f"{response} {response.text}")
    result = await confirm(party.user, medium)
    hold(not result["refusal"], f"ConfirmMedia of {medium.id} before its observation", "no refusal", result)
    [accepted] = await party.user.submit(draft(id=observation_id, media=[medium.announced]))
    hold(accepted["outcome"] == "ACCEPTED", f"SubmitObservations naming {medium.id}", "ACCEPTED", accepted)
    found = await settled(party, observation_id, medium)
    hold(found["state"] == "READY", f"MyReports of {observation_id}", "READY, without another upload", found)


async def _answer_first(party: Party) -> None:
    given = Given(new_id("cas"), new_id("asg"))
    answer = answer_to(given.assignment_id)
    request = f"AnswerAssignments of {given.assignment_id}, which is not given yet"
    [result] = (await party.user.ask("AnswerAssignments", {"input": {"answers": [answer]}}))["results"]
    hold(result["outcome"] == "HELD", request, "HELD", result)
    waiting = (await party.user.send("HeldOperations")).data["heldOperations"]
    hold(answer["id"] in {each["id"] for each in waiting}, "HeldOperations", f"{answer['id']} among them", waiting)
    await give_as(party, given)

    async def accepted() -> bool:
        nodes = await party.user.nodes("MyAssignments")
        return any(each["id"] == given.assignment_id and each["state"] == "ACCEPTED" for each in nodes)

    await party.until(accepted, f"MyAssignments once {given.assignment_id} was given", "ACCEPTED by the held answer")


@clause(
    "O11",
    "Edits of the same field on two devices end the same in any order of arrival, and the loser is kept: `lostEdits`"
    " shows it, and an edit that names it restores it. Edits of different fields merge.",
    "officer",
)
async def edits(party: Party) -> str:
    other = await party.user.again()
    ends = []
    for turned in (False, True):
        given = await give(party)
        early, late = _edit(given, "先", 0), _edit(given, "后", 60)
        plan = _edit(given, "2026-12-01", 30, field="PLANNED_ON")
        by = [(party.user, early), (other, late), (other, plan)]
        for person, edit in reversed(by) if turned else by:
            notes = await _edited(person, edit)
        note = notes["WORKING_NOTE"]
        ends.append((note["value"], [each["value"] for each in note["lostEdits"]], notes["PLANNED_ON"]["value"]))
    expected = ("后", ["先"], "2026-12-01")
    hold(ends == [expected] * 2, "EditAssignmentNotes in both orders", str(expected), str(ends))
    return "Two devices' edits ended the same in both orders, the earlier one kept among the lost."


def _edit(given: Given, value: str, seconds: int, field: str = "WORKING_NOTE") -> dict[str, Any]:
    at = datetime.now().astimezone() + timedelta(seconds=seconds - 3600)
    edited = at.isoformat(timespec="milliseconds")
    return note_of(given.assignment_id, value, field=field, editedAt=edited, deviceSequence=seconds + 1)


async def _edited(person: Person, edit: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The assignment's notes by field, after an edit that must be taken."""
    [result] = (await person.ask("EditAssignmentNotes", {"input": {"edits": [edit]}}))["results"]
    hold(not result["refusal"], f"EditAssignmentNotes {edit}", "no refusal", result)
    return {note["field"]: note for note in result["assignment"]["notes"]}
