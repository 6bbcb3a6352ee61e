"""Import a file of units, points, users, a catalogue or working days: first plan the whole import, then write it in batches.

If the file has any fault, nothing is written. An import that was killed is completed by running it again, because
records are identified by their codes and keep their ids.
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
from api.imports import catalogue, monitoring_points, units, users, working_days
from api.imports.cells import UnreadableSpreadsheetError
from api.imports.plans import ImportPlan, PlannedChange
from api.imports.tables import read_table
from storage.mongodb.errors import DuplicateError
from storage.store import Store

MAX_SHOWN = 50


class Noun(enum.StrEnum):
    """What a table can hold, in the order in which an office imports its first files."""

    UNITS = "units"
    USERS = "users"
    POINTS = "points"
    CATALOGUES = "catalogues"
    WORKING_DAYS = "working-days"


_IMPORTS = {
    Noun.UNITS: units,
    Noun.USERS: users,
    Noun.POINTS: monitoring_points,
    Noun.CATALOGUES: catalogue,
    Noun.WORKING_DAYS: working_days,
}
_PLACES_OBSERVATIONS = frozenset({Noun.UNITS, Noun.POINTS, Noun.USERS})
"""After these imports, observations may find a unit or monitoring point that was unknown, or out of their author's scope."""


@dataclass(frozen=True)
class Import:
    """What an import did, or what a dry run would do.

    `placed` is the number of observations that have found their unit and monitoring point. It is None after a dry run,
    and after imports that have nothing to do with observations.
    """

    noun: Noun
    plan: ImportPlan[Any]
    remarks: tuple[str, ...]
    is_dry: bool
    placed: int | None = None

    def lines(self) -> Iterator[str]:
        """Yield lines for people: remarks, new records and changed columns, at most `MAX_SHOWN` of each."""
        yield from (f"note: {remark}" for remark in self.remarks[:MAX_SHOWN])
        yield from _more(len(self.remarks), "notes")
        yield from (f"new: row {change.row}, {change.label}" for change in self.plan.added[:MAX_SHOWN])
        yield from _more(len(self.plan.added), "new ones")
        for change in self.plan.changed[:MAX_SHOWN]:
            yield from _change_lines(change)
        yield from _more(len(self.plan.changed), "changed ones")
        done = "would be added" if self.is_dry else "added"
        changed = "would be changed" if self.is_dry else "changed"
        added, altered, same = len(self.plan.added), len(self.plan.changed), self.plan.unchanged
        yield f"{self.noun}: {added} {done}, {altered} {changed}, {same} unchanged."
        if self.placed is not None:
            yield f"{self.placed} observations found their place."


def _change_lines(change: PlannedChange[Any]) -> Iterator[str]:
    yield f"changed: row {change.row}, {change.label}"
    for difference in change.differences:
        yield f"    {difference.column}: {difference.before or '(empty)'} -> {difference.after or '(empty)'}"


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
    """Plan the whole import, then write it. A dry run writes nothing. The database indexes must exist.

    Raise `UnreadableSpreadsheetError` if the file is not a table, `BadTableError` with all faults of the table. Then
    nothing was written. Also raise `UnreadableSpreadsheetError` if somebody else stores a record with the same unique
    value meanwhile. Then earlier batches were written.
    """
    table = read_table(path, _IMPORTS[noun].COLUMNS)
    plan: ImportPlan[Any] = await _IMPORTS[noun].plan(store, table, now=now, random=random)
    placed = None
    if not dry_run:
        try:
            await plan.execute()
        except DuplicateError as error:
            fields = ", ".join(error.fields)
            raise UnreadableSpreadsheetError(
                f"Somebody else has stored the same {fields} meanwhile: run the import again, and it goes on from here."
            ) from error
        placed = await place_known(store) if noun in _PLACES_OBSERVATIONS else None
    return Import(noun, plan, tuple(table.remarks), dry_run, placed)


def csv_template(noun: Noun) -> str:
    """Return an example file as CSV. It begins with the byte order mark by which Excel recognises UTF-8."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(column.titles[1] for column in _IMPORTS[noun].COLUMNS)
    writer.writerows(_IMPORTS[noun].EXAMPLE)
    return "\ufeff" + stream.getvalue()
