"""Thresholds (疑点阈值): from which figure on a check raises a flag, and two figures of ratings; data with dates, by office.

What the checks measure is in `checks.py`, what ratings need the figures for in `ratings.py`. A threshold is set for a unit
and holds in its subtree; what is nearest to an observation's office applies, and of one unit's own what came into force last.
"""

import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import strawberry

from schema.access.permissions import EXAMINERS, OFFICERS, SEEN, Row
from schema.accounts.users import User
from schema.core.context import Info
from schema.core.nodes import Node
from schema.core.refusals import Refusal, RefusalCode
from schema.organisation.units import SEPARATOR, Unit

MAX_NOTE = 2_000


@strawberry.enum(description="In what a flag's figure and its threshold are measured (计量单位).")
class Measure(enum.Enum):
    METRES = strawberry.enum_value("METRES", description="米")
    SECONDS = strawberry.enum_value("SECONDS", description="秒")
    KILOMETRES_PER_HOUR = strawberry.enum_value("KILOMETRES_PER_HOUR", description="公里/小时")
    BITS = strawberry.enum_value("BITS", description="Bits of 256 in which two pictures differ (图像差异位数).")
    TIMES = strawberry.enum_value("TIMES", description="次: that it is so at all.")
    DAYS = strawberry.enum_value("DAYS", description="天: days of the calendar.")
    RATINGS = strawberry.enum_value("RATINGS", description="份: how many ratings.")


@strawberry.enum(description="What a threshold is about (阈值项目).")
class ThresholdKind(enum.Enum):
    PHOTO_POSITION = strawberry.enum_value(
        "PHOTO_POSITION", description="照片坐标与填报坐标的距离: metres between a file's own position and the claimed."
    )
    PHOTO_TIME = strawberry.enum_value(
        "PHOTO_TIME", description="照片时间与填报时间的差: seconds between a file's own time and the claimed."
    )
    UNIT_DISTANCE = strawberry.enum_value("UNIT_DISTANCE", description="与被巡查单位的距离: metres to the unit seen.")
    OUTSIDE_COUNTY = strawberry.enum_value(
        "OUTSIDE_COUNTY", description="超出辖区边界的距离: metres beyond the outline; outlines are some 350 m exact."
    )
    SPEED = strawberry.enum_value("SPEED", description="移动速度: km/h since the device's last observation.")
    SPEED_FROM = strawberry.enum_value(
        "SPEED_FROM", description="计算速度的最小距离: metres below which no speed is measured: positions jump."
    )
    CLOCK_SKEW = strawberry.enum_value("CLOCK_SKEW", description="设备时钟偏差: seconds that a device's clock is off.")
    CAPTURED_BEFORE = strawberry.enum_value(
        "CAPTURED_BEFORE", description="影像早于巡查的时间: seconds by which a medium is older than what it shows."
    )
    PICTURE_BITS = strawberry.enum_value(
        "PICTURE_BITS", description="图像差异上限: two pictures that differ in no more bits are nearly the same."
    )
    RATING_LATE = strawberry.enum_value(
        "RATING_LATE",
        description="测评补报期限: days after a month's end for which its ratings are still taken; what applied at its end"
        " counts.",
    )
    RATING_MINIMUM = strawberry.enum_value(
        "RATING_MINIMUM",
        description="最少测评份数: ratings that a unit's monthly score takes, so that no rater stands alone; what applied"
        " when the month began counts.",
    )


MEASURES: dict[ThresholdKind, Measure] = {
    ThresholdKind.PHOTO_POSITION: Measure.METRES,
    ThresholdKind.PHOTO_TIME: Measure.SECONDS,
    ThresholdKind.UNIT_DISTANCE: Measure.METRES,
    ThresholdKind.OUTSIDE_COUNTY: Measure.METRES,
    ThresholdKind.SPEED: Measure.KILOMETRES_PER_HOUR,
    ThresholdKind.SPEED_FROM: Measure.METRES,
    ThresholdKind.CLOCK_SKEW: Measure.SECONDS,
    ThresholdKind.CAPTURED_BEFORE: Measure.SECONDS,
    ThresholdKind.PICTURE_BITS: Measure.BITS,
    ThresholdKind.RATING_LATE: Measure.DAYS,
    ThresholdKind.RATING_MINIMUM: Measure.RATINGS,
}
MAX_VALUES: dict[Measure, float] = {
    Measure.METRES: 20_100_000,
    Measure.SECONDS: 3_200_000_000,
    Measure.KILOMETRES_PER_HOUR: 100_000,
    Measure.BITS: 96,
    Measure.DAYS: 366,
    Measure.RATINGS: 10_000,
}
"""The largest figure that means anything: half round the globe, a century, ..., bits at which unlike pictures begin."""
MIN_VALUES: dict[Measure, float] = {Measure.RATINGS: 2}
"""The smallest, where that is not 0: the mean of one rating is that rating."""


