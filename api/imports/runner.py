"""Imports: a file of units, points, users or a catalogue is planned as a whole, then written in batches, or not at all.

Run again after it was killed, an import completes: records are known by their codes and keep their ids. What the rows of
each noun mean is left to `unit_imports.py`, `point_imports.py`, `user_imports.py` and `catalogue_imports.py`.
"""

import csv
import enum
import io
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from api.fieldwork.placement import place_known
from api.imports import catalogue, monitoring_points, units, users
from api.imports.plans import ImportPlan, PlannedChange
from api.imports.spreadsheets import UnreadableSpreadsheetError
from api.imports.tables import read_table
from storage.mongodb.errors import DuplicateError
from storage.store import Store

MAX_SHOWN = 50


class Noun(enum.StrEnum):
    """What can be imported, in the order in which an office's first files are."""

    UNITS = "units"
    USERS = "users"
    POINTS = "points"
    CATALOGUES = "catalogues"


_IMPORTS = {
    Noun.UNITS: units,
    Noun.USERS: users,
    Noun.POINTS: monitoring_points,
    Noun.CATALOGUES: catalogue,
}
_PLACING = frozenset({Noun.UNITS, Noun.POINTS})
"""Nouns by which observations that named an unknown code may find their place."""


@dataclass(frozen=True)
class Import:
    """What an import did, or what it would do; `placed` observations have found their unit and point thereby."""

    noun: Noun
    plan: ImportPlan[Any]
    remarks: tuple[str, ...]
    is_dry: bool
    placed: int | None = None

    def lines(self) -> Iterator[str]:
        """For people: every changed column, and what was added as far as it fits on a screen."""
        yield from (f"note: {remark}" for remark in self.remarks[:MAX_SHOWN])
        yield from _more(len(self.remarks), "notes")
        yield from (f"new: row {change.row}, {change.label}" for change in self.plan.added[:MAX_SHOWN])
        yield from _more(len(self.plan.added), "new ones")
        for change in self.plan.changed[:MAX_SHOWN]:
            yield from _changes(change)
        yield from _more(len(self.plan.changed), "changed ones")
        done = "would be added" if self.is_dry else "added"
        changed = "would be changed" if self.is_dry else "changed"
        added, altered, same = len(self.plan.added), len(self.plan.changed), self.plan.unchanged
        yield f"{self.noun}: {added} {done}, {altered} {changed}, {same} unchanged."
        if self.placed is not None:
            yield f"{self.placed} observations found their place."


def _changes(change: PlannedChange[Any]) -> Iterator[str]:
    yield f"changed: row {change.row}, {change.label}"
    for each in change.differences:
        yield f"    {each.column}: {each.before or '(empty)'} -> {each.after or '(empty)'}"


def _more(count: int, what: str) -> Iterator[str]:
    if count > MAX_SHOWN:
        yield f"... and {count - MAX_SHOWN} more {what}."


async def import_file(
    store: Store,
    noun: Noun,
    path: Path,
    *,
    now: datetime,
    dry_run: bool = False,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> Import:
    """ImportPlan the whole file, then write it, a dry run nothing.

    Raise `UnreadableSpreadsheetError`, or `BadTable` with all faults: nothing was written then. Indexes must stand.
    """
    table = read_table(path, _IMPORTS[noun].COLUMNS)
    plan: ImportPlan[Any] = await _IMPORTS[noun].plan(store, table, now=now, random=random)
    placed = None
    if not dry_run:
        try:
            await plan.carry_out()
        except DuplicateError as taken:
            fields = ", ".join(taken.fields)
            raise UnreadableSpreadsheetError(
                f"Somebody else has stored the same {fields} meanwhile: run the import again, which goes on from here."
            ) from taken
        placed = await place_known(store) if noun in _PLACING else None
    return Import(noun, plan, tuple(table.remarks), dry_run, placed)


def template(noun: Noun) -> str:
    """An example file as CSV, with the mark by which Excel knows UTF-8."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(column.titles[1] for column in _IMPORTS[noun].COLUMNS)
    writer.writerows(_IMPORTS[noun].EXAMPLE)
    return "\ufeff" + stream.getvalue()
