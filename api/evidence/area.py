"""Register the permits of evidence packs.

Nothing else needs registration, because links to packs are fields of records, and packs are downloaded over HTTP.
"""

from api.registration import Registration
from schema.evidence import packs

AREA = Registration(permits=packs.PERMITS)
