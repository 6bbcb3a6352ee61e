"""Say how long each list of records in an answer can become, for the estimate of a document's cost.

Most numbers are the limits of `docs/api.md`. Where the product sets no limit, the number is more than any office has.
A longer list does no harm, because the work of a request is counted again while the answer is made.
"""

from schema.appraisal.rating_drafts import MAX_RATINGS
from schema.casework.assignment_answers import MAX_ANSWERS, MAX_HELD
from schema.casework.assignment_notes import MAX_EDITS_KEPT, NoteField
from schema.casework.cases import MAX_OBSERVATIONS
from schema.casework.limits import MAX_PERIODS
from schema.casework.note_edits import MAX_EDITS
from schema.casework.notices import MAX_EVIDENCE, MAX_HISTORY, MAX_NOTICES
from schema.casework.working_days import MAX_STEPS
from schema.casework.working_years import MAX_HOLIDAYS, MAX_MAKE_UP_DAYS
from schema.checks.flags import MAX_REVIEWS
from schema.core.pagination import MAX_PAGE
from schema.core.sequences import WINDOW
from schema.fieldwork.drafts import MAX_DRAFTS, MAX_MEDIA
from schema.notifications.webhooks import MAX_PER_OFFICE
from schema.publication.redactions import MAX_BOXES, MAX_CORRECTIONS, MAX_OF_MEDIUM

UNKNOWN_LIST = 100
"""The assumed length of a list that is not in the table."""
PAGE_LISTS = frozenset({"edges", "nodes"})
"""Names of lists that hold the records of a page."""
CHANGES = "ChangePage.changes"
"""The list of the changes of a pull. It holds the records of a page, too."""

LIST_SIZES: dict[str, int] = {
    "AbortUploadsPayload.results": 50,
    "AnswerAssignmentsPayload.results": MAX_ANSWERS,
    "Assignment.notes": len(NoteField),
    "AssignmentNote.lostEdits": MAX_EDITS_KEPT,
    "Case.assignments": 100,
    "Case.deadlines": 20,
    "Case.history": 500,
    "Case.notices": MAX_NOTICES,
    "Case.observations": MAX_OBSERVATIONS,
    "Case.relatedCases": 20,
    CHANGES: MAX_PAGE,
    "Deadline.why": MAX_STEPS,
    "Limit.openingHours": MAX_PERIODS,
    "Query.limits": 200,
    "ChangePasswordPayload.devices": 20,
    "ConfirmMediaPayload.results": 50,
    "DraftResult.uploads": MAX_MEDIA,
    "EditAssignmentNotesPayload.results": MAX_EDITS,
    "Flag.reviews": MAX_REVIEWS,
    "Me.devices": 20,
    "Media.redactions": MAX_OF_MEDIUM,
    "MonitoringPoint.monitors": 20,
    "Notice.history": MAX_HISTORY,
    "NoticeEvent.media": MAX_EVIDENCE,
    "NoticePayload.uploads": MAX_EVIDENCE,
    "Observation.cases": 20,
    "Observation.flags": 50,
    "Observation.followUps": 20,
    "Observation.revisions": 50,
    "ObservationContent.media": MAX_MEDIA,
    "Query.heldOperations": MAX_HELD,
    "Query.webhooks": MAX_PER_OFFICE,
    "Redaction.boxes": MAX_BOXES,
    "Redaction.faces": MAX_BOXES,
    "Redaction.history": 2 * MAX_CORRECTIONS + 10,
    "RequestUploadsPayload.results": 50,
    "ReviseObservationPayload.uploads": MAX_MEDIA,
    "SubmitObservationsPayload.results": MAX_DRAFTS,
    "SubmitRatingsPayload.results": MAX_RATINGS,
    "SyncPayload.gaps": WINDOW // 2,
    "Thresholds.applying": 50,
    "Thresholds.settings": 50,
    "Unit.ancestors": 8,
    "Unit.formerNames": 10,
    "UploadPart.headers": 5,
    "UploadSlot.fields": 20,
    "UploadSlot.headers": 5,
    "UploadSlot.parts": 512,
    "User.scopes": 20,
    "WorkingCalendarYears.years": 60,
    "WorkingDayCount.why": MAX_STEPS,
    "WorkingYear.holidays": MAX_HOLIDAYS,
    "WorkingYear.makeUpDays": MAX_MAKE_UP_DAYS,
}


def list_size(type_name: str, field_name: str) -> int:
    """Return the largest length of the list that a field holds."""
    return LIST_SIZES.get(f"{type_name}.{field_name}", UNKNOWN_LIST)
