"""Act as an officer: open a case, assign it to the user, withdraw the assignment, and close the case."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from mobile_contract.kit.accounts import Party, new_answer, now
from mobile_contract.kit.results import BrokenClauseError, require
from mobile_contract.phone.ids import new_id

REFUSED = "... on Refused { code message }"
CASE_FIELDS = """id number title summary category state openedAt closedAt outcome reply
unit { id } monitoringPoint { id }"""
ASSIGNMENT_FIELDS = """id kind state note dueOn offeredAt acceptedAt endedAt result
offeredBy { id displayName } unit { id code name } case { id number title state }"""
TITLE = "[conformance kit 一致性检查]"
REPLY = "[conformance kit 一致性检查] reply 答复"


def _mutation(name: str, input_type: str, payload: str, fields: str) -> str:
    return f"""mutation Step($input: {input_type}!) {{
  {name}(input: $input) {{ __typename ... on {payload} {{ {fields} }} {REFUSED} }}
}}"""


OPEN = _mutation("openCase", "OpenCaseInput", "CasePayload", f"case {{ {CASE_FIELDS} }}")
MOVE = _mutation("moveCase", "MoveCaseInput", "CasePayload", f"case {{ {CASE_FIELDS} }}")
ASSIGN = _mutation("assign", "AssignInput", "AssignmentPayload", f"assignment {{ {ASSIGNMENT_FIELDS} }}")
WITHDRAW = _mutation("withdrawAssignment", "StepAssignmentInput", "AssignmentPayload", "assignment { id }")


@dataclass
class AssignedCase:
    """A case and its assignment. `case` and `assignment` are what the officer was answered."""

    case_id: str
    assignment_id: str
    case: dict[str, Any] = field(default_factory=dict)
    assignment: dict[str, Any] = field(default_factory=dict)


async def assign_case(party: Party, sent: dict[str, Any] | None = None) -> AssignedCase:
    """Open a case on an observation of the user, and assign it to the user. By default the observation is new."""
    assigned = AssignedCase(new_id("cas"), new_id("asg"))
    await assign_case_as(party, assigned, sent)
    return assigned


async def assign_case_as(party: Party, assigned: AssignedCase, sent: dict[str, Any] | None = None) -> None:
    """Open a case on an observation of the user, and assign it to the user, with the ids in `assigned`."""
    sent = sent or await party.user.submit_accepted()
    texts = {"title": TITLE, "summary": f"{TITLE} summary 摘要"}
    opened = await _as_officer(party, OPEN, {"id": assigned.case_id, "observationIds": [sent["id"]], **texts})
    assigned.case = opened["case"]
    offer = {"assigneeId": party.user.id, "caseId": assigned.case_id, "note": TITLE, "dueOn": _due_on()}
    given = await _as_officer(party, ASSIGN, {"id": assigned.assignment_id, **offer})
    assigned.assignment = given["assignment"]


async def assign_unit(party: Party, unit_id: str) -> dict[str, Any]:
    """Give the user a place to inspect, and return the assignment as the officer was answered."""
    offer = {"id": new_id("asg"), "assigneeId": party.user.id, "unitId": unit_id, "note": TITLE, "dueOn": _due_on()}
    answer: dict[str, Any] = (await _as_officer(party, ASSIGN, offer))["assignment"]
    return answer


async def withdraw_assignment(party: Party, assigned: AssignedCase) -> None:
    await _as_officer(party, WITHDRAW, {"id": assigned.assignment_id})


async def finish_and_close(party: Party, assigned: AssignedCase) -> None:
    """Accept and finish the assignment as the user, and close the case as the officer."""
    answers = [
        new_answer(assigned.assignment_id),
        new_answer(assigned.assignment_id) | {"kind": "FINISH", "result": TITLE},
    ]
    for answer in answers:
        [result] = (await party.user.ask("AnswerAssignments", {"input": {"answers": [answer]}}))["results"]
        require(result["outcome"] == "SETTLED", f"AnswerAssignments {answer['kind']}", "SETTLED", result)
    step = {"id": new_id("evt"), "caseId": assigned.case_id, "to": "CLOSED", "outcome": "UNFOUNDED", "reply": REPLY}
    assigned.case = (await _as_officer(party, MOVE, step))["case"]


async def _as_officer(party: Party, operation: str, input: dict[str, Any]) -> dict[str, Any]:
    answer = await party.require_account("officer").send(operation, {"input": input})
    if answer.root["__typename"] == "Refused":
        raise BrokenClauseError(answer.request, "the officer to be allowed", answer.root)
    return answer.root


def _due_on() -> str:
    return (now() + timedelta(days=7)).date().isoformat()
