"""Register the area of checks: flags, thresholds and background jobs."""

from api.checks import flags, thresholds
from api.checks.jobs import JOBS
from api.registration import Registration, merge

AREA = merge([flags.REGISTRATION, thresholds.REGISTRATION, Registration(jobs=JOBS)])
