"""Register the operations by which phones sync and pull changes, and their background jobs."""

from api.registration import Registration, merge
from api.sync import changes, sync
from api.sync.jobs import JOBS

AREA = merge([changes.REGISTRATION, sync.REGISTRATION, Registration(jobs=JOBS)])
