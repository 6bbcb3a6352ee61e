"""Changes: what a phone pulls since its last cursor, in the viewer's scope as it is now (增量同步).

The sequence behind it is entered by `change_work.py`; what stands under which topic is said in `schema/sync/changes.py`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import strawberry

from api.graphql.context import Context, Info
from schema.access.guards import query
from schema.access.permissions import PERMITS
from schema.core.nodes import Node
from schema.core.pagination import DEFAULT_PAGE, CursorSeal
from schema.core.refusals import Refusal, RefusalCode, Refused
from schema.sync.changes import Change, ChangeKind, ChangePage, ChangesResult, Progress, topics_of_viewer
from storage.access import visibility
from storage.access.visibility import all_of
from storage.mongodb.causal_reads import read_onward
from storage.mongodb.client import Filter
from storage.sync.changes import ChangeSequence, Entry

ROOTS = {
    ChangeKind.UNIT: "Query.units",
    ChangeKind.MONITORING_POINT: "Query.monitoringPoints",
    ChangeKind.CATALOGUE_ENTRY: "Query.catalogue",
    ChangeKind.ASSIGNMENT: "Query.assignments",
    ChangeKind.CASE: "Query.cases",
    ChangeKind.OBSERVATION: "Query.observations",
}
"""The root field whose permit stands for each kind."""


@strawberry.type
class ChangeQueries:
    @query(
        description="What has changed since a cursor, as far as it is the viewer's, and what is so no longer (增量同步)."
    )
    async def changes(
        self,
        info: Info,
        since: str | None = None,
        kinds: list[ChangeKind] | None = None,
        first: int = DEFAULT_PAGE,
    ) -> ChangesResult:
        return await pull_or_say_why_not(info.context, since, kinds, first)


async def pull_or_say_why_not(
    context: Context, since: str | None, kinds: Sequence[ChangeKind] | None, first: int
) -> ChangePage | Refused:
    try:
        return await pull(context, since, kinds, first)
    except Refusal as refusal:
        context.note(refusal)
        return Refused.of(refusal)


async def pull(context: Context, since: str | None, kinds: Sequence[ChangeKind] | None, first: int) -> ChangePage:
    """One page; raises `Refusal(CURSOR_EXPIRED | LIMIT_EXCEEDED)`.

    Where it ends is read first, then what comes before that, then the records: each no older than the one before.
    """
    read_onward()
    seal = context.seal("changes")
    seal.page(first, None)
    wanted = list(ChangeKind) if kinds is None else list(dict.fromkeys(kinds))
    sequence = await context.store.changes.sequence()
    if sequence is None:
        return ChangePage(changes=[], cursor=seal.close(Progress("").values()), has_more=False, as_of=None)
    admitted = [kind for kind in wanted if PERMITS[ROOTS[kind]].admits(context.actor)]
    topics = [topic for kind in admitted for topic in topics_of_viewer(kind, context.actor)]
    progress = _opened(seal, since, sequence).towards(topics, wanted)
    entries = await context.store.changes.read(progress, topics, sequence.last, first + 1)
    page, more = entries[:first], len(entries) > first
    after = progress.past(page[-1].number if more else sequence.last, topics, done=not more)
    return ChangePage(
        changes=await _changes(context, page, admitted),
        cursor=seal.close(after.values()),
        has_more=more,
        as_of=sequence.as_of,
    )


def _opened(seal: CursorSeal, since: str | None, sequence: ChangeSequence) -> Progress:
    """What the cursor says; raises `Refusal(CURSOR_EXPIRED)` for one that this sequence can't go on from."""
    if since is None:
        return Progress(sequence.epoch)
    try:
        progress = Progress(*seal.open(since))
    except Refusal as refusal:
        raise Refusal(RefusalCode.CURSOR_EXPIRED, field="since") from refusal
    if not (progress.read or progress.leaving):
        return Progress(sequence.epoch)
    if progress.epoch != sequence.epoch or not progress.reaches(horizon=sequence.horizon, last=sequence.last):
        raise Refusal(RefusalCode.CURSOR_EXPIRED, field="since")
    return progress


async def _changes(context: Context, entries: Sequence[Entry], admitted: Sequence[ChangeKind]) -> list[Change]:
    """Each record as the viewer finds it now; what the viewer does not find is to be dropped."""
    ids: dict[ChangeKind, list[str]] = {}
    for entry in entries:
        ids.setdefault(entry.kind, []).append(entry.record_id)
    found: dict[str, Any] = {}
    for kind in ids.keys() & set(admitted):
        records = await READERS[kind](context, list(dict.fromkeys(ids[kind])))
        found |= {str(record.id): record for record in records}
    kinds = {entry.record_id: entry.kind for entry in entries}
    return [Change(kind=kind, id=strawberry.ID(id), record=found.get(id)) for id, kind in kinds.items()]


async def _units(context: Context, ids: Sequence[str]) -> Sequence[Node]:
    return await context.store.units.many(ids, visibility.units(context.actor))


async def _points(context: Context, ids: Sequence[str]) -> Sequence[Node]:
    return await context.store.monitoring_points.many(ids, visibility.monitoring_points(context.actor))


async def _catalogue(context: Context, ids: Sequence[str]) -> Sequence[Node]:
    return await context.store.catalogue.many(ids, visibility.catalogue(context.actor))


async def _assignments(context: Context, ids: Sequence[str]) -> Sequence[Node]:
    mine: Filter = {"assignee_id": context.actor.user_id}
    return await context.store.assignments.many(ids, all_of(mine, await context.links.visible_assignments()))


async def _cases(context: Context, ids: Sequence[str]) -> Sequence[Node]:
    granted = set(await context.links.granted())
    visible = await context.links.visible_cases()
    return await context.store.cases.many([id for id in ids if id in granted], visible)


async def _observations(context: Context, ids: Sequence[str]) -> Sequence[Node]:
    mine: Filter = {"author_id": context.actor.user_id}
    return await context.store.observations.many(ids, all_of(mine, await context.links.visible_observations()))


READERS: Mapping[ChangeKind, Callable[[Context, Sequence[str]], Awaitable[Sequence[Node]]]] = {
    ChangeKind.UNIT: _units,
    ChangeKind.MONITORING_POINT: _points,
    ChangeKind.CATALOGUE_ENTRY: _catalogue,
    ChangeKind.ASSIGNMENT: _assignments,
    ChangeKind.CASE: _cases,
    ChangeKind.OBSERVATION: _observations,
}
