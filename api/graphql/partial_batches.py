"""Cut unreadable drafts out of a batch, so that the other drafts of the batch go through.

A draft is unreadable if one of its values does not fit its GraphQL type or can't be stored. Such a value fails the
whole GraphQL request, and a phone would send the same batch again and again. The drafts that were cut out are put into
`context.unreadable`, and the operation refuses each of them.
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
"""Names of input fields that hold a list of drafts. Each draft in such a list is accepted or refused by itself."""
MAX_TOKENS = 3000
MAX_ID_LENGTH = 100
MAX_MESSAGE_LENGTH = 300
UNFIT = "This text holds a NUL or half of an emoji, which can't be stored."


@dataclass(frozen=True)
class CoercionFault:
    """A value in the variables that can't be read. `path` starts with the name of the variable."""

    path: Path
    message: str

    @property
    def draft(self) -> Path | None:
        """The path of the draft that contains the value. The path ends with the index of the draft.

        None if the value is outside of a draft.
        """
        start = self._start
        return self.path[: start + 2] if start is not None else None

    @property
    def field(self) -> str:
        """The path of the value from the list's name on, such as `drafts.3.capturedAt`. Refusals use such paths."""
        return ".".join(map(str, self.path[self._start or 0 :]))

    @property
    def _start(self) -> int | None:
        """The position of the list's name in `path`, or None.

        An index must follow the name, because the variable itself may have the same name as the list.
        """
        pairs = enumerate(pairwise(self.path))
        return next((at for at, (name, index) in pairs if name in LISTS and isinstance(index, int)), None)


@dataclass(frozen=True)
class PartialBatch:
    """The variables without the unreadable drafts, and the drafts that were cut out.

    `unreadable` maps the response name of a root field to the drafts that were cut out of this field's input.
    """

    variables: dict[str, Any]
    unreadable: dict[str, list[UnreadableDraft]]


def cut_unreadable(schema: GraphQLSchema, payload: Payload) -> PartialBatch | None:
    """Cut the unreadable drafts out of the variables. Return None if this does not make the request valid.

    It does not make the request valid in these cases:

    - Nothing is wrong with the variables.
    - Something outside of a draft is wrong.
    - No root field, or several, use a variable with unreadable drafts. It is unclear which field must refuse them.
    - One root field uses two lists with unreadable drafts.
    """
    try:
        operation = get_operation_ast(parse(payload.query, max_tokens=MAX_TOKENS), payload.operation_name)
    except GraphQLError:
        return None
    if operation is None:
        return None
    faults = list(find_unfit_texts(payload))
    try:
        faults += find_coercion_faults(schema, operation, payload.variables)
    except RecursionError:
        return None
    first_faults: dict[Path, CoercionFault] = {}
    for fault in faults:
        if fault.draft is None:
            return None
        first_faults.setdefault(fault.draft, fault)
    return _cut_drafts(payload.variables, first_faults, _fields_by_variable(operation))


def find_unfit_texts(payload: Payload) -> Iterator[CoercionFault]:
    """Yield a fault for each text that can't be stored."""
    return (CoercionFault(path, UNFIT) for path in payload.unfit)


def find_coercion_faults(
    schema: GraphQLSchema, operation: OperationDefinitionNode, variables: dict[str, Any]
) -> Iterable[CoercionFault]:
    """Return a fault for every value that does not fit its input type."""
    faults: list[CoercionFault] = []
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        type_ = type_from_ast(schema, definition.type)
        value = variables.get(name, Undefined)
        if not is_input_type(type_):
            continue
        if value is Undefined and (definition.default_value is not None or not is_non_null_type(type_)):
            continue

        def add_fault(error: GraphQLError, path: list[str | int], name: str = name) -> None:
            faults.append(CoercionFault((name, *path), error.message))

        validate_input_value(value, type_, add_fault)
    return faults


def _fields_by_variable(operation: OperationDefinitionNode) -> dict[str, str]:
    """Map each variable to the response name of the root field that uses it.

    Variables that several root fields use are left out.
    """
    users: dict[str, list[str]] = {}
    for selection in operation.selection_set.selections:
        if not isinstance(selection, FieldNode):
            return {}
        response_name = selection.alias.value if selection.alias else selection.name.value
        for variable in _variables_in(selection.arguments or ()):
            users.setdefault(variable, []).append(response_name)
    return {variable: names[0] for variable, names in users.items() if len(names) == 1}


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


def _cut_drafts(
    variables: dict[str, Any], first_faults: dict[Path, CoercionFault], fields: Mapping[str, str]
) -> PartialBatch | None:
    if not first_faults:
        return None
    unreadable: dict[str, list[UnreadableDraft]] = {}
    for list_path in sorted({path[:-1] for path in first_faults}):
        field = fields.get(str(list_path[0]))
        if field is None or field in unreadable:
            return None
        drafts: Any = variables
        for step in list_path:
            drafts = drafts[step]
        bad = {int(path[-1]): fault for path, fault in first_faults.items() if path[:-1] == list_path}
        unreadable[field] = [
            UnreadableDraft(index, _id_of(drafts[index]), bad[index].message[:MAX_MESSAGE_LENGTH], bad[index].field)
            for index in sorted(bad)
        ]
        good = [draft for index, draft in enumerate(drafts) if index not in bad]
        variables = _replace_at(variables, list_path, good)
    return PartialBatch(variables, unreadable)


def _replace_at(value: Any, path: Path, new: Any) -> Any:
    """Return a copy of `value` with `new` at `path`. Only the containers on the path are copied, the rest is shared."""
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = _replace_at(value[path[0]], path[1:], new)
    return copy


def _id_of(draft: Any) -> str | None:
    id = draft.get("id") if isinstance(draft, dict) else None
    return id if isinstance(id, str) and len(id) <= MAX_ID_LENGTH and id.isprintable() else None