@strawberry.type(
    description="From which figure on a check raises a flag, or what ratings are held to, in the subtree of a unit (疑点阈值)."
)
class Threshold(Node):
    kind: ThresholdKind = strawberry.field(description="What it is about (项目).")
    value: float | None = strawberry.field(
        description="The figure, in `measure`; null: from then on as the unit above has it (取消本级设置)."
    )
    valid_from: datetime = strawberry.field(description="Applies to what is received from then on (生效时间).")
    set_at: datetime = strawberry.field(description="When it was set.")
    note: str | None = strawberry.field(description="Why (理由).", default=None)
    path: strawberry.Private[str]
    unit_id: strawberry.Private[str | None] = None
    set_by_id: strawberry.Private[str | None] = None
    sent_sha256: strawberry.Private[str | None] = None

    @strawberry.field(description="In what it is measured (计量单位).")
    def measure(self) -> Measure:
        return MEASURES[self.kind]

    @strawberry.field(description="The unit in whose subtree it holds; null for what holds where nobody has set one.")
    async def unit(self, info: Info) -> Unit | None:
        return await info.context.load.one(Unit, self.unit_id)

    @strawberry.field(description="Who set it, where the viewer may know; null for what came with the product.")
    async def set_by(self, info: Info) -> User | None:
        return await info.context.load.one(User, self.set_by_id)


_K = ThresholdKind
_SHIPPED: tuple[tuple[str, ThresholdKind, float], ...] = (
    ("thr_01a1c04f-5c00-7000-8000-000000000001", _K.PHOTO_POSITION, 500),
    ("thr_01a1c04f-5c00-7000-8000-000000000002", _K.PHOTO_TIME, 3_600),
    ("thr_01a1c04f-5c00-7000-8000-000000000003", _K.UNIT_DISTANCE, 500),
    ("thr_01a1c04f-5c00-7000-8000-000000000004", _K.OUTSIDE_COUNTY, 500),
    ("thr_01a1c04f-5c00-7000-8000-000000000005", _K.SPEED, 200),
    ("thr_01a1c04f-5c00-7000-8000-000000000006", _K.SPEED_FROM, 2_000),
    ("thr_01a1c04f-5c00-7000-8000-000000000007", _K.CLOCK_SKEW, 600),
    ("thr_01a1c04f-5c00-7000-8000-000000000008", _K.CAPTURED_BEFORE, 86_400),
    ("thr_01a1c04f-5c00-7000-8000-000000000009", _K.PICTURE_BITS, 24),
    ("thr_01a1c04f-5c00-7000-8000-00000000000a", _K.RATING_LATE, 10),
    ("thr_01a1c04f-5c00-7000-8000-00000000000b", _K.RATING_MINIMUM, 3),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DEFAULTS = tuple(
    Threshold(id=strawberry.ID(id), kind=kind, value=value, valid_from=_EPOCH, set_at=_EPOCH, path="")
    for id, kind, value in _SHIPPED
)
"""What is stored for the whole tree of a new installation; once stored it is data like any other, and no code reads it."""


@dataclass(frozen=True)
class ThresholdLimits:
    """The thresholds of one office at one time, each with its figure."""

    values: Mapping[ThresholdKind, float]

    def of(self, kind: ThresholdKind) -> float:
        """Infinite where there is none: what nobody has set a limit to is not flagged."""
        return self.values.get(kind, math.inf if kind is not ThresholdKind.PICTURE_BITS else -1)


def applying(thresholds: Iterable[Threshold], path: str, at: datetime) -> dict[ThresholdKind, Threshold]:
    """What applies at the unit at `path` to what was received at `at`: the nearest unit's, of its own the latest."""
    latest: dict[tuple[ThresholdKind, str], Threshold] = {}
    for each in sorted(thresholds, key=lambda each: (each.valid_from, each.set_at, each.id)):
        if path.startswith(each.path) and each.valid_from <= at:
            latest[each.kind, each.path] = each
    nearest: dict[ThresholdKind, Threshold] = {}
    for (kind, _), each in sorted(latest.items(), key=lambda item: len(item[0][1])):
        if each.value is not None:
            nearest[kind] = each
    return nearest


def limits_of(thresholds: Iterable[Threshold], path: str, at: datetime) -> ThresholdLimits:
    found = applying(thresholds, path, at)
    return ThresholdLimits({kind: each.value for kind, each in found.items() if each.value is not None})


def paths_above(path: str) -> list[str]:
    """Paths of the whole tree (""), of all units above `path`, and `path` itself."""
    return ["", *(path[: end + 1] for end, letter in enumerate(path) if letter == SEPARATOR)]


def check_threshold(kind: ThresholdKind, value: float | None, note: str | None) -> None:
    """Raises `Refusal(BAD_INPUT)` for a figure that means nothing, or a note that is too long."""
    least, most = MIN_VALUES.get(MEASURES[kind], 0), MAX_VALUES[MEASURES[kind]]
    if value is not None and not (math.isfinite(value) and least <= value <= most):
        raise Refusal(
            RefusalCode.BAD_INPUT, f"A threshold of {kind.value} lies between {least:g} and {most:g}.", field="value"
        )
    if note is not None and len(note) > MAX_NOTE:
        raise Refusal(RefusalCode.BAD_INPUT, f"At most {MAX_NOTE} characters.", field="note")


PERMITS: tuple[Row, ...] = (
    ("Query", EXAMINERS, "thresholds"),
    ("Mutation", OFFICERS, "setThreshold"),
    ("ThresholdPayload", SEEN, "threshold"),
    ("Thresholds", SEEN, "applying settings"),
    ("Threshold", SEEN, "id kind value validFrom setAt note measure unit setBy"),
)
