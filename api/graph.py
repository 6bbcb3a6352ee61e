"""The graph: every noun's queries and mutations in one GraphQL schema, and its printed form.

Serving it is left to `transport.py`; what may be asked at once, to `limits.py`.
"""

from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types
from strawberry.types.base import get_object_definition

from api.assignment_answers import AssignmentAnswerMutations, AssignmentAnswerQueries
from api.assignment_notes import AssignmentNoteMutations
from api.assignments import AssignmentMutations, AssignmentQueries
from api.cases import CaseMutations, CaseQueries
from api.catalogue import CatalogueQueries
from api.changes import ChangeQueries
from api.clocks import ClockQueries
from api.devices import DeviceMutations
from api.flags import FlagMutations, FlagQueries
from api.limits import extensions
from api.media import MediaMutations
from api.monitoring_points import MonitoringPointQueries
from api.nodes import NodeQueries
from api.observations import ObservationMutations, ObservationQueries
from api.push_tokens import PushTokenMutations
from api.pushes import PushSubscriptions
from api.ratings import RatingMutations, RatingQueries
from api.redactions import RedactionMutations, RedactionQueries
from api.sessions import SessionMutations
from api.settings import Settings
from api.syncs import SyncMutations
from api.thresholds import ThresholdMutations, ThresholdQueries
from api.transport import Schema
from api.units import UnitQueries
from api.users import UserQueries
from api.webhooks import WebhookMutations, WebhookQueries
from schema.times import SCALARS

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
