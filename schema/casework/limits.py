"""Define limits (时限): how long an office has for a step of a case.

A limit is set for a unit and applies from a certain time in the unit's subtree. The limit of the nearest unit applies,
and there that of the case's category before that of all categories. Limits are only added, so an old case keeps its own.
"""

import enum
from collections.abc import Iterable
from datetime import UTC, datetime, time

import strawberry

from schema.access.permissions import EXAMINERS, OFFICERS, SEEN, Row
from schema.access.viewers import UNKNOWN_OPEN, Capacity
from schema.accounts.users import User, load_named
from schema.casework.working_days import LimitUnit
from schema.casework.working_time import OpenPeriod
from schema.core.context import Info
from schema.core.nodes import Node
from schema.core.refusals import Refusal, RefusalCode
from schema.core.texts import MAX_NOTE, check_length
from schema.fieldwork.observations import Category
from schema.organisation.units import Unit

MAX_LIMITS = 100
"""Maximum number of limits of one step for one unit. Every new deadline reads the limits of all units above."""
MAX_PERIODS = 4
MAX_AMOUNTS = {LimitUnit.WORKING_DAYS: 250, LimitUnit.HALF_DAYS: 100, LimitUnit.HOURS: 200}


@strawberry.enum(description="What a limit is for (办理环节).")
class LimitStep(enum.Enum):
    ACCEPTANCE = strawberry.enum_value(
        "ACCEPTANCE", description="受理: from the opening of a case until it is accepted or declined."
    )
    HANDLING = strawberry.enum_value(
        "HANDLING", description="办结: the whole case, from its acceptance or reopening until it is closed."
    )


@strawberry.type(description="A part of the day in which an office is open (办公时间).")
class OpeningHours:
    opens: str = strawberry.field(description="Beijing time, such as 09:00.")
    closes: str = strawberry.field(description="Beijing time, such as 12:00.")


@strawberry.type(description="How long an office has for a step of a case (时限).")
class Limit(Node, prefix="lim"):
    step: LimitStep = strawberry.field(description="What the limit is for (办理环节).")
    category: Category | None = strawberry.field(
        description="The category of cases to which the limit applies. Null for all categories (问题类别)."
    )
    amount: int = strawberry.field(description="How long, in `timeUnit` (时限).")
    time_unit: LimitUnit = strawberry.field(description="Working days, half days or hours (时限单位).")
    longest: int | None = strawberry.field(
        description="How long at most, with an extension. Null if the limit can't be extended (延期上限)."
    )
    remind_before: int = strawberry.field(
        description="How many working days before the end people are reminded. 0 for no reminder (提前提醒)."
    )
    opening_hours: list[OpeningHours] = strawberry.field(description="The hours of a working day, in order (办公时间).")
    valid_from: datetime = strawberry.field(
        description="The limit applies to deadlines that start from this time on (生效时间)."
    )
    set_at: datetime = strawberry.field(description="When the limit was set.")
    note: str | None = strawberry.field(description="Legal basis or reason (依据).", default=None)
    path: strawberry.Private[str]
    unit_id: strawberry.Private[str | None] = None
    set_by_id: strawberry.Private[str | None] = None
    set_by_capacity: strawberry.Private[Capacity | None] = None
    sent_sha256: strawberry.Private[str | None] = None

    @strawberry.field(description="The unit in whose subtree the limit applies. Null for a default of the product.")
    async def unit(self, info: Info) -> Unit | None:
        return await info.context.load.one(Unit, self.unit_id)

    @strawberry.field(
        description="The person who set the limit. Null for a default of the product, or if the viewer must not know the"
        " person."
    )
    async def set_by(self, info: Info) -> User | None:
        return await load_named(info, self.set_by_id, self.set_by_capacity or UNKNOWN_OPEN)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOURS = (("09:00", "12:00"), ("13:00", "17:00"))


def _default(number: int, step: LimitStep, amount: int, longest: int | None) -> Limit:
    return Limit(
        id=strawberry.ID(f"lim_01a1c04f-5c00-7000-8000-{number:012x}"),
        step=step,
        category=None,
        amount=amount,
        time_unit=LimitUnit.WORKING_DAYS,
        longest=longest,
        remind_before=1,
        opening_hours=[OpeningHours(opens=opens, closes=closes) for opens, closes in _HOURS],
        valid_from=_EPOCH,
        set_at=_EPOCH,
        path="",
    )


DEFAULTS = (_default(1, LimitStep.ACCEPTANCE, 5, None), _default(2, LimitStep.HANDLING, 30, 60))
"""The limits that a new installation stores for the whole tree of units, from published rules of complaint centres.

Once stored they are ordinary data. A later change of this constant does not change what is stored.
"""


def applicable_limit(
    limits: Iterable[Limit], step: LimitStep, category: Category, path: str, at: datetime
) -> Limit | None:
    """Return the limit that applies at the unit at `path` to a deadline that starts at `at`."""
    applying = [
        limit
        for limit in limits
        if limit.step is step
        and path.startswith(limit.path)
        and limit.valid_from <= at
        and limit.category in {None, category}
    ]
    return max(
        applying,
        key=lambda one: (len(one.path), one.category is not None, one.valid_from, one.set_at, one.id),
        default=None,
    )


def periods_of(hours: Iterable[OpeningHours]) -> tuple[OpenPeriod, ...]:
    return tuple(OpenPeriod(time.fromisoformat(each.opens), time.fromisoformat(each.closes)) for each in hours)


def check_limit(
    amount: int, unit: LimitUnit, longest: int | None, remind_before: int, hours: list[OpeningHours], note: str | None
) -> None:
    """Raise `Refusal(BAD_INPUT)` if a value is out of range."""
    check_length(note, MAX_NOTE, "note")
    most = MAX_AMOUNTS[unit]
    if not 1 <= amount <= most:
        raise Refusal(RefusalCode.BAD_INPUT, f"A limit in {unit.value} is 1 to {most}.", field="amount")
    if longest is not None and not amount < longest <= most:
        raise Refusal(RefusalCode.BAD_INPUT, f"An extended limit is longer, and {most} at most.", field="longest")
    if not 0 <= remind_before <= amount:
        raise Refusal(RefusalCode.BAD_INPUT, "A reminder comes within the limit.", field="remindBefore")
    try:
        edges = [edge for period in periods_of(hours) for edge in (period.opens, period.closes)]
    except ValueError:
        edges = []
    is_whole = all(edge.tzinfo is None and not edge.second and not edge.microsecond for edge in edges)
    if not 1 <= len(hours) <= MAX_PERIODS or not edges or not is_whole or edges != sorted(set(edges)):
        detail = f"Give 1 to {MAX_PERIODS} opening hours in order, such as 09:00 to 12:00."
        raise Refusal(RefusalCode.BAD_INPUT, detail, field="openingHours")


PERMITS: tuple[Row, ...] = (
    ("Query", EXAMINERS, "limits"),
    ("Mutation", OFFICERS, "setLimit"),
    ("LimitPayload", SEEN, "limit"),
    ("Limit", SEEN, "id step category amount timeUnit longest remindBefore openingHours validFrom setAt note"),
    ("Limit", SEEN, "unit setBy"),
    ("OpeningHours", SEEN, "opens closes"),
)
