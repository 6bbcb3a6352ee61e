"""Salvage of batches: drafts that can't be read are cut out of the variables, so that the others go through.

A value that doesn't coerce fails a GraphQL request whole; a phone would send the batch again for ever. What the cut
drafts are answered is left to the operation, which finds them in `context.unreadable`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from graphql import (
    ArgumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    ListValueNode,
    Node,
    ObjectFieldNode,
    ObjectValueNode,
    OperationDefinitionNode,
    Undefined,
    VariableNode,
    get_operation_ast,
    is_input_type,
    is_non_null_type,
    parse,
    type_from_ast,
)
from graphql.utilities import validate_input_value

from api.graphql.requests import Path, Payload
from schema.fieldwork.drafts import UnreadableDraft

LISTS = frozenset({"drafts", "answers", "edits"})
"""The names, in every input, of a list whose items settle each on its own."""
MAX_TOKENS = 3000
MAX_ID_LENGTH = 100
MAX_MESSAGE_LENGTH = 300
UNFIT = "This text holds a NUL or half of an emoji; no text that is stored can."


@dataclass(frozen=True)
class CoercionFault:
    """What is wrong at one place in the variables; a path starts with the variable's name."""

    path: Path
    message: str

    @property
    def draft(self) -> Path | None:
        """The path of the draft at fault, ending with its index; None where no draft is."""
        start = self._start
        return self.path[: start + 2] if start is not None else None

    @property
    def field(self) -> str:
        """The input's path as a refusal names it: `drafts.3.capturedAt`."""
        return ".".join(map(str, self.path[self._start or 0 :]))

    @property
    def _start(self) -> int | None:
        """Where the list stands in the path; a variable may bear its name, too."""
        pairs = enumerate(pairwise(self.path))
        return next((at for at, (name, index) in pairs if name in LISTS and isinstance(index, int)), None)


@dataclass(frozen=True)
class Salvaged:
    """Variables without the drafts that can't be read, and those drafts by the root field that they were sent to."""

    variables: dict[str, Any]
    unreadable: dict[str, list[UnreadableDraft]]


def salvaged(schema: GraphQLSchema, payload: Payload) -> Salvaged | None:
    """Cut the drafts that can't be read out of the variables.

    None where that doesn't help: something outside of a draft is at fault too, nothing is, or a variable that holds
    drafts goes to several root fields or to none (which of them they belong to would then be a guess).
    """
    try:
        operation = get_operation_ast(parse(payload.query, max_tokens=MAX_TOKENS), payload.operation_name)
    except GraphQLError:
        return None
    if operation is None:
        return None
    faults = list(text_faults(payload))
    try:
        faults += coercion_faults(schema, operation, payload.variables)
    except RecursionError:
        return None
    first_of: dict[Path, CoercionFault] = {}
    for fault in faults:
        if fault.draft is None:
            return None
        first_of.setdefault(fault.draft, fault)
    return _cut(payload.variables, first_of, _fields_by_variable(operation))


def text_faults(payload: Payload) -> Iterator[CoercionFault]:
    """Faults of texts that no store can hold."""
    return (CoercionFault(path, UNFIT) for path in payload.unfit)


def coercion_faults(
    schema: GraphQLSchema, operation: OperationDefinitionNode, variables: dict[str, Any]
) -> Iterable[CoercionFault]:
    """Find every value that does not fit its input type, as graphql-core's own coercion does, but with the path."""
    faults: list[CoercionFault] = []
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        type_ = type_from_ast(schema, definition.type)
        value = variables.get(name, Undefined)
        if not is_input_type(type_):
            continue
        if value is Undefined and (definition.default_value is not None or not is_non_null_type(type_)):
            continue

        def note(error: GraphQLError, path: list[str | int], name: str = name) -> None:
            faults.append(CoercionFault((name, *path), error.message))

        validate_input_value(value, type_, note)
    return faults


def _fields_by_variable(operation: OperationDefinitionNode) -> dict[str, str]:
    """Response names of root fields by the variables in their arguments; none for a variable that several fields have."""
    takers: dict[str, list[str]] = {}
    for each in operation.selection_set.selections:
        if not isinstance(each, FieldNode):
            return {}
        for variable in _variables_in(each.arguments or ()):
            takers.setdefault(variable, []).append(each.alias.value if each.alias else each.name.value)
    return {variable: names[0] for variable, names in takers.items() if len(names) == 1}


def _variables_in(nodes: Iterable[Node]) -> Iterator[str]:
    for node in nodes:
        match node:
            case VariableNode():
                yield node.name.value
            case ArgumentNode() | ObjectFieldNode():
                yield from _variables_in([node.value])
            case ObjectValueNode():
                yield from _variables_in(node.fields)
            case ListValueNode():
                yield from _variables_in(node.values)


def _cut(variables: dict[str, Any], first_of: dict[Path, CoercionFault], fields: Mapping[str, str]) -> Salvaged | None:
    if not first_of:
        return None
    unreadable: dict[str, list[UnreadableDraft]] = {}
    for where in sorted({path[:-1] for path in first_of}):
        field = fields.get(str(where[0]))
        if field is None or field in unreadable:
            return None
        holder: Any = variables
        for step in where:
            holder = holder[step]
        bad = {int(path[-1]): fault for path, fault in first_of.items() if path[:-1] == where}
        unreadable[field] = [
            UnreadableDraft(index, _id_of(holder[index]), bad[index].message[:MAX_MESSAGE_LENGTH], bad[index].field)
            for index in sorted(bad)
        ]
        variables = _replaced(variables, where, [draft for index, draft in enumerate(holder) if index not in bad])
    return Salvaged(variables, unreadable)


def _replaced(value: Any, path: Path, new: Any) -> Any:
    """A copy of `value` with `new` at `path`; nothing beside the path is copied."""
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = _replaced(value[path[0]], path[1:], new)
    return copy


def _id_of(draft: Any) -> str | None:
    found = draft.get("id") if isinstance(draft, dict) else None
    return found if isinstance(found, str) and len(found) <= MAX_ID_LENGTH and found.isprintable() else None
