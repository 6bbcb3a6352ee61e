"""Register the permissions of evidence packs: packs are fields of records, and their bytes come over HTTP."""

from api.registration import Registration
from schema.evidence import packs

AREA = Registration(permits=packs.PERMITS)
