"""Pull the changes since a phone's last cursor, in the viewer's current scope (增量同步)."""

from collections.abc import Mapping, Sequence
from typing import Any

import strawberry

from api.graphql.context import Context, Info
from api.graphql.nodes import Pull
from api.registration import Registration
from schema.access.guards import query
from schema.casework.assignments import Assignment
from schema.core.pagination import DEFAULT_PAGE, CursorSeal
from schema.core.refusals import Refusal, RefusalCode, Refused
from schema.fieldwork.observations import Observation
from schema.sync import changes
from schema.sync.changes import Change, ChangeKind, ChangePage, ChangesResult, Progress, topics_of_viewer
from storage.mongodb.causal_reads import begin_causal_reads
from storage.sync.changes import ChangeEntry, ChangeSequence

MAX_PARTS = 2_000
"""Largest number of media and of edits of notes in a page of changes. A page with more is shorter than the phone asked
for, because its answer would take more work than a request may. Otherwise the phone could never pull these records."""


@strawberry.type
class ChangeQueries:
    @query(
        description="Records that changed since the cursor `since` and that the viewer may see, and records that the"
        " phone must remove (增量同步)."
    )
    async def changes(
        self,
        info: Info,
        since: str | None = None,
        kinds: list[ChangeKind] | None = None,
        first: int = DEFAULT_PAGE,
    ) -> ChangesResult:
        return await pull_or_refuse(info.context, since, kinds, first)


async def pull_or_refuse(
    context: Context, since: str | None, kinds: Sequence[ChangeKind] | None, first: int
) -> ChangePage | Refused:
    try:
        return await pull(context, since, kinds, first)
    except Refusal as refusal:
        context.count_refusal(refusal)
        return Refused.of(refusal)


async def pull(context: Context, since: str | None, kinds: Sequence[ChangeKind] | None, first: int) -> ChangePage:
    """Return one page of changes. Raise `Refusal(CURSOR_EXPIRED | LIMIT_EXCEEDED)`.

    Three reads follow each other: the end of the sequence, the entries up to this end, and the records. No read sees an
    older state of the database than the read before it.
    """
    begin_causal_reads()
    seal = context.seal("changes")
    seal.page(first, None)
    requested = list(ChangeKind) if kinds is None else list(dict.fromkeys(kinds))
    sequence = await context.store.changes.sequence()
    if sequence is None:
        return ChangePage(changes=[], cursor=seal.close(Progress("").values()), has_more=False, as_of=None)
    admitted = admitted_pulls(context, requested)
    topics = [topic for kind in admitted for topic in topics_of_viewer(kind, context.actor)]
    progress = _open_cursor(seal, since, sequence).with_topics(topics, requested)
    entries = await context.store.changes.read(progress, topics, sequence.last, first + 1)
    found = await _read_records(context, entries[:first], admitted)
    page = _within_parts(entries[:first], found)
    more = len(entries) > len(page)
    after = progress.advanced_to(page[-1].number if more else sequence.last, topics, done=not more)
    return ChangePage(
        changes=_changes_of(page, found),
        cursor=seal.close(after.values()),
        has_more=more,
        as_of=sequence.as_of,
    )


def admitted_pulls(context: Context, kinds: Sequence[ChangeKind]) -> dict[ChangeKind, Pull]:
    """Return the `Pull` of each kind in `kinds` that the viewer may read. A `Pull` reads records of one kind."""
    pulls = {
        record.pull.kind: record.pull
        for record in context.services.registry.kinds.values()
        if record.pull and record.pull.kind in kinds and record.admits(context)
    }
    return {kind: pulls[kind] for kind in kinds if kind in pulls}


def _open_cursor(seal: CursorSeal, since: str | None, sequence: ChangeSequence) -> Progress:
    """Return the progress that a phone's cursor contains. Without a cursor, the phone starts from the beginning.

    Raise `Refusal(CURSOR_EXPIRED)` if the cursor is invalid or the sequence can't continue from it.
    """
    if since is None:
        return Progress(sequence.epoch)
    try:
        progress = Progress(*seal.open(since))
    except Refusal as refusal:
        raise Refusal(RefusalCode.CURSOR_EXPIRED, field="since") from refusal
    if not (progress.read or progress.leaving):
        return Progress(sequence.epoch)
    if progress.epoch != sequence.epoch or not progress.can_resume(horizon=sequence.horizon, last=sequence.last):
        raise Refusal(RefusalCode.CURSOR_EXPIRED, field="since")
    return progress


async def _read_records(
    context: Context, entries: Sequence[ChangeEntry], admitted: Mapping[ChangeKind, Pull]
) -> dict[str, Any]:
    """Return the records in `entries`, by id, as the viewer sees them now."""
    ids: dict[ChangeKind, list[str]] = {}
    for entry in entries:
        ids.setdefault(entry.kind, []).append(entry.record_id)
    found: dict[str, Any] = {}
    for kind in ids.keys() & admitted.keys():
        records = await admitted[kind].read(context, list(dict.fromkeys(ids[kind])))
        found |= {str(record.id): record for record in records}
    return found


def _within_parts(entries: Sequence[ChangeEntry], found: Mapping[str, Any]) -> Sequence[ChangeEntry]:
    """Return the first entries whose records have at most `MAX_PARTS` parts together, but at least one entry."""
    parts, counted = 0, set[str]()
    for index, entry in enumerate(entries):
        if entry.record_id not in counted:
            counted.add(entry.record_id)
            parts += _parts_of(found.get(entry.record_id))
        if parts > MAX_PARTS and index:
            return entries[:index]
    return entries


def _parts_of(record: Any) -> int:
    """Return how many parts of a record an answer may list: media of an observation, edits of an assignment's notes."""
    if isinstance(record, Observation):
        return len(record.content.media_ids)
    return len(record.note_edits) if isinstance(record, Assignment) else 0


def _changes_of(entries: Sequence[ChangeEntry], found: Mapping[str, Any]) -> list[Change]:
    """Return a change for each record in `entries`. It has no record if the viewer can't see the record."""
    kinds = {entry.record_id: entry.kind for entry in entries}
    return [Change(kind=kind, id=strawberry.ID(id), record=found.get(id)) for id, kind in kinds.items()]


REGISTRATION = Registration(
    queries=(ChangeQueries,),
    permits=changes.PERMITS,
)
