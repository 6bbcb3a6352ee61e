"""The graph: every noun's queries and mutations in one GraphQL schema, and its printed form.

Serving it is left to `transport.py`; what may be asked at once, to `limits.py`.
"""

from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types
from strawberry.types.base import get_object_definition

from api.accounts.device_clocks import ClockQueries
from api.accounts.devices import DeviceMutations
from api.accounts.sessions import SessionMutations
from api.accounts.users import UserQueries
from api.appraisal.ratings import RatingMutations, RatingQueries
from api.casework.assignment_answers import AssignmentAnswerMutations, AssignmentAnswerQueries
from api.casework.assignment_notes import AssignmentNoteMutations
from api.casework.assignments import AssignmentMutations, AssignmentQueries
from api.casework.cases import CaseMutations, CaseQueries
from api.catalogue.entries import CatalogueQueries
from api.checks.flags import FlagMutations, FlagQueries
from api.checks.thresholds import ThresholdMutations, ThresholdQueries
from api.fieldwork.observations import ObservationMutations, ObservationQueries
from api.graphql.endpoint import Schema
from api.graphql.nodes import NodeQueries
from api.graphql.query_limits import extensions
from api.media.media import MediaMutations
from api.notifications.push_tokens import PushTokenMutations
from api.notifications.subscriptions import PushSubscriptions
from api.notifications.webhooks import WebhookMutations, WebhookQueries
from api.organisation.monitoring_points import MonitoringPointQueries
from api.organisation.units import UnitQueries
from api.publication.redactions import RedactionMutations, RedactionQueries
from api.settings import Settings
from api.sync.changes import ChangeQueries
from api.sync.sync import SyncMutations
from schema.core.times import SCALARS

Query = merge_types(
    "Query",
    (
        UserQueries,
        NodeQueries,
        UnitQueries,
        MonitoringPointQueries,
        ObservationQueries,
        CaseQueries,
        AssignmentQueries,
        AssignmentAnswerQueries,
        ChangeQueries,
        ClockQueries,
        FlagQueries,
        ThresholdQueries,
        RedactionQueries,
        RatingQueries,
        CatalogueQueries,
        WebhookQueries,
    ),
)
Mutation = merge_types(
    "Mutation",
    (
        SessionMutations,
        DeviceMutations,
        SyncMutations,
        ObservationMutations,
        MediaMutations,
        CaseMutations,
        AssignmentMutations,
        AssignmentAnswerMutations,
        AssignmentNoteMutations,
        FlagMutations,
        ThresholdMutations,
        RedactionMutations,
        RatingMutations,
        PushTokenMutations,
        WebhookMutations,
    ),
)
Subscription = merge_types("Subscription", (PushSubscriptions,))
MEANINGS = {
    Query: "What may be asked; each field as the viewer may see it (查询).",
    Mutation: "What may be done; each field answers with a union that has `Refused` (操作).",
    Subscription: "What is told as it happens; each field goes on after the cursor that it is given (推送).",
}
for root, meaning in MEANINGS.items():
    get_object_definition(root, strict=True).description = meaning


def build_schema(settings: Settings) -> Schema:
    """The schema with the limits of `settings`; suggestions would tell a stranger what introspection withholds."""
    config = StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=not settings.introspection)
    return Schema(Query, Mutation, Subscription, extensions=extensions(settings), config=config)


def printed(schema: Schema) -> str:
    """The SDL, as `mobile_contract/schema.graphql` holds it."""
    return schema.as_str().rstrip() + "\n"
