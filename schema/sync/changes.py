"""Define the changes that a phone pulls (变更).

A changed record gets an entry under each of its topics, with the next number of one sequence. A viewer reads the entries
of their own topics. An entry says only that a record may have changed; the visibility filters decide what the viewer
sees of it.
"""

import enum
import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

import strawberry

from schema.access.permissions import SEEN, SIGNED_IN, Row
from schema.access.viewers import Role, Viewer
from schema.casework.assignments import Assignment
from schema.casework.cases import Case
from schema.catalogue.entries import CatalogueEntry
from schema.core.refusals import Refused
from schema.fieldwork.observations import Observation
from schema.organisation.monitoring_points import MonitoringPoint
from schema.organisation.units import SEPARATOR, Unit


@strawberry.enum(description="A kind of record that phones store (同步类别).")
class ChangeKind(enum.Enum):
    UNIT = strawberry.enum_value("UNIT", description="Units in scope and their ancestors (单位).")
    MONITORING_POINT = strawberry.enum_value("MONITORING_POINT", description="Monitoring points in scope (监测点).")
    CATALOGUE_ENTRY = strawberry.enum_value(
        "CATALOGUE_ENTRY", description="Catalogue entries that apply in scope (目录)."
    )
    ASSIGNMENT = strawberry.enum_value("ASSIGNMENT", description="The viewer's own assignments (我的交办).")
    CASE = strawberry.enum_value("CASE", description="Cases assigned to the viewer (我的案件).")
    OBSERVATION = strawberry.enum_value(
        "OBSERVATION", description="The viewer's own observations and their follow-ups (我的记录)."
    )


ChangedRecord = Annotated[
    Unit | MonitoringPoint | CatalogueEntry | Assignment | Case | Observation,
    strawberry.union("ChangedRecord", description="A record that phones store."),
]


@strawberry.type(description="A record that is new, changed, or no longer visible to the viewer (变更).")
class Change:
    kind: ChangeKind = strawberry.field(description="Kind of the record.")
    id: strawberry.ID = strawberry.field(description="Id of the record.")
    record: ChangedRecord | None = strawberry.field(
        description="The record now. Null tells the phone to delete its copy (墓碑)."
    )


@strawberry.type(description="Changes since a cursor. Each record appears once; the order has no meaning.")
class ChangePage:
    changes: list[Change] = strawberry.field(
        description="The changes, at most `first`. A shorter page does not mean the end."
    )
    cursor: str = strawberry.field(description="Opaque. Pass it as `since` once these changes are stored.")
    has_more: bool = strawberry.field(description="There are more changes: pull again at once.")
    as_of: datetime | None = strawberry.field(
        description="The cursor covers everything written until this time. Null before the first worker has run."
    )


ChangesResult = Annotated[
    ChangePage | Refused,
    strawberry.union(
        "ChangesResult",
        description="The changes. On `CURSOR_EXPIRED` pull again without `since`, and keep the outbox.",
    ),
]

BELOW, AT, OWN = "below", "at", "of"
"""How a record relates to a topic: it is in a subtree, it is a unit's own, or it is a person's."""


def topic(kind: ChangeKind, how: str, what: str) -> str:
    """Return a short name for the records of a kind that relate in one way to one place or person.

    Phones hold cursors, and cursors hold topics. A digest of 72 bits reveals neither path nor person.
    """
    digest = hashlib.sha256(f"{kind.value} {how} {what}".encode()).digest()
    return f"{LETTERS[kind]}{urlsafe_b64encode(digest[:9]).decode()}"


LETTERS = {
    ChangeKind.UNIT: "u",
    ChangeKind.MONITORING_POINT: "p",
    ChangeKind.CATALOGUE_ENTRY: "l",
    ChangeKind.ASSIGNMENT: "a",
    ChangeKind.CASE: "c",
    ChangeKind.OBSERVATION: "o",
}
"""First letter of a kind's topics. By it a cursor shows which kinds it covers."""

_SCOPED = (Role.INSPECTOR, Role.SUPERVISOR, Role.OFFICER, Role.ADMIN)


