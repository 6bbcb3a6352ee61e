"""Define the changes that a phone pulls (变更).

A topic is a group of records, such as the cases of one person. A changed record gets an entry under each of its
topics. All entries are numbered in one sequence. A viewer reads the entries of the viewer's own topics. An entry says
only that a record may have changed. The visibility filters decide what the viewer sees of the record.
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
    UNIT = strawberry.enum_value("UNIT", description="Units in the viewer's scope, and the units above them (单位).")
    MONITORING_POINT = strawberry.enum_value(
        "MONITORING_POINT", description="Monitoring points in the viewer's scope (监测点)."
    )
    CATALOGUE_ENTRY = strawberry.enum_value(
        "CATALOGUE_ENTRY", description="Catalogue entries that apply in the viewer's scope (目录)."
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
        description="The record as it is now. If it is null, the phone must delete its copy (墓碑)."
    )


@strawberry.type(description="Changes since a cursor. Each record appears once. The order has no meaning.")
class ChangePage:
    changes: list[Change] = strawberry.field(
        description="At most `first` changes. Fewer changes than `first` do not mean that there are no more."
    )
    cursor: str = strawberry.field(
        description="Opaque cursor. Pass it as `since` in the next pull, once the phone has stored these changes."
    )
    has_more: bool = strawberry.field(description="Whether there are more changes. If so, pull again at once.")
    as_of: datetime | None = strawberry.field(
        description="If `hasMore` is false, the pull has reported everything that was written until this time. Null "
        "before the first worker has run."
    )


ChangesResult = Annotated[
    ChangePage | Refused,
    strawberry.union(
        "ChangesResult",
        description="The changes. On `CURSOR_EXPIRED` pull again without `since`, and keep the outbox.",
    ),
]

BELOW, AT, OWN = "below", "at", "of"
"""The sorts of topics: records in the subtree of a unit, records of exactly one unit, and records of one person."""


def topic(kind: ChangeKind, how: str, what: str) -> str:
    """Return the name of a topic of `kind`. `how` is BELOW, AT or OWN, and `what` is a unit's path or a user's id.

    Phones keep cursors, and cursors contain topic names. A name is a digest of 72 bits, so it reveals neither the path
    nor the person.
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
"""The first letter of a topic's name. These letters show which kinds of records a cursor covers."""

_SCOPED = (Role.INSPECTOR, Role.SUPERVISOR, Role.OFFICER, Role.ADMIN)


def topics_of_place(kind: ChangeKind, path: str) -> list[str]:
    """Return the topics of the unit at `path`, or of a catalogue entry that applies in that unit's subtree.

    They are the topic of exactly this unit, and the subtree topics of this unit and of all units above it.
    """
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
    """Return the topics of `kind` that the viewer reads.

    A topic may contain records that the viewer must not see. The visibility filters remove these records.
    """
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
    """Yield the paths of all units from the root down to the unit at `path`. The last one is `path` itself."""
    return (path[: index + 1] for index, letter in enumerate(path) if letter == SEPARATOR)


@dataclass(frozen=True)
class Progress:
    """The content of a cursor: up to which number each topic has been read.

    `epoch` names the sequence. A number of another sequence is invalid. `read` has the viewer's topics. `leaving` has
    the topics that the viewer no longer has. They are read from the start, so that the phone deletes their records.
    `letters` are the kinds that the current request asks for. They are not in the cursor. Topics of other kinds keep
    their position.
    """

    epoch: str
    read: Mapping[str, int] = field(default_factory=dict)
    leaving: Mapping[str, int] = field(default_factory=dict)
    letters: Collection[str] = frozenset()

    def with_topics(self, topics: Sequence[str], kinds: Iterable[ChangeKind]) -> "Progress":
        """Start new topics at number 0. Move the topics of `kinds` that are no longer in `topics` to `leaving`."""
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
        """Return the progress after `topics` and the `leaving` topics of this request were read up to `number`.

        If `done` is true, everything was read, and these `leaving` topics are removed.
        """
        read = {**self.read, **{topic: max(number, self.read[topic]) for topic in topics}}
        later = {topic: at for topic, at in self.leaving.items() if topic[0] not in self.letters}
        now = {} if done else {topic: max(number, at) for topic, at in self.leaving_now.items()}
        return Progress(self.epoch, read, later | now)

    def can_resume(self, *, horizon: int, last: int) -> bool:
        """Return whether a phone that has read this far can go on without a gap.

        `last` is the last number of the sequence. Tombstones below number `horizon` have been deleted.
        """
        numbers = [*self.read.values(), *self.leaving.values()]
        return all(number <= last and (not number or number >= horizon) for number in numbers)

    def values(self) -> tuple[str, dict[str, int], dict[str, int]]:
        return self.epoch, dict(self.read), dict(self.leaving)


PERMITS: tuple[Row, ...] = (
    ("Query", SIGNED_IN, "changes"),
    ("Change", SEEN, "kind id record"),
    ("ChangePage", SEEN, "changes cursor hasMore asOf"),
)
