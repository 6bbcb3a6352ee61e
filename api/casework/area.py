"""Register the operations on cases, assignments, answers, notes, notices and working years, and their job."""

from api.casework import (
    assignment_answers,
    assignment_notes,
    assignments,
    cases,
    deadlines,
    limits,
    notices,
    working_years,
)
from api.casework.jobs import JOBS
from api.registration import Registration, merge
from schema.casework.deadlines import PERMITS

AREA = merge(
    [
        assignment_answers.REGISTRATION,
        assignment_notes.REGISTRATION,
        assignments.REGISTRATION,
        cases.REGISTRATION,
        limits.REGISTRATION,
        notices.REGISTRATION,
        working_years.REGISTRATION,
        Registration(jobs=JOBS, loaders=deadlines.LOADERS, permits=PERMITS),
    ]
)
