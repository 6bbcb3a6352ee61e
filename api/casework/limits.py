"""Offer the operations on limits (时限). Limits are only added. A limit is never changed."""

from datetime import datetime
from typing import Annotated

import strawberry

from api.graphql.context import Context, Info
from api.graphql.creation import create_once
from api.graphql.nodes import RecordKind
from api.graphql.scoped_units import unit_in_scope
from api.registration import Registration
from schema.access.guards import mutation, query
from schema.casework import limits
from schema.casework.limits import DEFAULTS, MAX_LIMITS, Limit, LimitStep, OpeningHours, check_limit
from schema.casework.working_days import LimitUnit
from schema.core.digests import digest_of
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode, Refused
from schema.core.replays import check_replay
from schema.core.times import to_millis
from schema.fieldwork.observations import Category


@strawberry.input(description="A part of the day in which an office is open (办公时间).")
class OpeningHoursInput:
    opens: str = strawberry.field(description="Beijing time, such as 09:00.")
    closes: str = strawberry.field(description="Beijing time, such as 12:00.")


@strawberry.input(description="How long offices have for a step of a case (时限).")
class SetLimitInput:
    id: strawberry.ID = strawberry.field(
        description="Created by the caller: lim_ and a UUIDv7. Send the same id with every retry."
    )
    unit_id: strawberry.ID = strawberry.field(
        description="The unit to which the limit applies, with all units below. The unit must be in the viewer's scope."
    )
    step: LimitStep = strawberry.field(description="What the limit is for (办理环节).")
    amount: int = strawberry.field(description="How long, in `timeUnit` (时限).")
    time_unit: LimitUnit = strawberry.field(
        description="Working days, half days or hours (时限单位).", default=LimitUnit.WORKING_DAYS
    )
    longest: int | None = strawberry.field(
        description="How long at most, with an extension. Without it, the limit can't be extended (延期上限).",
        default=None,
    )
    remind_before: int = strawberry.field(
        description="How many working days before the end people are reminded. 0 for no reminder (提前提醒).", default=1
    )
    category: Category | None = strawberry.field(
        description="The category of cases to which the limit applies. Default: all categories.", default=None
    )
    opening_hours: list[OpeningHoursInput] | None = strawberry.field(
        description="1 to 4 parts of the day, in order. Default: those of the product's limits (办公时间).",
        default=None,
    )
    valid_from: datetime | None = strawberry.field(
        description="The limit applies to deadlines that start from this time on. Default: now. The time must not be in"
        " the past.",
        default=None,
    )
    note: str | None = strawberry.field(description="Legal basis or reason, up to 2,000 characters.", default=None)


@strawberry.type(description="The new limit.")
class LimitPayload:
    limit: Limit = strawberry.field(description="The limit.")


LimitResult = Annotated[
    LimitPayload | Refused,
    strawberry.union("LimitResult", description="The new limit, or the reason for the refusal."),
]


@strawberry.type
class LimitQueries:
    @query(
        description="Limits of a unit in the viewer's scope and of the units above, sorted by the time from which they"
        " apply. The limit of the nearest unit applies (时限)."
    )
    async def limits(self, info: Info, unit_id: strawberry.ID) -> list[Limit]:
        unit = await unit_in_scope(info.context, unit_id)
        return await info.context.store.limits.above(unit.path)


@strawberry.type
class LimitMutations:
    @mutation(
        description="Set a limit for a unit and all units below (设置时限). Deadlines that run already stay as they are."
    )
    async def set_limit(self, info: Info, input: SetLimitInput) -> LimitResult:
        return LimitPayload(limit=await set_limit(info.context, input))


async def set_limit(context: Context, input: SetLimitInput) -> Limit:
    """Set a limit. A repeated request changes nothing. If its content differs, raise `Refusal(CONFLICT)`."""
    id, digest = validate_id(input.id, "lim", field="id"), digest_of(input)
    unit = await unit_in_scope(context, input.unit_id)
    given = input.opening_hours
    hours = (
        list(DEFAULTS[0].opening_hours)
        if given is None
        else [OpeningHours(opens=each.opens, closes=each.closes) for each in given]
    )
    check_limit(input.amount, input.time_unit, input.longest, input.remind_before, hours, input.note)

    async def create() -> Limit:
        valid_from = to_millis(input.valid_from) if input.valid_from else context.now
        if valid_from < context.now:
            raise Refusal(RefusalCode.BAD_INPUT, "A limit can't apply to what started already.", field="validFrom")
        if await context.store.limits.count(unit.path, input.step) >= MAX_LIMITS:
            detail = f"A unit has at most {MAX_LIMITS} limits of one step. Set it for a unit above or below."
            raise Refusal(RefusalCode.LIMIT_EXCEEDED, detail, field="unitId")
        limit = Limit(
            id=input.id,
            step=input.step,
            category=input.category,
            amount=input.amount,
            time_unit=input.time_unit,
            longest=input.longest,
            remind_before=input.remind_before,
            opening_hours=hours,
            valid_from=valid_from,
            set_at=context.now,
            note=input.note,
            path=unit.path,
            unit_id=unit.id,
            set_by_id=context.actor.user_id,
            set_by_capacity=context.actor.capacity,
            sent_sha256=digest,
        )
        await context.store.limits.set(limit)
        return limit

    return await create_once(
        lambda: context.store.limits.one(id), create, lambda known: check_replay(known.sent_sha256, digest)
    )


async def _find(context: Context, id: str) -> Limit | None:
    """Return a limit that a viewer may see who may ask for limits: those at or above a unit in scope."""
    limit = await context.store.limits.one(id)
    if limit is None or not (
        any(scope.startswith(limit.path) for scope in context.actor.scopes) or context.actor.covers(limit.path)
    ):
        return None
    return limit


REGISTRATION = Registration(
    queries=(LimitQueries,),
    mutations=(LimitMutations,),
    kinds=(RecordKind("lim", _find, "Query.limits"),),
    permits=limits.PERMITS,
)
