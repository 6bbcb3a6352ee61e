"""Read the page size that a field asks for, by an argument or inside an input object."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLInputObjectType,
    IntValueNode,
    NullValueNode,
    ObjectValueNode,
    ValueNode,
    VariableNode,
    get_named_type,
)

from schema.core.pagination import MAX_PAGE

PAGE_ARGUMENTS = ("first", "last")
DEFAULT_PAGE = 50


@dataclass(frozen=True, slots=True)
class PageSize:
    """The number of records in a list: the value at `path` in the variables if there is one, otherwise `size`.

    `path` is the name of a variable. If the variable is an input object, the name of its field follows. `is_argument`
    is false for a page size inside an input object, which its mutation refuses by itself if it is too large.
    """

    size: int
    path: tuple[str, ...] = ()
    is_argument: bool = True

    def size_in(self, variables: Mapping[str, Any]) -> int:
        value: Any = variables if self.path else None
        for name in self.path:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value if isinstance(value, int) and not isinstance(value, bool) else self.size

    def length_in(self, variables: Mapping[str, Any]) -> int:
        """Return the largest number of records in the list. No page has more than `MAX_PAGE`: it would be refused."""
        return max(min(self.size_in(variables), MAX_PAGE), 0) if self.path else self.size


def page_of(node: FieldNode, definition: GraphQLField | None, defaults: Mapping[str, int]) -> PageSize | None:
    """Return the page size that a field asks for, or None if the field has no pages.

    `defaults` are the default values of the operation's variables.
    """
    arguments = definition.args if definition is not None else {}
    given = {argument.name.value: argument.value for argument in node.arguments or ()}
    known = [name for name in PAGE_ARGUMENTS if name in arguments]
    asked = [given[name] for name in PAGE_ARGUMENTS if name in given]
    if known or asked:
        default = arguments[known[0]].default_value if known else None
        return _page(next((value for value in asked if not isinstance(value, NullValueNode)), None), default, defaults)
    for name, argument in arguments.items():
        type_ = get_named_type(argument.type)
        if isinstance(type_, GraphQLInputObjectType):
            for key in PAGE_ARGUMENTS:
                if key in type_.fields:
                    return _page_inside(given.get(name), key, type_.fields[key].default_value, defaults)
    return None


def _page(value: ValueNode | None, default: Any, defaults: Mapping[str, int], *, is_argument: bool = True) -> PageSize:
    size = default if isinstance(default, int) else DEFAULT_PAGE
    if isinstance(value, VariableNode):
        name = value.name.value
        return PageSize(defaults.get(name, size), (name,), is_argument)
    return PageSize(int(value.value[:10]) if isinstance(value, IntValueNode) else size, is_argument=is_argument)


def _page_inside(value: ValueNode | None, key: str, default: Any, defaults: Mapping[str, int]) -> PageSize:
    """Return the page size in the field `key` of an input object."""
    if isinstance(value, VariableNode):
        size = default if isinstance(default, int) else DEFAULT_PAGE
        return PageSize(size, (value.name.value, key), is_argument=False)
    fields = value.fields if isinstance(value, ObjectValueNode) else ()
    stated = next((each.value for each in fields if each.name.value == key), None)
    return _page(stated, default, defaults, is_argument=False)
