"""Register the operations on media (photos, videos, sounds and documents), and their background jobs."""

from api.media import media
from api.media.jobs import JOBS
from api.registration import Registration, merge

AREA = merge([media.REGISTRATION, Registration(jobs=JOBS)])
