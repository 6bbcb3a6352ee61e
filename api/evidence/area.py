"""Say what the API has of evidence: packs are fields of records, and their bytes come by an address."""

from api.registration import Registration
from schema.evidence import packs

AREA = Registration(permits=packs.PERMITS)
