"""Compute the work of the largest answer that an operation can have: each list as long as it becomes."""

from collections.abc import Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    is_composite_type,
    is_list_type,
    is_non_null_type,
)

from api.graphql.list_sizes import CHANGES, PAGE_LISTS, list_size
from api.graphql.work_limit import work_of

SHORT = 5
"""The assumed length of a list of values that are no objects."""


def largest_work(schema: GraphQLSchema, document: DocumentNode, page: int, sizes: Mapping[str, int]) -> int:
    """Return the work of the only operation of `document`, with pages of `page` records.

    `sizes` are lengths of lists, keyed by `Type.field`. They replace the lengths of the product's table.
    """
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    [operation] = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    return _Answer(schema, fragments, page, sizes).of_object(
        schema.get_root_type(operation.operation), operation.selection_set
    )


class _Answer:
    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: Mapping[str, FragmentDefinitionNode],
        page: int,
        sizes: Mapping[str, int],
    ) -> None:
        self._schema, self._fragments, self._page, self._sizes = schema, fragments, page, sizes

    def of_object(self, type_: GraphQLNamedType | None, selections: SelectionSetNode) -> int:
        """Return the work of one object, with all that is selected of it. Of a union, the largest type counts."""
        types = type_.types if isinstance(type_, GraphQLUnionType) else (type_,)
        return max(1 + self._of_fields(each, selections) for each in types if isinstance(each, GraphQLObjectType))

    def _of_fields(self, type_: GraphQLObjectType, selections: SelectionSetNode) -> int:
        return sum(self._of_selection(type_, selection) for selection in selections.selections)

    def _of_selection(self, type_: GraphQLObjectType, selection: Any) -> int:
        if isinstance(selection, FieldNode):
            return self._of_field(type_, selection)
        part = self._fragments[selection.name.value] if isinstance(selection, FragmentSpreadNode) else selection
        assert isinstance(part, FragmentDefinitionNode | InlineFragmentNode)
        wanted = part.type_condition.name.value if part.type_condition else type_.name
        return self._of_fields(type_, part.selection_set) if wanted == type_.name else 0

    def _of_field(self, type_: GraphQLObjectType, node: FieldNode) -> int:
        name = node.name.value
        own = work_of(type_, name)
        if name.startswith("__"):
            return own
        field = type_.fields[name].type
        inner = field.of_type if is_non_null_type(field) else field
        named = get_named_type(field)
        is_object = is_composite_type(named) and node.selection_set is not None
        if not is_list_type(inner):
            return own + (self.of_object(named, node.selection_set) if is_object else 0)  # type: ignore[arg-type]
        if not is_object:
            return own + SHORT
        place = f"{type_.name}.{name}"
        length = self._page if name in PAGE_LISTS or place == CHANGES else list_size(type_.name, name)
        length = self._sizes.get(place, length)
        return own + length * (1 + self.of_object(named, node.selection_set))  # type: ignore[arg-type]
