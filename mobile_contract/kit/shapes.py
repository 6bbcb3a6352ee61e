"""Check that an answer has the fields that its operation names, with values of the types in the contract's schema."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from graphql import (
    FieldNode,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    build_schema,
    get_nullable_type,
    parse,
)

from mobile_contract.documents import text_of
from mobile_contract.levels import SDL

JSON: dict[str, tuple[type, ...]] = {
    "Boolean": (bool,),
    "Int": (int,),
    "ByteCount": (int,),
    "Float": (int, float),
}
"""The JSON types of scalars. Every other scalar is a string."""


@cache
def contract_schema() -> GraphQLSchema:
    return build_schema(SDL.read_text(encoding="utf-8"))


@cache
def operation_of(name: str) -> OperationDefinitionNode:
    [operation] = parse(text_of(name)).definitions
    assert isinstance(operation, OperationDefinitionNode)  # noqa: S101
    return operation


def root_of(name: str) -> str:
    """Return the answer's key of the operation's first root field."""
    field = operation_of(name).selection_set.selections[0]
    assert isinstance(field, FieldNode)  # noqa: S101
    return field.alias.value if field.alias else field.name.value


def find_misshapen(name: str, data: dict[str, Any], variables: dict[str, Any]) -> list[str]:
    """Return the fields that are missing, superfluous or of another type than the contract says.

    Enum values aren't checked, because a newer server may have more of them (W7).
    """
    operation = operation_of(name)
    root = contract_schema().get_root_type(operation.operation)
    assert root is not None  # noqa: S101
    given = {node.variable.name.value: node.default_value for node in operation.variable_definitions or ()}
    known = {name: getattr(value, "value", None) for name, value in given.items()} | variables
    return list(dict.fromkeys(_check_object(root, [operation.selection_set], data, known, "")))


def _check_object(
    type_: GraphQLObjectType, selections: list[SelectionSetNode], value: Any, variables: dict[str, Any], path: str
) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: an object of {type_.name} is {value!r:.60}"
        return
    fields = _fields_of(type_, selections, variables)
    yield from (f"{path}.{key}: the operation does not name it" for key in value.keys() - fields.keys())
    for key, (name, below) in fields.items():
        where = f"{path}.{key}".lstrip(".")
        if key not in value:
            yield f"{where}: it is missing"
        elif name != "__typename":
            yield from _check_value(type_.fields[name].type, below, value[key], variables, where)
        elif value[key] != type_.name:
            yield f"{where}: {value[key]!r} instead of {type_.name}"


def _check_value(
    type_: Any, selections: list[SelectionSetNode], value: Any, variables: dict[str, Any], path: str
) -> Iterator[str]:
    if value is None:
        if isinstance(type_, GraphQLNonNull):
            yield f"{path}: it is null"
        return
    type_ = get_nullable_type(type_)
    if isinstance(type_, GraphQLList):
        if not isinstance(value, list):
            yield f"{path}: a list is {value!r:.60}"
        for each in value if isinstance(value, list) else ():
            yield from _check_value(type_.of_type, selections, each, variables, path)
    elif isinstance(type_, GraphQLUnionType | GraphQLInterfaceType):
        yield from _check_union(type_, selections, value, variables, path)
    elif isinstance(type_, GraphQLObjectType):
        yield from _check_object(type_, selections, value, variables, path)
    elif not _is_leaf(type_.name, value):
        yield f"{path}: {value!r:.60} is no {type_.name}"


def _check_union(
    type_: GraphQLUnionType | GraphQLInterfaceType,
    selections: list[SelectionSetNode],
    value: Any,
    variables: dict[str, Any],
    path: str,
) -> Iterator[str]:
    name = value.get("__typename") if isinstance(value, dict) else None
    possible = {each.name: each for each in contract_schema().get_possible_types(type_)}
    if name in possible:
        told = f"{path}({name})" if path.endswith(".record") else path
        yield from _check_object(possible[name], selections, value, variables, told)
    else:
        yield f"{path}.__typename: {name!r} is no {type_.name}"


def _is_leaf(name: str, value: Any) -> bool:
    wanted = JSON.get(name, (str,))
    return isinstance(value, wanted) and (bool in wanted or not isinstance(value, bool))


def _fields_of(
    type_: GraphQLObjectType, selections: list[SelectionSetNode], variables: dict[str, Any]
) -> dict[str, tuple[str, list[SelectionSetNode]]]:
    """Return the schema's name of each key of the answer, and what is selected below it."""
    fields: dict[str, tuple[str, list[SelectionSetNode]]] = {}
    for selected in (each for selection in selections for each in selection.selections):
        if not _is_included(selected, variables):
            continue
        if isinstance(selected, InlineFragmentNode):
            condition = selected.type_condition
            if condition is None or condition.name.value == type_.name:
                for key, (name, below) in _fields_of(type_, [selected.selection_set], variables).items():
                    fields[key] = (name, [*fields.get(key, (name, []))[1], *below])
        elif isinstance(selected, FieldNode):
            key = selected.alias.value if selected.alias else selected.name.value
            below = [selected.selection_set] if selected.selection_set else []
            fields[key] = (selected.name.value, [*fields.get(key, ("", []))[1], *below])
    return fields


def _is_included(selected: SelectionNode, variables: dict[str, Any]) -> bool:
    """Apply `@include(if: $name)`, the only directive of the contract's operations."""
    conditions = [argument.value for directive in selected.directives or () for argument in directive.arguments or ()]
    return all(variables.get(each.name.value) for each in conditions if isinstance(each, VariableNode))
