"""Offer the operations on thresholds (疑点阈值). Settings are only added. A setting is never changed."""

from datetime import datetime
from typing import Annotated

import strawberry

from api.graphql.context import Context, Info
from api.graphql.creation import create_once
from api.graphql.scoped_units import unit_in_scope
from api.registration import Registration
from schema.access.guards import mutation, query
from schema.checks import thresholds
from schema.checks.thresholds import MAX_SETTINGS, Threshold, ThresholdKind, applicable_thresholds, check_threshold
from schema.core.digests import digest_of
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode, Refused
from schema.core.replays import check_replay
from schema.core.times import to_millis


@strawberry.input(description="A threshold of a check, or a rule for ratings (疑点阈值).")
class SetThresholdInput:
    id: strawberry.ID = strawberry.field(
        description="Created by the caller: thr_ and a UUIDv7. Send the same id with every retry."
    )
    unit_id: strawberry.ID = strawberry.field(
        description="The unit to which the threshold applies, with all units below. The unit must be in the viewer's scope."
    )
    kind: ThresholdKind = strawberry.field(description="What the threshold limits.")
    value: float | None = strawberry.field(
        description="The value. If left out, this unit no longer has its own value: the threshold of the unit above applies.",
        default=None,
    )
    valid_from: datetime | None = strawberry.field(
        description="The threshold applies to what is received from this time on. Default: now. The time must not be in"
        " the past.",
        default=None,
    )
    note: str | None = strawberry.field(description="Reason, up to 2,000 characters.", default=None)


@strawberry.type(name="Thresholds", description="Thresholds of a unit (疑点阈值).")
class UnitThresholds:
    applying: list[Threshold] = strawberry.field(
        description="Thresholds that apply to what is received at the requested time."
    )
    settings: list[Threshold] = strawberry.field(
        description="All settings of the unit and the units above, sorted by the time from which they apply (设置记录)."
    )


@strawberry.type(description="The new threshold.")
class ThresholdPayload:
    threshold: Threshold = strawberry.field(description="The threshold.")


ThresholdResult = Annotated[
    ThresholdPayload | Refused,
    strawberry.union("ThresholdResult", description="The new threshold, or the reason for the refusal."),
]


@strawberry.type
class ThresholdQueries:
    @query(description="Thresholds that apply to a unit in the viewer's scope, now or at another time (疑点阈值).")
    async def thresholds(self, info: Info, unit_id: strawberry.ID, at: datetime | None = None) -> UnitThresholds:
        unit = await unit_in_scope(info.context, unit_id)
        settings = await info.context.store.thresholds.above(unit.path)
        applying = applicable_thresholds(settings, unit.path, at or info.context.now)
        return UnitThresholds(
            applying=[applying[kind] for kind in ThresholdKind if kind in applying], settings=settings
        )


@strawberry.type
class ThresholdMutations:
    @mutation(
        description="Set a threshold for a unit and all units below (设置疑点阈值). Existing flags stay as they are."
    )
    async def set_threshold(self, info: Info, input: SetThresholdInput) -> ThresholdResult:
        return ThresholdPayload(threshold=await set_threshold(info.context, input))


async def set_threshold(context: Context, input: SetThresholdInput) -> Threshold:
    """Set a threshold. A repeated request changes nothing. If its content differs, raise `Refusal(CONFLICT)`."""
    id, digest = validate_id(input.id, "thr", field="id"), digest_of(input)
    unit = await unit_in_scope(context, input.unit_id)
    check_threshold(input.kind, input.value, input.note)

    async def create() -> Threshold:
        valid_from = to_millis(input.valid_from) if input.valid_from else context.now
        if valid_from < context.now:
            raise Refusal(
                RefusalCode.BAD_INPUT, "A threshold can't apply to what was already received.", field="validFrom"
            )
        if await context.store.thresholds.count(unit.path, input.kind) >= MAX_SETTINGS:
            detail = f"A unit has at most {MAX_SETTINGS} settings of one kind. Set it for a unit above or below."
            raise Refusal(RefusalCode.LIMIT_EXCEEDED, detail, field="unitId")
        threshold = Threshold(
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
            set_by_capacity=context.actor.capacity,
        )
        await context.store.thresholds.set(threshold)
        return threshold

    return await create_once(
        lambda: context.store.thresholds.one(id), create, lambda known: check_replay(known.sent_sha256, digest)
    )


REGISTRATION = Registration(
    queries=(ThresholdQueries,),
    mutations=(ThresholdMutations,),
    permits=thresholds.PERMITS,
)
