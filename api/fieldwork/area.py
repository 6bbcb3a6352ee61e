"""Register the operations on observations, and their background jobs."""

from api.fieldwork import observations
from api.fieldwork.jobs import JOBS
from api.registration import Registration, merge

AREA = merge([observations.REGISTRATION, Registration(jobs=JOBS)])
