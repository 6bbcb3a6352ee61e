"""Register the operations on cases, assignments, answers, notes and notices, and their background job."""

from api.casework import assignment_answers, assignment_notes, assignments, cases, notices
from api.casework.jobs import JOBS
from api.registration import Registration, merge

AREA = merge(
    [
        assignment_answers.REGISTRATION,
        assignment_notes.REGISTRATION,
        assignments.REGISTRATION,
        cases.REGISTRATION,
        notices.REGISTRATION,
        Registration(jobs=JOBS),
    ]
)
