"""Refuse documents that exceed a limit, before validation and before any resolver runs.

Each document text is parsed, measured and validated only once. The results are cached.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial

from graphql import DocumentNode, GraphQLError, GraphQLSchema, GraphQLSyntaxError, OperationDefinitionNode, parse
from strawberry.extensions import DisableIntrospection, SchemaExtension
from strawberry.schema.schema import validate_document

from api.graphql.query_cost import DocumentShape, measure_document
from api.settings import Settings
from api.telemetry import tracing
from schema.core.refusals import Refusal, RefusalCode

CACHED_DOCUMENTS = 256
MAX_ROOTS = 10
MAX_DIRECTIVES = 50
MAX_FRAGMENTS = 50
MAX_OPERATIONS = 10
MAX_REPEATS = 200
"""Largest number of selections whose name is already selected in the same place. Validation compares all pairs of
selections that have the same name. With 200 repeats, this takes 30 ms at most."""
MAX_INTROSPECTIONS = 2
"""Largest number of `__schema` and `__type` in a document. Tools need one. A stranger may introspect, too."""
MAX_PAGE_ARGUMENT = 100


class PreparedDocument:
    """A parsed document, its measures and, once it is validated, the errors of validation."""

    def __init__(self, document: DocumentNode, shape: DocumentShape) -> None:
        self.document = document
        self.shape = shape
        self.errors: list[GraphQLError] | None = None


@lru_cache(maxsize=CACHED_DOCUMENTS)
def prepare_document(schema: GraphQLSchema, text: str, max_tokens: int) -> PreparedDocument:
    """Parse and measure a document. The result is cached by the document's text, but errors are not cached.

    Raise `GraphQLSyntaxError` or `Refusal(LIMIT_EXCEEDED)`. Strawberry's own caches are not used. Their key is the
    parsed document, and hashing it walks every node, twice a request.
    """
    try:
        document = parse(text, max_tokens=max_tokens)
    except GraphQLSyntaxError as error:
        if f"more than {max_tokens} tokens" in error.message:
            raise _too_many("tokens", max_tokens) from error
        raise
    return PreparedDocument(document, measure_document(schema, document))


class QueryLimits(SchemaExtension):
    """Check each document against the limits, then validate it."""

    prepared: PreparedDocument

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        core = context.schema._schema  # noqa: SLF001  Strawberry offers no public way to it
        self.prepared = prepare_document(core, context.query or "", self.settings.max_tokens)
        context.graphql_document = self.prepared.document
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        document, shape = self.prepared.document, self.prepared.shape
        tracing.current().operation = context.operation_type.value
        for count, limit, what in self._measures(shape):
            if count > limit:
                raise _too_many(what, limit, count)
        names = [node.name for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        if len(names) > 1 and context._provided_operation_name is None:  # noqa: SLF001
            raise Refusal(RefusalCode.BAD_INPUT, "The document has several operations: name one by `operationName`.")
        variables = context.variables or {}
        for page in shape.pages:
            if (size := page.size_in(variables)) > MAX_PAGE_ARGUMENT:
                raise _too_many("records a page", MAX_PAGE_ARGUMENT, size)
            if size < 0:
                raise Refusal(RefusalCode.BAD_INPUT, "A page size can't be negative.")
        cost = shape.cost[context.operation_name].total(variables)
        if cost > self.settings.max_cost:
            raise _too_many(
                "fields, counted with the page sizes asked for and the longest lists", self.settings.max_cost, cost
            )
        if self.prepared.errors is None:
            core = context.schema._schema  # noqa: SLF001
            self.prepared.errors = validate_document(core, document, context.validation_rules)
        context.pre_execution_errors = self.prepared.errors
        yield

    def _measures(self, shape: DocumentShape) -> Iterable[tuple[int, int, str]]:
        yield shape.depth, self.settings.max_depth, "levels of fields"
        yield shape.aliases, self.settings.max_aliases, "aliases"
        yield shape.roots, MAX_ROOTS, "fields at the root"
        yield shape.directives, MAX_DIRECTIVES, "directives"
        yield shape.repeats, MAX_REPEATS, "repeated fields"
        yield shape.fragments, MAX_FRAGMENTS, "fragments"
        yield shape.operations, MAX_OPERATIONS, "operations"
        yield shape.introspections, MAX_INTROSPECTIONS, "introspections"


def limit_extensions(settings: Settings) -> list[Callable[[], SchemaExtension]]:
    """Return the Strawberry extensions that enforce the limits of `settings`."""
    disabled: list[Callable[[], SchemaExtension]] = [] if settings.introspection else [DisableIntrospection]
    return [*disabled, partial(QueryLimits, settings)]


def _too_many(what: str, limit: int, count: int | None = None) -> Refusal:
    found = f" This one has {count}." if count is not None else ""
    return Refusal(RefusalCode.LIMIT_EXCEEDED, f"Too many {what}: one document may have at most {limit}.{found}")
