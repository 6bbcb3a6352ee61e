"""Thresholds: what applies at a unit, and officers' own settings, which are appended and never changed (疑点阈值)."""

from datetime import datetime
from typing import Annotated

import strawberry

from api.graphql.context import Context, Info
from api.registration import Registration
from schema.access.guards import mutation, query
from schema.checks import thresholds
from schema.checks.thresholds import Threshold, ThresholdKind, applying, check_threshold
from schema.core.digests import digest_of
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode, Refused
from schema.core.times import to_millis
from schema.organisation.units import Unit
from storage.mongodb.errors import DuplicateError


@strawberry.input(description="From which figure on a check raises a flag, or what ratings are held to (疑点阈值).")
class SetThresholdInput:
    id: strawberry.ID = strawberry.field(description="Made by the caller: thr_ and a UUIDv7. The key of every replay.")
    unit_id: strawberry.ID = strawberry.field(
        description="The unit in whose subtree it is to hold, within one's scope."
    )
    kind: ThresholdKind = strawberry.field(description="What it is about.")
    value: float | None = strawberry.field(
        description="The figure; left out: from then on as the unit above has it.", default=None
    )
    valid_from: datetime | None = strawberry.field(
        description="For what is received from then on; at once unless given, and never in the past.", default=None
    )
    note: str | None = strawberry.field(description="Why, up to 2,000 characters.", default=None)


@strawberry.type(description="Thresholds of a unit (疑点阈值).")
class Thresholds:
    applying: list[Threshold] = strawberry.field(description="What applies to what is received at that time.")
    settings: list[Threshold] = strawberry.field(
        description="All that were ever set for the unit and those above it, by the time from which they hold (设置记录)."
    )


@strawberry.type(description="The threshold as set.")
class ThresholdPayload:
    threshold: Threshold = strawberry.field(description="The threshold.")


ThresholdResult = Annotated[
    ThresholdPayload | Refused, strawberry.union("ThresholdResult", description="The threshold as set, or why not.")
]


@strawberry.type
class ThresholdQueries:
    @query(description="Thresholds that apply at a unit of one's scope, now or at another time (疑点阈值).")
    async def thresholds(self, info: Info, unit_id: strawberry.ID, at: datetime | None = None) -> Thresholds:
        unit = await _unit_in_scope(info.context, unit_id)
        settings = await info.context.store.thresholds.above(unit.path)
        found = applying(settings, unit.path, at or info.context.now)
        return Thresholds(applying=[found[kind] for kind in ThresholdKind if kind in found], settings=settings)


@strawberry.type
class ThresholdMutations:
    @mutation(description="Set a threshold for a unit and all below it (设置疑点阈值); flags raised before stay.")
    async def set_threshold(self, info: Info, input: SetThresholdInput) -> ThresholdResult:
        return ThresholdPayload(threshold=await set_threshold(info.context, input))


async def set_threshold(context: Context, input: SetThresholdInput) -> Threshold:
    """The same id with the same content again changes nothing; with another content it is a conflict."""
    id, digest = validate_id(input.id, "thr", field="id"), digest_of(input)
    unit = await _unit_in_scope(context, input.unit_id)
    check_threshold(input.kind, input.value, input.note)
    if known := await context.store.thresholds.one(id):
        return _same(known, digest)
    valid_from = to_millis(input.valid_from) if input.valid_from else context.now
    if valid_from < context.now:
        raise Refusal(RefusalCode.BAD_INPUT, "What was received already is not judged anew.", field="validFrom")
    made = Threshold(
        id=input.id,
        kind=input.kind,
        value=input.value,
        valid_from=valid_from,
        set_at=context.now,
        note=input.note,
        path=unit.path,
        unit_id=unit.id,
        set_by_id=context.actor.user_id,
        sent_sha256=digest,
    )
    try:
        await context.store.thresholds.set(made)
    except DuplicateError:
        known = await context.store.thresholds.one(id)
        if known is None:
            raise
        return _same(known, digest)
    return made


def _same(known: Threshold, digest: str) -> Threshold:
    if known.sent_sha256 != digest:
        raise Refusal(RefusalCode.CONFLICT, field="id")
    return known


async def _unit_in_scope(context: Context, id: str) -> Unit:
    unit = await context.load.one(Unit, validate_id(id, "unt", field="unitId"))
    if unit is None or not context.actor.covers(unit.path):
        raise Refusal(RefusalCode.NOT_FOUND, field="unitId")
    return unit


REGISTRATION = Registration(
    queries=(ThresholdQueries,),
    mutations=(ThresholdMutations,),
    permits=thresholds.PERMITS,
)
