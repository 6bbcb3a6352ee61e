"""Act as an officer: open a case, assign it to the user, and withdraw the assignment."""

from dataclasses import dataclass
from typing import Any

from mobile_contract.kit.accounts import Party
from mobile_contract.kit.results import BrokenClauseError
from mobile_contract.phone.ids import new_id

REFUSED = "... on Refused { code message }"
OPEN = f"""mutation Open($input: OpenCaseInput!) {{
  openCase(input: $input) {{ __typename ... on CasePayload {{ case {{ id }} }} {REFUSED} }}
}}"""
ASSIGN = f"""mutation Assign($input: AssignInput!) {{
  assign(input: $input) {{ __typename ... on AssignmentPayload {{ assignment {{ id }} }} {REFUSED} }}
}}"""
WITHDRAW = f"""mutation Withdraw($input: StepAssignmentInput!) {{
  withdrawAssignment(input: $input) {{ __typename ... on AssignmentPayload {{ assignment {{ id }} }} {REFUSED} }}
}}"""


@dataclass(frozen=True)
class AssignedCase:
    case_id: str
    assignment_id: str


async def assign_case(party: Party) -> AssignedCase:
    """Open a case on an observation of the user, and assign it to the user."""
    assigned = AssignedCase(new_id("cas"), new_id("asg"))
    await assign_case_as(party, assigned)
    return assigned


async def assign_case_as(party: Party, assigned: AssignedCase) -> None:
    """Open a case on an observation of the user, and assign it to the user, with the ids in `assigned`."""
    sent = await party.user.submit_accepted()
    title = "[conformance kit 一致性检查]"
    await _as_officer(party, OPEN, {"id": assigned.case_id, "title": title, "observationIds": [sent["id"]]})
    offer = {"id": assigned.assignment_id, "assigneeId": party.user.id, "caseId": assigned.case_id, "note": title}
    await _as_officer(party, ASSIGN, offer)


async def withdraw_assignment(party: Party, assigned: AssignedCase) -> None:
    await _as_officer(party, WITHDRAW, {"id": assigned.assignment_id})


async def _as_officer(party: Party, operation: str, input: dict[str, Any]) -> None:
    answer = await party.require_account("officer").send(operation, {"input": input})
    if answer.root["__typename"] == "Refused":
        raise BrokenClauseError(answer.request, "the officer to be allowed", answer.root)
