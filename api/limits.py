"""Limits on a document, refused as `LIMIT_EXCEEDED` before validation and so before any resolver; parse and validation cached.

Measuring is `shape`'s work; how a refusal reaches the caller is `errors`'.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial

from graphql import GraphQLSyntaxError, OperationDefinitionNode
from strawberry.extensions import DisableIntrospection, ParserCache, SchemaExtension, ValidationCache

from api import tracing
from api.settings import Settings
from api.shape import Shape, shape_of
from schema.refusals import Refusal, RefusalCode

CACHED_DOCUMENTS = 256
MOST_ROOTS = 10
MOST_DIRECTIVES = 50
MOST_FRAGMENTS = 50
MOST_OPERATIONS = 10
MOST_REPEATS = 200
"""Validation compares every two selections of one name: 200 repeats cost it 30 ms at worst."""
LARGEST_PAGE = 100

_shape_of = lru_cache(maxsize=CACHED_DOCUMENTS)(shape_of)


class Limits(ParserCache):
    """Parse within the token limit, then hold the document's shape against the settings."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(maxsize=CACHED_DOCUMENTS)
        self.settings = settings

    def on_operation(self) -> Iterator[None]:
        self.execution_context.parse_options["max_tokens"] = self.settings.max_tokens
        yield

    def on_parse(self) -> Iterator[None]:
        try:
            self.execution_context.graphql_document = self.cached_parse_document(
                self.execution_context.query, **self.execution_context.parse_options
            )
        except GraphQLSyntaxError as error:
            if f"more than {self.settings.max_tokens} tokens" in error.message:
                raise _too_many("tokens", self.settings.max_tokens) from error
            raise
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        document = context.graphql_document
        assert document is not None  # noqa: S101  parsing precedes validation
        tracing.current().operation = context.operation_type.value
        shape = _shape_of(context.schema._schema, document)  # noqa: SLF001  Strawberry offers no public way to it
        for count, most, what in self._measures(shape):
            if count > most:
                raise _too_many(what, most, count)
        names = [node.name for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        if len(names) > 1 and context._provided_operation_name is None:  # noqa: SLF001
            raise Refusal(RefusalCode.BAD_INPUT, "Say by `operationName` which of the operations is to run.")
        variables = context.variables or {}
        for page in shape.pages:
            if (size := page.of(variables)) > LARGEST_PAGE:
                raise _too_many("records a page", LARGEST_PAGE, size)
            if size < 0:
                raise Refusal(RefusalCode.BAD_INPUT, "A page size can't be negative.")
        cost = shape.cost[context.operation_name].of(variables)
        if cost > self.settings.max_cost:
            raise _too_many("fields, counted with the page sizes asked for", self.settings.max_cost, cost)
        yield

    def _measures(self, shape: Shape) -> Iterable[tuple[int, int, str]]:
        yield shape.depth, self.settings.max_depth, "levels of fields"
        yield shape.aliases, self.settings.max_aliases, "aliases"
        yield shape.roots, MOST_ROOTS, "fields at the root"
        yield shape.directives, MOST_DIRECTIVES, "directives"
        yield shape.repeats, MOST_REPEATS, "repeated fields"
        yield shape.fragments, MOST_FRAGMENTS, "fragments"
        yield shape.operations, MOST_OPERATIONS, "operations"


def extensions(settings: Settings) -> list[Callable[[], SchemaExtension]]:
    """Return the extensions of a `strawberry.Schema`, in the order they must stand in."""
    closed: list[Callable[[], SchemaExtension]] = [] if settings.introspection else [DisableIntrospection]
    return [*closed, partial(Limits, settings), partial(ValidationCache, maxsize=CACHED_DOCUMENTS)]


def _too_many(what: str, most: int, count: int | None = None) -> Refusal:
    found = f"This one has {count}; at most {most}" if count is not None else f"At most {most}"
    return Refusal(RefusalCode.LIMIT_EXCEEDED, f"Too many {what}. {found} are allowed in one document.")
