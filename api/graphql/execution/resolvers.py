"""Plan how a field's resolver is called.

Strawberry's own way works for every field: it makes an `Info`, converts the arguments and chains the field's
extensions, for every call. Most fields of records need less, so their resolver and their extensions, such as the guards
of `schema.access.guards`, are chained once, when the plan is made.
"""

from collections.abc import Callable
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, cast

from graphql import GraphQLField, GraphQLObjectType, get_nullable_type, is_leaf_type
from graphql.execution.collect_fields import FieldDetailsList
from graphql.execution.values import get_argument_values
from graphql.pyutils import Path
from strawberry import Schema
from strawberry.extensions import FieldExtension
from strawberry.extensions.field_extension import build_field_extension_resolvers
from strawberry.types.arguments import convert_arguments
from strawberry.types.field import StrawberryField
from strawberry.types.fields.resolver import StrawberryResolver

if TYPE_CHECKING:
    from api.graphql.execution.runs import Run

Resolve = Callable[["Run", Any, Path], Any]


class FieldCall:
    """Call a resolver in Strawberry's own way.

    `head` has the first items of the resolver's `info`. They are known when the plan is made.
    """

    def __init__(self, parent: GraphQLObjectType, field: GraphQLField, details: FieldDetailsList) -> None:
        self.parent = parent
        self.field = field
        self.nodes = [detail.node for detail in details]
        self.resolve = cast("Callable[..., Any]", field.resolve)  # Strawberry gives one to every field
        self.head = (self.nodes[0].name.value, self.nodes, field.type, parent)

    def __call__(self, run: "Run", source: Any, path: Path) -> Any:
        return self.resolve(source, run.info(self, path), **run.arguments(self))

    def read_arguments(self, run: "Run") -> dict[str, Any]:
        """Return the arguments, which are the same for all calls of a run. Raise graphql-core's error."""
        node, executor = self.nodes[0], run.executor
        if not (self.field.args or node.arguments):
            return {}
        return get_argument_values(
            self.field, node, executor.variable_values, hide_suggestions=executor.hide_suggestions
        )


class DirectCall(FieldCall):
    """Call a resolver directly. Its arguments are converted once for a run, as `is_direct` knows that nothing changes them."""

    def __init__(
        self,
        parent: GraphQLObjectType,
        field: GraphQLField,
        details: FieldDetailsList,
        resolver: StrawberryResolver[Any],
        schema: Schema,
    ) -> None:
        super().__init__(parent, field, details)
        self.schema = schema
        self.definition: StrawberryField = field.extensions["strawberry-definition"]
        self.function = _chain(self.definition, resolver)
        self.has_arguments = bool(field.args)

    def __call__(self, run: "Run", source: Any, path: Path) -> Any:
        info = self.schema.config.info_class(_raw_info=run.info(self, path), _field=self.definition)
        if self.has_arguments:
            return self.function(source, info, **run.arguments(self))
        return self.function(source, info)

    def read_arguments(self, run: "Run") -> dict[str, Any]:
        registry, config = self.schema.schema_converter.scalar_registry, self.schema.config
        return convert_arguments(super().read_arguments(run), self.definition.arguments, registry, config)


def plan_resolver(
    parent: GraphQLObjectType, field: GraphQLField, details: FieldDetailsList, schema: Schema
) -> FieldCall:
    """Return the cheapest way to call a field's resolver."""
    resolver = field.extensions["strawberry-definition"].base_resolver
    if resolver is not None and is_direct(field, resolver, schema):
        return DirectCall(parent, field, details, resolver, schema)
    return FieldCall(parent, field, details)


def is_direct(field: GraphQLField, resolver: StrawberryResolver[Any], schema: Schema) -> bool:
    """Whether a resolver may be called directly.

    Its first parameters must be the source and, if it has one, the info. Its arguments must be scalars or enums, which
    nobody can change, and no extension may change them.
    """
    expected = [each.name for each in (resolver.self_parameter, resolver.info_parameter) if each is not None]
    extensions = field.extensions["strawberry-definition"].extensions
    return (
        resolver.self_parameter is not None
        and resolver.parent_parameter is None
        and resolver.root_parameter is None
        and list(resolver.signature.parameters)[: len(expected)] == expected
        and all(is_leaf_type(get_nullable_type(argument.type)) for argument in field.args.values())
        and all(type(each).map_arguments is FieldExtension.map_arguments for each in extensions)
        and not schema.exception_handlers
    )


def _chain(definition: StrawberryField, resolver: StrawberryResolver[Any]) -> Callable[..., Any]:
    """Return the resolver with its extensions around it. It is called with source, info and the arguments."""
    function = cast("Callable[..., Any]", resolver.wrapped_func)
    if resolver.info_parameter is None:
        function = partial(_without_info, function)
    extensions = build_field_extension_resolvers(definition)
    return reduce(lambda inner, extension: partial(extension, inner), extensions, function)


def _without_info(function: Callable[..., Any], source: Any, info: Any, **arguments: Any) -> Any:
    return function(source, **arguments)
