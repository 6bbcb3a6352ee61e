"""Generate faults from the contract: for every field of every operation, answers in which this field is wrong.

A fault alters a value, loses one that may be null, drops the first item of a list, or shifts a field's values between
the items of a list, so that each item has another's.
"""

import enum
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    InlineFragmentNode,
    SelectionSetNode,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
)

from mobile_contract.documents import operation_names
from mobile_contract.kit.shapes import contract_schema, operation_of

DAY = timedelta(days=1)
UNCAUSED = {
    "heldOperations.refusal": "an answer is refused after it has waited for 30 days",
    "(Resync)": "a server resumes a stream so only if it has lost its history",
    "assignmentChanged(RecordLost)": "an inspector loses no assignment of a stream",
    "facts.motionVideo.": "a photo of the kit holds no video",
}
"""What no kit can cause, by a part of the fault's name, with the reason."""
NEVER_THERE = {
    r"(?<!changes)\(Refused\)\.field": "a whole operation is refused for a field only if its cursor is wrong",
    r"\(Refused\)\.retryAfterSeconds": "the kit does not use up the attempts of an account",
    r"(Uploads|Media)Payload\)\.results\.refusal\.field": "a medium is refused as not found, not for a field",
    r"acceptAssignment\(.*\.endedAt": "an assignment that is accepted has not ended",
    r"AnswerAssignments answerAssignments\(.*\.(endedAt|result)$": "the kit ends assignments by Sync",
    r"assignmentChanged\(.*\.(acceptedAt|endedAt|result)$": "the kit accepts and ends no assignment of a stream",
    r"caseChanged\(.*\.(closedAt|outcome|reply)$": "the kit closes no case of a stream",
    r"facts\.(createdAt|durationMs|isEncrypted|pageCount|rotation)": "only documents and videos have it",
    r"facts\.(damage|motionVideo|statedL\w+|position\.(accuracyMetres|problem))$": "the kit sends no such picture",
    r"content\.media\.rejection": "the embedded store refuses bytes that were not announced",
    r"content\.position\.problem": "the kit sends no impossible position",
}
"""Values that are null in every answer that the kit causes, so that they can't be lost, as patterns of faults' names."""
ALIKE = r"(Uploads|Media)Payload\)\.results\.refusal$"
"""The refusals of media that nobody announced are alike, so it changes nothing to exchange them."""
DECIDING = frozenset(
    {"cursor", "hasMore", "hasNextPage", "endCursor", "asOf", "accessToken", "refreshToken", "serverTime"}
)
"""Fields by which the kit goes on from answer to answer."""
EVENTS = ("assignmentChanged", "caseChanged")
READ_BY_TYPE = frozenset({"signIn", "refreshSession", "sync", *EVENTS})
"""Answers and events that the kit reads by their type."""
Path = tuple[str, ...]


class FaultKind(enum.Enum):
    ALTERED = "altered"
    LOST = "lost"
    DROPPED = "dropped"
    SHIFTED = "shifted"


@dataclass(frozen=True)
class FieldFault:
    """A fault in one field of an operation's answers.

    `path` has the answer's keys, and `(Type)` after a key whose value may be of several types. `type_` is the name of
    the field's type.
    """

    operation: str
    path: Path
    kind: FaultKind
    type_: str = ""

    @property
    def label(self) -> str:
        """Return how the kit names the field: operation and path, with the type of a pulled record only."""
        told = ""
        for before, step in zip(("", *self.path), self.path, strict=False):
            told += step if step.startswith("(") and before == "record" else "" if step.startswith("(") else f".{step}"
        return f"{self.operation} {told.lstrip('.')}"

    @property
    def decides(self) -> bool:
        """Return whether the field decides how the answer is read on, so that a fault in it hides others."""
        holder, name = ("", *self.path)[-2:]
        is_open_type = name == "__typename" and (holder == "record" or holder in READ_BY_TYPE)
        is_key = name == "id" and (holder in {"node", "changes"} or (self.path[0] in EVENTS and len(self.path) == 4))
        is_state = self.operation == "MyReports" and holder == "media" and name in {"id", "state"}
        return is_open_type or is_key or is_state or name in DECIDING

    @property
    def is_leaf(self) -> bool:
        return is_leaf_type(contract_schema().type_map[self.type_])

    @property
    def can_be_caused(self) -> bool:
        """Return whether the kit can make a server give such an answer."""
        patterns = [*map(re.escape, UNCAUSED)]
        patterns += {FaultKind.LOST: [*NEVER_THERE], FaultKind.SHIFTED: [ALIKE]}.get(self.kind, [])
        return not any(re.search(pattern, self.name) for pattern in patterns)

    @property
    def name(self) -> str:
        return f"{self.kind.value} {self.operation} {'.'.join(self.path).replace('.(', '(')}"

    def plant(self, data: Any) -> int:
        """Put the fault into an answer's data. Return in how many places."""
        return sum(self._put(holder, key) for holder, key in _places(data, self.path))

    def _put(self, holder: dict[str, Any], key: str) -> bool:
        value = holder[key]
        match self.kind:
            case FaultKind.ALTERED if key.endswith("Token"):
                holder[key] = f"x{value}"  # a letter at the end may decode to the same bytes
            case FaultKind.ALTERED:
                holder[key] = _altered(value, self.type_)
            case FaultKind.LOST:
                holder[key] = None
            case FaultKind.DROPPED if value:
                holder[key] = value[1:]
            case FaultKind.SHIFTED:
                return False
        return json.dumps(holder[key]) != json.dumps(value)


