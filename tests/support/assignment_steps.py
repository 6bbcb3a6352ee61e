"""Answer assignments and edit their notes, as phones do."""

from typing import Any

from tests.support.world import REFUSED, new_id

ANSWER = f"""
mutation Answer($input: AnswerAssignmentsInput!) {{
  answerAssignments(input: $input) {{
    ... on AnswerAssignmentsPayload {{
      results {{ id outcome assignment {{ id state result }} refusal {{ code nextStep field message }} }}
    }}
    {REFUSED}
  }}
}}"""
NOTES = "notes { field value version editId editedAt lostEdits { id value editedAt } }"
EDIT = f"""
mutation Edit($input: EditAssignmentNotesInput!) {{
  editAssignmentNotes(input: $input) {{
    ... on EditAssignmentNotesPayload {{
      results {{ id outcome assignment {{ id {NOTES} }} refusal {{ code nextStep field message }} }}
    }}
    {REFUSED}
  }}
}}"""


def accept(of: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": new_id("ans"),
        "assignmentId": of,
        "kind": "ACCEPT",
        "answeredAt": "2026-11-20T09:05:00+08:00",
    } | fields


def finish(of: str, result: str = "属实", **fields: Any) -> dict[str, Any]:
    return accept(of, kind="FINISH", result=result) | fields


def edit(of: str, value: str | None = "先去大厅", **fields: Any) -> dict[str, Any]:
    return {
        "id": new_id("evt"),
        "assignmentId": of,
        "field": "WORKING_NOTE",
        "value": value,
        "baseVersion": 0,
        "editedAt": "2026-11-20T09:05:00+08:00",
        "deviceSequence": 1,
    } | fields
