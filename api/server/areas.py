"""List the areas, and merge what they register."""

from api.accounts.area import AREA as ACCOUNTS
from api.appraisal.area import AREA as APPRAISAL
from api.casework.area import AREA as CASEWORK
from api.catalogue.area import AREA as CATALOGUE
from api.checks.area import AREA as CHECKS
from api.evidence.area import AREA as EVIDENCE
from api.fieldwork.area import AREA as FIELDWORK
from api.graphql.nodes import NodeQueries
from api.media.area import AREA as MEDIA
from api.notifications.area import AREA as NOTIFICATIONS
from api.organisation.area import AREA as ORGANISATION
from api.publication.area import AREA as PUBLICATION
from api.registration import Registration, Registry, merge
from api.sync.area import AREA as SYNC
from schema.access.permissions import CORE

PRODUCT = merge(
    [
        Registration(queries=(NodeQueries,), permits=CORE),
        ACCOUNTS,
        ORGANISATION,
        CATALOGUE,
        MEDIA,
        FIELDWORK,
        CHECKS,
        CASEWORK,
        APPRAISAL,
        EVIDENCE,
        PUBLICATION,
        SYNC,
        NOTIFICATIONS,
    ]
)
REGISTRY = Registry.of(PRODUCT)
