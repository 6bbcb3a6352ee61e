"""Build the GraphQL schema from what the areas register, and print the schema."""

from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types
from strawberry.types.base import get_object_definition

from api.graphql.endpoint import Schema
from api.graphql.execution.executor import executor_class
from api.graphql.input_conversions import convert_inputs_directly
from api.graphql.query_limits import limit_extensions
from api.server.areas import PRODUCT
from api.settings import Settings
from schema.core.times import SCALARS

Query = merge_types("Query", PRODUCT.queries)
Mutation = merge_types("Mutation", PRODUCT.mutations)
Subscription = merge_types("Subscription", PRODUCT.subscriptions)
DESCRIPTIONS = {
    Query: "All queries (查询). A query returns only what the viewer may see.",
    Mutation: "All changes (操作). Each field answers with a union that includes `Refused`.",
    Subscription: "All streams of events (推送). Each field continues after the cursor that you pass.",
}
for root, description in DESCRIPTIONS.items():
    get_object_definition(root, strict=True).description = description


def build_schema(settings: Settings) -> Schema:
    """Build the schema with the limits of `settings`.

    Without introspection, error messages also suggest no field names, because strangers could learn the schema from
    them.
    """
    config = StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=not settings.introspection)
    schema = Schema(
        Query,
        Mutation,
        Subscription,
        extensions=limit_extensions(settings),
        execution_context_class=executor_class(settings),
        config=config,
    )
    convert_inputs_directly(schema)
    return schema


def print_sdl(schema: Schema) -> str:
    """Return the SDL in exactly the form of `mobile_contract/schema.graphql`."""
    return schema.as_str().rstrip() + "\n"
