"""Measure a GraphQL document in one walk: depth, aliases, repeats, directives, root fields and cost.

The walk comes before validation, because some documents attack validation itself. A document with 2,900 tokens of
repeated fields keeps validation busy for 0.7 s. Each fragment that spreads another fragment twice doubles the work of
validation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    is_composite_type,
    is_list_type,
    is_non_null_type,
)

from api.graphql.list_sizes import CHANGES, PAGE_LISTS, list_size
from api.graphql.page_sizes import PageSize, page_of
from schema.core.refusals import Refusal, RefusalCode

MAX_VISITS = 5000
"""Largest number of selections that are visited. The selections of a fragment count again at each of its spreads. A
document of 3,000 tokens that spreads no fragment twice has 1,500 selections."""
MAX_NESTING = 100


@dataclass(slots=True)
class QueryCost:
    """The largest number of fields that a query can resolve.

    It is the sum of `fixed`, of the cost of each part times the length of its list, and of the cost of each of
    `choices`. A choice maps the possible types of a value to their costs. Only the highest of these costs counts,
    because a value has one type. A page has at most `MAX_PAGE` records, because larger pages are refused.
    """

    fixed: int = 0
    parts: list[tuple[PageSize, "QueryCost"]] = field(default_factory=list)
    choices: list[dict[str, "QueryCost"]] = field(default_factory=list)

    def add(self, page: PageSize, inner: "QueryCost") -> None:
        if not page.path and not inner.parts and not inner.choices:
            self.fixed += page.size * inner.fixed
        else:
            self.parts.append((page, inner))

    def total(self, variables: Mapping[str, Any]) -> int:
        parts = sum(page.length_in(variables) * inner.total(variables) for page, inner in self.parts)
        choices = sum(max(cost.total(variables) for cost in choice.values()) for choice in self.choices)
        return self.fixed + parts + choices


@dataclass(slots=True)
class DocumentShape:
    """The measures of a document.

    `depth` and `roots` are the highest values of any operation. `cost` holds the cost of each operation, keyed by
    operation name. All other numbers are totals of the document. `repeats` counts selections whose response name is
    already selected in the same place. `pages` are the page sizes that the document asks for by arguments. Page sizes
    inside input objects are not among them, because their mutation itself answers with a refusal if they are too large.
    """

    depth: int = 0
    aliases: int = 0
    directives: int = 0
    roots: int = 0
    repeats: int = 0
    operations: int = 0
    fragments: int = 0
    introspections: int = 0
    pages: list[PageSize] = field(default_factory=list)
    cost: dict[str | None, QueryCost] = field(default_factory=dict)


def measure_document(schema: GraphQLSchema, document: DocumentNode) -> DocumentShape:
    """Measure a document, valid or not. Raise `Refusal(LIMIT_EXCEEDED)` if it is too large to measure."""
    walk = _Walk(schema, document)
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            walk.visit_operation(definition)
    for fragment in walk.fragments.values():
        # Validation also reads fragments that nothing spreads.
        if fragment.name.value not in walk.spread:
            walk.visit_selections(fragment.selection_set, None, QueryCost(), _Place(1, 1, frozenset()), {})
    return walk.shape


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in the document. `page` is the size of a page that was asked for, but whose list is not reached yet."""

    depth: int
    nesting: int
    within: frozenset[str]
    page: PageSize | None = None
    introspection: bool = False

    def inside(self, *, page: PageSize | None, introspection: bool) -> "_Place":
        return _Place(self.depth + 1, self.nesting + 1, self.within, page, self.introspection or introspection)


