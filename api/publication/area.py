"""Register the operations on redactions, and their background job."""

from api.publication import redactions
from api.publication.jobs import JOBS
from api.registration import Registration, merge

AREA = merge([redactions.REGISTRATION, Registration(jobs=JOBS)])
