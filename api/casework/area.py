"""Register the operations on cases, assignments, answers, notes, notices and working years, and their job."""

from api.casework import assignment_answers, assignment_notes, assignments, cases, notices, working_years
from api.casework.jobs import JOBS
from api.registration import Registration, merge

AREA = merge(
    [
        assignment_answers.REGISTRATION,
        assignment_notes.REGISTRATION,
        assignments.REGISTRATION,
        cases.REGISTRATION,
        notices.REGISTRATION,
        working_years.REGISTRATION,
        Registration(jobs=JOBS),
    ]
)