def topics_of_place(kind: ChangeKind, path: str) -> list[str]:
    """Return the topics of a unit, or of a record that applies in its subtree: the unit's own, and each subtree's."""
    return [topic(kind, AT, path), *(topic(kind, BELOW, above) for above in paths_to(path))]


def topics_of_point(point: MonitoringPoint) -> list[str]:
    kind = ChangeKind.MONITORING_POINT
    return [
        *(topic(kind, BELOW, path) for path in paths_to(point.path)),
        *(topic(kind, OWN, person) for person in point.monitor_ids),
    ]


def topics_of_people(kind: ChangeKind, people: Iterable[str]) -> list[str]:
    return [topic(kind, OWN, person) for person in people]


def topics_of_viewer(kind: ChangeKind, viewer: Viewer) -> list[str]:
    """Return the topics that the viewer reads of a kind. A topic that is too wide shows no more: visibility filters it."""
    if kind in {ChangeKind.UNIT, ChangeKind.CATALOGUE_ENTRY}:
        above = {"", *(path for scope in viewer.scopes for path in paths_to(scope))} - set(viewer.scopes)
        return [
            *(topic(kind, BELOW, path) for path in viewer.scopes),
            *(topic(kind, AT, path) for path in sorted(above)),
        ]
    own = [topic(kind, OWN, viewer.user_id)]
    if kind is ChangeKind.MONITORING_POINT and viewer.has(*_SCOPED):
        return [*own, *(topic(kind, BELOW, path) for path in viewer.scopes)]
    return own


def paths_to(path: str) -> Iterator[str]:
    """Yield the paths of all units from the root down to `path`, which is the last."""
    return (path[: index + 1] for index, letter in enumerate(path) if letter == SEPARATOR)


@dataclass(frozen=True)
class Progress:
    """The content of a cursor: how far each topic of the sequence has been read.

    `leaving` are topics that the viewer no longer has. They are read from the start, so that the phone deletes their
    records. `epoch` names the sequence: numbers of another sequence are invalid. `letters` are the kinds that are
    requested now, and are not in the cursor; topics of other kinds keep their position.
    """

    epoch: str
    read: Mapping[str, int] = field(default_factory=dict)
    leaving: Mapping[str, int] = field(default_factory=dict)
    letters: Collection[str] = frozenset()

    def with_topics(self, topics: Sequence[str], kinds: Iterable[ChangeKind]) -> "Progress":
        """Start the topics that are new, and leave the topics of `kinds` that are gone."""
        letters = {LETTERS[kind] for kind in kinds}
        gone = {topic for topic in self.read if topic[0] in letters and topic not in topics}
        kept = {topic: number for topic, number in self.read.items() if topic not in gone}
        # A topic that returns while it is being left is read from the start: some of its records were deleted.
        leaving = {topic: number for topic, number in self.leaving.items() if topic not in topics}
        return Progress(self.epoch, dict.fromkeys(topics, 0) | kept, leaving | dict.fromkeys(gone, 0), letters)

    @property
    def leaving_now(self) -> dict[str, int]:
        return {topic: number for topic, number in self.leaving.items() if topic[0] in self.letters}

    def advanced_to(self, number: int, topics: Iterable[str], *, done: bool) -> "Progress":
        """Return the progress after `topics`, and the topics being left, were read up to `number`."""
        read = {**self.read, **{topic: max(number, self.read[topic]) for topic in topics}}
        later = {topic: at for topic, at in self.leaving.items() if topic[0] not in self.letters}
        now = {} if done else {topic: max(number, at) for topic, at in self.leaving_now.items()}
        return Progress(self.epoch, read, later | now)

    def can_resume(self, *, horizon: int, last: int) -> bool:
        """Return whether reading can go on in a sequence that starts at `horizon` and ends at `last`."""
        numbers = [*self.read.values(), *self.leaving.values()]
        return all(number <= last and (not number or number >= horizon) for number in numbers)

    def values(self) -> tuple[str, dict[str, int], dict[str, int]]:
        return self.epoch, dict(self.read), dict(self.leaving)


PERMITS: tuple[Row, ...] = (
    ("Query", SIGNED_IN, "changes"),
    ("Change", SEEN, "kind id record"),
    ("ChangePage", SEEN, "changes cursor hasMore asOf"),
)