class _Walk:
    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self.schema = schema
        self.fragments = {
            definition.name.value: definition
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        self.shape = DocumentShape(fragments=len(self.fragments))
        self.spread: set[str] = set()
        self.visits = 0
        self.defaults: dict[str, int] = {}

    def visit_operation(self, operation: OperationDefinitionNode) -> None:
        self.defaults = {
            definition.variable.name.value: int(definition.default_value.value)
            for definition in operation.variable_definitions or ()
            if isinstance(definition.default_value, IntValueNode)
        }
        cost, names = QueryCost(), dict[str, Any]()
        root = self.schema.get_root_type(operation.operation)
        self.visit_selections(operation.selection_set, root, cost, _Place(1, 1, frozenset()), names)
        self.shape.operations += 1
        self.shape.directives += len(operation.directives or ())
        self.shape.roots = max(self.shape.roots, len(names))
        self.shape.cost[operation.name.value if operation.name else None] = cost

    def visit_selections(
        self,
        selection_set: SelectionSetNode,
        parent: GraphQLNamedType | None,
        cost: QueryCost,
        place: _Place,
        names: dict[str, Any],
    ) -> None:
        if place.nesting > MAX_NESTING:
            raise Refusal(RefusalCode.LIMIT_EXCEEDED, f"Selections are nested more than {MAX_NESTING} deep.")
        if not place.introspection:
            self.shape.depth = max(self.shape.depth, place.depth)
        choice: dict[str, QueryCost] = {}
        for selection in selection_set.selections:
            self.visits += 1
            if self.visits > MAX_VISITS:
                raise Refusal(
                    RefusalCode.LIMIT_EXCEEDED, f"The document selects more than {MAX_VISITS} fields and fragments."
                )
            self.shape.directives += len(selection.directives or ())
            if isinstance(selection, FieldNode):
                self.visit_field(selection, parent, cost, place, names)
            else:
                type_name = self.concrete_type(selection, parent)
                fragment_cost = choice.setdefault(type_name, QueryCost()) if type_name else cost
                self.visit_fragment(selection, parent, fragment_cost, place, names)
        if choice:
            cost.choices.append(choice)

    def concrete_type(self, selection: Any, parent: GraphQLNamedType | None) -> str | None:
        """Return the object type to which a fragment narrows a union or interface, or None."""
        on = self.fragments.get(selection.name.value) if isinstance(selection, FragmentSpreadNode) else selection
        if not isinstance(parent, GraphQLUnionType | GraphQLInterfaceType) or on is None or on.type_condition is None:
            return None
        name: str = on.type_condition.name.value
        return name if isinstance(self.schema.get_type(name), GraphQLObjectType) else None

    def visit_fragment(
        self,
        selection: Any,
        parent: GraphQLNamedType | None,
        cost: QueryCost,
        place: _Place,
        names: dict[str, Any],
    ) -> None:
        condition, within, selection_set = None, place.within, None
        if isinstance(selection, InlineFragmentNode):
            condition, selection_set = selection.type_condition, selection.selection_set
        elif isinstance(selection, FragmentSpreadNode):
            name = selection.name.value
            fragment = self.fragments.get(name)
            if fragment is None or name in within:
                return  # validation reports unknown fragments and cycles
            self.spread.add(name)
            condition, selection_set = fragment.type_condition, fragment.selection_set
            within = within | {name}
        if selection_set is None:
            return
        inner = _Place(place.depth, place.nesting + 1, within, place.page, place.introspection)
        type_ = self.schema.get_type(condition.name.value) if condition else parent
        self.visit_selections(selection_set, type_, cost, inner, names)

    def visit_field(
        self, node: FieldNode, parent: GraphQLNamedType | None, cost: QueryCost, place: _Place, names: dict[str, Any]
    ) -> None:
        response_name = node.alias.value if node.alias else node.name.value
        self.shape.aliases += node.alias is not None
        self.shape.repeats += response_name in names
        below = names.setdefault(response_name, {})
        introspection = node.name.value.startswith("__")
        self.shape.introspections += node.name.value in {"__schema", "__type"}
        if not (introspection or place.introspection):
            cost.fixed += 1
        if node.selection_set is None:
            return
        definition = (
            parent.fields.get(node.name.value) if isinstance(parent, GraphQLObjectType | GraphQLInterfaceType) else None
        )
        asked = page_of(node, definition, self.defaults)
        if asked is not None and asked.is_argument:
            self.shape.pages.append(asked)
        length, page = self.length_of(node, parent, definition, asked or place.page)
        inner = QueryCost()
        self.visit_selections(
            node.selection_set,
            get_named_type(definition.type) if definition else None,
            inner,
            place.inside(page=page, introspection=introspection),
            below,
        )
        cost.add(length, inner)

    def length_of(
        self,
        node: FieldNode,
        parent: GraphQLNamedType | None,
        definition: GraphQLField | None,
        page: PageSize | None,
    ) -> tuple[PageSize, PageSize | None]:
        """Return how many values a field has, and the page size that is left for a list below.

        `page` is the size of the page that this field or a field above asks for.
        """
        if definition is None or parent is None or not _is_list(definition):
            return PageSize(1), page
        name = node.name.value
        if page is not None and (name in PAGE_LISTS or f"{parent.name}.{name}" == CHANGES):
            return page, None
        return PageSize(list_size(parent.name, name)), None


def _is_list(definition: GraphQLField) -> bool:
    type_ = definition.type.of_type if is_non_null_type(definition.type) else definition.type
    return is_list_type(type_) and is_composite_type(get_named_type(type_))
