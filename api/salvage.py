"""Salvage of batches: drafts that can't be read are cut out of the variables, so that the others go through.

A value that doesn't coerce fails a GraphQL request whole; a phone would send the batch again for ever. What the cut
drafts are answered is left to the operation, which finds them in `context.unreadable`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    Undefined,
    get_operation_ast,
    is_input_type,
    is_non_null_type,
    parse,
    type_from_ast,
)
from graphql.utilities import validate_input_value

from api.payloads import Path, Payload
from schema.drafts import UnreadableDraft

DRAFTS = "drafts"
"""The name, in every input, of a list whose items settle each on its own."""
MOST_TOKENS = 3000
LONGEST_ID = 100
LONGEST_MESSAGE = 300
UNFIT = "This text holds a NUL or half of an emoji; no text that is stored can."


@dataclass(frozen=True)
class Fault:
    """What is wrong at one place in the variables; a path starts with the variable's name."""

    path: Path
    message: str

    @property
    def draft(self) -> Path | None:
        """The path of the draft at fault, ending with its index; None where no draft is."""
        if DRAFTS not in self.path:
            return None
        end = self.path.index(DRAFTS) + 2
        return self.path[:end] if end <= len(self.path) and isinstance(self.path[end - 1], int) else None

    @property
    def field(self) -> str:
        """The input's path as a refusal names it: `drafts.3.capturedAt`."""
        start = self.path.index(DRAFTS) if DRAFTS in self.path else 0
        return ".".join(map(str, self.path[start:]))


@dataclass(frozen=True)
class Salvaged:
    """Variables without the drafts that can't be read, and those drafts by their place in the list that was sent."""

    variables: dict[str, Any]
    unreadable: list[UnreadableDraft]


def salvaged(schema: GraphQLSchema, payload: Payload) -> Salvaged | None:
    """Cut the drafts that can't be read out of the variables.

    None where that doesn't help: something outside of a draft is at fault too, nothing is, or the operation has
    several root fields (which of them a draft belongs to would then be a guess).
    """
    try:
        operation = get_operation_ast(parse(payload.query, max_tokens=MOST_TOKENS), payload.operation_name)
    except GraphQLError:
        return None
    if operation is None or not _has_one_field(operation):
        return None
    faults = list(text_faults(payload))
    try:
        faults += coercion_faults(schema, operation, payload.variables)
    except RecursionError:
        return None
    first_of: dict[Path, Fault] = {}
    for fault in faults:
        if fault.draft is None:
            return None
        first_of.setdefault(fault.draft, fault)
    return _cut(payload.variables, first_of)


def text_faults(payload: Payload) -> Iterator[Fault]:
    """Faults of texts that no store can hold."""
    return (Fault(path, UNFIT) for path in payload.unfit)


def coercion_faults(
    schema: GraphQLSchema, operation: OperationDefinitionNode, variables: dict[str, Any]
) -> Iterable[Fault]:
    """Find every value that does not fit its input type, as graphql-core's own coercion does, but with the path."""
    faults: list[Fault] = []
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        type_ = type_from_ast(schema, definition.type)
        value = variables.get(name, Undefined)
        if not is_input_type(type_):
            continue
        if value is Undefined and (definition.default_value is not None or not is_non_null_type(type_)):
            continue

        def note(error: GraphQLError, path: list[str | int], name: str = name) -> None:
            faults.append(Fault((name, *path), error.message))

        validate_input_value(value, type_, note)
    return faults


def _has_one_field(operation: OperationDefinitionNode) -> bool:
    selections = operation.selection_set.selections
    return len(selections) == 1 and isinstance(selections[0], FieldNode)


def _cut(variables: dict[str, Any], first_of: dict[Path, Fault]) -> Salvaged | None:
    lists = {path[:-1] for path in first_of}
    if len(lists) != 1:
        return None
    (where,) = lists
    holder: Any = variables
    for step in where[:-1]:
        holder = holder[step]
    drafts = holder[where[-1]]
    bad = {int(path[-1]): fault for path, fault in first_of.items()}
    unreadable = [
        UnreadableDraft(index, _id_of(drafts[index]), bad[index].message[:LONGEST_MESSAGE], bad[index].field)
        for index in sorted(bad)
    ]
    kept = [draft for index, draft in enumerate(drafts) if index not in bad]
    return Salvaged(_replaced(variables, where, kept), unreadable)


def _replaced(value: Any, path: Path, new: Any) -> Any:
    """A copy of `value` with `new` at `path`; nothing beside the path is copied."""
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = _replaced(value[path[0]], path[1:], new)
    return copy


def _id_of(draft: Any) -> str | None:
    found = draft.get("id") if isinstance(draft, dict) else None
    return found if isinstance(found, str) and len(found) <= LONGEST_ID and found.isprintable() else None