@dataclass(frozen=True)
class ShiftedFault(FieldFault):
    """A fault that gives each item of a list the field of the item before it. `path` ends with list and field."""

    def plant(self, data: Any) -> int:
        count = 0
        for holder, key in _places(data, self.path[:-1]):
            items = [
                item for item in holder[key] or () if isinstance(item, dict) and item.get(self.path[-1]) is not None
            ]
            values = [item[self.path[-1]] for item in items]
            for item, value in zip(items, values[-1:] + values[:-1], strict=True):
                count += json.dumps(item[self.path[-1]]) != json.dumps(value)
                item[self.path[-1]] = value
        return count


@cache
def all_faults() -> tuple[FieldFault, ...]:
    """Return the faults of all fields of all operations, in the order of the contract."""
    return tuple(dict.fromkeys(fault for name in operation_names() for fault in _faults_of(name)))


def _faults_of(operation: str) -> Iterator[FieldFault]:
    node = operation_of(operation)
    root = contract_schema().get_root_type(node.operation)
    assert root is not None
    yield from _walk(operation, root, node.selection_set, (), in_list=False)


def _walk(
    operation: str, parent: Any, selection: SelectionSetNode, path: Path, *, in_list: bool
) -> Iterator[FieldFault]:
    for selected in selection.selections:
        if isinstance(selected, InlineFragmentNode):
            assert selected.type_condition
            name = selected.type_condition.name.value
            yield from _walk(
                operation,
                contract_schema().type_map[name],
                selected.selection_set,
                (*path, f"({name})"),
                in_list=in_list,
            )
        elif isinstance(selected, FieldNode):
            yield from _faults_of_field(operation, parent, selected, path, in_list=in_list)


def _faults_of_field(
    operation: str, parent: Any, node: FieldNode, path: Path, *, in_list: bool
) -> Iterator[FieldFault]:
    below = (*path, node.alias.value if node.alias else node.name.value)
    if node.name.value == "__typename":
        yield FieldFault(operation, below, FaultKind.ALTERED, "String")
        return
    type_ = parent.fields[node.name.value].type
    named = get_named_type(type_)
    is_list = isinstance(get_nullable_type(type_), GraphQLList)
    if is_leaf_type(named):
        yield FieldFault(operation, below, FaultKind.ALTERED, named.name)
    if not isinstance(type_, GraphQLNonNull):
        yield FieldFault(operation, below, FaultKind.LOST, named.name)
    if is_list:
        yield FieldFault(operation, below, FaultKind.DROPPED, named.name)
    if in_list and node.selection_set:
        yield ShiftedFault(operation, below, FaultKind.SHIFTED, named.name)
    if node.selection_set:
        yield from _walk(operation, named, node.selection_set, below, in_list=is_list)


def _places(data: Any, path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each object and key where the path ends, in all items of lists, and only in objects of the named types."""
    if isinstance(data, list):
        for each in data:
            yield from _places(each, path)
    elif isinstance(data, dict) and path:
        if path[0].startswith("("):
            if data.get("__typename") == path[0].strip("()"):
                yield from _places(data, path[1:])
        elif path[0] in data:
            if len(path) == 1:
                yield data, path[0]
            else:
                yield from _places(data[path[0]], path[1:])


def _altered(value: Any, type_: str) -> Any:
    """Return another value of the same type."""
    if isinstance(value, list):
        return [*value[:-1], _altered(value[-1], type_)] if value else [_altered(None, type_)]
    enum_type = contract_schema().type_map.get(type_)
    if isinstance(enum_type, GraphQLEnumType):
        names = list(enum_type.values)
        return names[(names.index(value) + 1) % len(names)] if value in names else names[0]
    alter: Callable[[Any], Any] = ALTERATIONS.get(type_, _other_text)
    return alter(value)


def _other_text(value: Any) -> str:
    return f"{value or ''}x"


def _other_instant(value: Any) -> str:
    at = datetime.fromisoformat(value) if value else datetime(2026, 1, 1).astimezone()
    return (at - DAY).isoformat(timespec="milliseconds")


def _other_date(value: Any) -> str:
    return ((date.fromisoformat(value) if value else date(2026, 1, 1)) - DAY).isoformat()


ALTERATIONS: dict[str, Callable[[Any], Any]] = {
    "Boolean": lambda value: not value,
    "Int": lambda value: (value or 0) + 1,
    "ByteCount": lambda value: (value or 0) + 1,
    "Float": lambda value: (value or 0) + 90,
    "DateTime": _other_instant,
    "Date": _other_date,
}
"""How values of each scalar are altered. Texts get another letter at their end."""
