"""Changes (变更): what a phone pulls: records of the kinds it keeps, as they are now, and those it must drop.

A record that changes is entered under each of its topics with the next number of one running sequence; a viewer reads the
topics that are the viewer's own. Keeping the entries is left to `storage/sync/changes.py`, and visibility to its filters: an
entry only says that there is something to look at.
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


@strawberry.enum(description="A kind of record that phones keep (同步类别).")
class ChangeKind(enum.Enum):
    UNIT = strawberry.enum_value("UNIT", description="Units in scope and those above them (单位).")
    MONITORING_POINT = strawberry.enum_value("MONITORING_POINT", description="Monitoring points in scope (监测点).")
    CATALOGUE_ENTRY = strawberry.enum_value("CATALOGUE_ENTRY", description="Catalogues that hold in scope (目录).")
    ASSIGNMENT = strawberry.enum_value("ASSIGNMENT", description="Those given to oneself (我的交办).")
    CASE = strawberry.enum_value("CASE", description="Cases given to oneself (我的案件).")
    OBSERVATION = strawberry.enum_value("OBSERVATION", description="One's own, and what became of them (我的记录).")


ChangedRecord = Annotated[
    Unit | MonitoringPoint | CatalogueEntry | Assignment | Case | Observation,
    strawberry.union("ChangedRecord", description="A record that phones keep."),
]


@strawberry.type(description="One record that is new, that has changed, or that is no longer the viewer's (变更).")
class Change:
    kind: ChangeKind = strawberry.field(description="Its kind.")
    id: strawberry.ID = strawberry.field(description="Its id.")
    record: ChangedRecord | None = strawberry.field(
        description="As it is now; null tells the phone to drop what it has under this id (墓碑)."
    )


@strawberry.type(description="What has changed since a cursor, each record once, in no order that means anything.")
class ChangePage:
    changes: list[Change] = strawberry.field(description="The records; at most `first`, and fewer mean nothing.")
    cursor: str = strawberry.field(description="Opaque; pass it as `since` once these changes are stored.")
    has_more: bool = strawberry.field(description="More has changed: ask on at once.")
    as_of: datetime | None = strawberry.field(
        description="All that was written until then is in what the cursor covers; null before the first worker has run."
    )


ChangesResult = Annotated[
    ChangePage | Refused,
    strawberry.union(
        "ChangesResult",
        description="What has changed; `CURSOR_EXPIRED` asks the phone to begin anew without `since`, its outbox untouched.",
    ),
]

BELOW, AT, OWN = "below", "at", "of"
"""How a record belongs to a topic: it lies in a subtree, it is one unit's own, it is one person's."""


def topic(kind: ChangeKind, how: str, what: str) -> str:
    """A short name for all the records of a kind that belong in one way to one place or person.

    Cursors hold topics, and phones hold cursors: 72 bits of a digest say neither path nor person.
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
"""First letter of the kind's topics: it tells from a cursor alone which kinds it covers."""

_SCOPED = (Role.INSPECTOR, Role.SUPERVISOR, Role.OFFICER, Role.ADMIN)


def topics_of_place(kind: ChangeKind, path: str) -> list[str]:
    """Of a unit, or of what holds in its subtree: of the place itself, and of every subtree that it lies in."""
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
    """What the viewer reads of a kind; a wider one than the filters of `storage` would show nothing more."""
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
    """The paths of all units from the root down to the one at `path`, itself the last."""
    return (path[: index + 1] for index, letter in enumerate(path) if letter == SEPARATOR)


@dataclass(frozen=True)
class Progress:
    """What a cursor says: how far into the sequence each topic has been read.

    `leaving` are topics that are the viewer's no longer: they are read from the start once more, for their records to be
    dropped. `epoch` names the sequence: numbers of another one mean nothing here. `letters`, which no cursor holds, are
    those of the kinds that are asked for now: topics of the others stay where they are.
    """

    epoch: str
    read: Mapping[str, int] = field(default_factory=dict)
    leaving: Mapping[str, int] = field(default_factory=dict)
    letters: Collection[str] = frozenset()

    def towards(self, wanted: Sequence[str], kinds: Iterable[ChangeKind]) -> "Progress":
        """Begin topics that are new among `wanted`, and leave those of `kinds` that are not among them."""
        letters = {LETTERS[kind] for kind in kinds}
        gone = {each for each in self.read if each[0] in letters and each not in wanted}
        kept = {each: number for each, number in self.read.items() if each not in gone}
        # One that has come back while it was being left is read from the start: part of it was dropped.
        leaving = {each: number for each, number in self.leaving.items() if each not in wanted}
        return Progress(self.epoch, dict.fromkeys(wanted, 0) | kept, leaving | dict.fromkeys(gone, 0), letters)

    @property
    def leaving_now(self) -> dict[str, int]:
        return {each: number for each, number in self.leaving.items() if each[0] in self.letters}

    def past(self, number: int, topics: Iterable[str], *, done: bool) -> "Progress":
        """Once all entries of `topics`, and all of those that are being left now, have been read up to `number`."""
        read = {**self.read, **{each: max(number, self.read[each]) for each in topics}}
        later = {each: at for each, at in self.leaving.items() if each[0] not in self.letters}
        now = {} if done else {each: max(number, at) for each, at in self.leaving_now.items()}
        return Progress(self.epoch, read, later | now)

    def reaches(self, *, horizon: int, last: int) -> bool:
        """Whether a sequence that ends at `last`, and has forgotten what went before `horizon`, can be gone on with."""
        numbers = [*self.read.values(), *self.leaving.values()]
        return all(number <= last and (not number or number >= horizon) for number in numbers)

    def values(self) -> tuple[str, dict[str, int], dict[str, int]]:
        return self.epoch, dict(self.read), dict(self.leaving)


PERMITS: tuple[Row, ...] = (
    ("Query", SIGNED_IN, "changes"),
    ("Change", SEEN, "kind id record"),
    ("ChangePage", SEEN, "changes cursor hasMore asOf"),
)
