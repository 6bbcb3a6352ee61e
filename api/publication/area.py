"""Register what the API offers on publication: redactions."""

from api.publication import redactions
from api.publication.jobs import JOBS
from api.registration import Registration, merge

AREA = merge([redactions.REGISTRATION, Registration(jobs=JOBS)])
