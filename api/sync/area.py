"""Say what the API has of sync: what phones hand in and pull."""

from api.registration import Registration, merge
from api.sync import changes, sync
from api.sync.jobs import JOBS

AREA = merge([changes.REGISTRATION, sync.REGISTRATION, Registration(jobs=JOBS)])
