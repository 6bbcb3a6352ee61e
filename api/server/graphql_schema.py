"""Build the GraphQL schema from what the areas register, and print it."""

from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types
from strawberry.types.base import get_object_definition

from api.graphql.endpoint import Schema
from api.graphql.query_limits import limit_extensions
from api.server.areas import PRODUCT
from api.settings import Settings
from schema.core.times import SCALARS

Query = merge_types("Query", PRODUCT.queries)
Mutation = merge_types("Mutation", PRODUCT.mutations)
Subscription = merge_types("Subscription", PRODUCT.subscriptions)
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
    return Schema(Query, Mutation, Subscription, extensions=limit_extensions(settings), config=config)


def printed(schema: Schema) -> str:
    """The SDL, as `mobile_contract/schema.graphql` holds it."""
    return schema.as_str().rstrip() + "\n"
