"""Define the thresholds of checks and ratings (疑点阈值).

A threshold is set for a unit, and applies from a certain time in the unit's subtree.
For an observation, the threshold of the nearest unit applies: of the observation's office, or else of the nearest unit
above that office. If that unit has several thresholds of one kind, the threshold that took effect last applies.
"""

import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import strawberry

from schema.access.permissions import EXAMINERS, OFFICERS, SEEN, Row
from schema.access.viewers import UNKNOWN_OPEN, Capacity
from schema.accounts.users import User, load_named
from schema.core.context import Info
from schema.core.nodes import Node
from schema.core.refusals import Refusal, RefusalCode
from schema.core.texts import MAX_NOTE, check_length
from schema.organisation.units import Unit


@strawberry.enum(description="The unit in which a figure and its threshold are measured (计量单位).")
class Measure(enum.Enum):
    METRES = strawberry.enum_value("METRES", description="米")
    SECONDS = strawberry.enum_value("SECONDS", description="秒")
    KILOMETRES_PER_HOUR = strawberry.enum_value("KILOMETRES_PER_HOUR", description="公里/小时")
    BITS = strawberry.enum_value(
        "BITS",
        description="Number of bits, of 256, in which the perceptual hashes of two pictures differ (图像差异位数).",
    )
    TIMES = strawberry.enum_value("TIMES", description="次: number of times.")
    DAYS = strawberry.enum_value("DAYS", description="天: calendar days.")
    RATINGS = strawberry.enum_value("RATINGS", description="份: number of ratings.")


@strawberry.enum(description="What a threshold limits (阈值项目).")
class ThresholdKind(enum.Enum):
    PHOTO_POSITION = strawberry.enum_value(
        "PHOTO_POSITION",
        description="照片坐标与填报坐标的距离: metres between the position in the file and the reported position.",
    )
    PHOTO_TIME = strawberry.enum_value(
        "PHOTO_TIME", description="照片时间与填报时间的差: seconds between the time in the file and the reported time."
    )
    UNIT_DISTANCE = strawberry.enum_value(
        "UNIT_DISTANCE", description="与被巡查单位的距离: metres between an observation and the inspected unit."
    )
    OUTSIDE_COUNTY = strawberry.enum_value(
        "OUTSIDE_COUNTY",
        description="超出辖区边界的距离: metres by which a position lies outside the county. Outlines of counties are accurate"
        " to about 350 m.",
    )
    SPEED = strawberry.enum_value("SPEED", description="移动速度: speed of a device between two observations, in km/h.")
    SPEED_FROM = strawberry.enum_value(
        "SPEED_FROM",
        description="计算速度的最小距离: metres between two observations. Below this distance no speed is measured, because"
        " positions are not exact.",
    )
    CLOCK_SKEW = strawberry.enum_value(
        "CLOCK_SKEW", description="设备时钟偏差: seconds by which a device's clock is fast or slow."
    )
    CAPTURED_BEFORE = strawberry.enum_value(
        "CAPTURED_BEFORE", description="影像早于巡查的时间: seconds by which a medium is older than its observation."
    )
    PICTURE_BITS = strawberry.enum_value(
        "PICTURE_BITS",
        description="图像差异上限: two pictures are similar if their perceptual hashes differ in at most this many of 256"
        " bits.",
    )
    RATING_LATE = strawberry.enum_value(
        "RATING_LATE",
        description="测评补报期限: days after the end of a month during which ratings for that month are still accepted. The"
        " value that is set for the end of the month applies.",
    )
    RATING_MINIMUM = strawberry.enum_value(
        "RATING_MINIMUM",
        description="最少测评人数: number of raters that a unit's monthly score needs, so that no single rater is exposed."
        " The value that is set for the start of the month applies.",
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
"""The largest sensible value of a threshold in each unit of measure.

Metres: half way round the globe. Seconds: a century. Bits: with more differing bits, pictures are unrelated.
"""
MIN_VALUES: dict[Measure, float] = {Measure.RATINGS: 2}
"""The smallest value of a threshold, if it is not 0. Ratings: the mean of one rating would reveal that rating."""


MAX_SETTINGS = 100
"""Maximum number of settings of one kind for one unit. Every check reads the settings of all units above."""


@strawberry.type(
    description="A threshold of a check, or a rule for ratings, that applies in the subtree of a unit (疑点阈值)."
)
class Threshold(Node, prefix="thr"):
    kind: ThresholdKind = strawberry.field(description="What the threshold limits (项目).")
    value: float | None = strawberry.field(
        description="The value, in the unit `measure`. Null cancels the unit's own setting, and the setting of the"
        " unit above applies (取消本级设置)."
    )
    valid_from: datetime = strawberry.field(
        description="The threshold applies to what the server receives from this time on (生效时间)."
    )
    set_at: datetime = strawberry.field(description="When the threshold was set.")
    note: str | None = strawberry.field(description="Reason for the setting (理由).", default=None)
    path: strawberry.Private[str]
    unit_id: strawberry.Private[str | None] = None
    set_by_id: strawberry.Private[str | None] = None
    sent_sha256: strawberry.Private[str | None] = None
    set_by_capacity: strawberry.Private[Capacity | None] = None
    """None for a default of the product, and for thresholds that are older than this field."""

    @strawberry.field(description="Unit of the value (计量单位).")
    def measure(self) -> Measure:
        return MEASURES[self.kind]

    @strawberry.field(description="The unit in whose subtree the threshold applies. Null for a default of the product.")
    async def unit(self, info: Info) -> Unit | None:
        return await info.context.load.one(Unit, self.unit_id)

    @strawberry.field(
        description="The person who set the threshold. Null for a default of the product, or if the viewer must not"
        " know the person."
    )
    async def set_by(self, info: Info) -> User | None:
        return await load_named(info, self.set_by_id, self.set_by_capacity or UNKNOWN_OPEN)


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
"""The thresholds that a new installation stores for the whole tree of units.

Once stored they are ordinary data. A later change of this constant does not change what is stored.
"""


@dataclass(frozen=True)
class ThresholdLimits:
    """The values of the thresholds that apply to one office at one time."""

    values: Mapping[ThresholdKind, float]

    def of(self, kind: ThresholdKind) -> float:
        """Return the value of the threshold. If there is no threshold, return a value that no figure violates."""
        return self.values.get(kind, math.inf if kind is not ThresholdKind.PICTURE_BITS else -1)


def applicable_thresholds(thresholds: Iterable[Threshold], path: str, at: datetime) -> dict[ThresholdKind, Threshold]:
    """Return the threshold of each kind that applies at the unit at `path` to what is received at `at`."""
    latest: dict[tuple[ThresholdKind, str], Threshold] = {}
    for threshold in sorted(thresholds, key=lambda threshold: (threshold.valid_from, threshold.set_at, threshold.id)):
        if path.startswith(threshold.path) and threshold.valid_from <= at:
            latest[threshold.kind, threshold.path] = threshold
    nearest: dict[ThresholdKind, Threshold] = {}
    for (kind, _), threshold in sorted(latest.items(), key=lambda item: len(item[0][1])):
        if threshold.value is not None:
            nearest[kind] = threshold
    return nearest


def limits_of(thresholds: Iterable[Threshold], path: str, at: datetime) -> ThresholdLimits:
    found = applicable_thresholds(thresholds, path, at)
    return ThresholdLimits({kind: threshold.value for kind, threshold in found.items() if threshold.value is not None})


def check_threshold(kind: ThresholdKind, value: float | None, note: str | None) -> None:
    """Raise `Refusal(BAD_INPUT)` if the value is out of range or the note is too long."""
    least, most = MIN_VALUES.get(MEASURES[kind], 0), MAX_VALUES[MEASURES[kind]]
    if value is not None and not (math.isfinite(value) and least <= value <= most):
        raise Refusal(
            RefusalCode.BAD_INPUT, f"A threshold of {kind.value} is between {least:g} and {most:g}.", field="value"
        )
    check_length(note, MAX_NOTE, "note")


PERMITS: tuple[Row, ...] = (
    ("Query", EXAMINERS, "thresholds"),
    ("Mutation", OFFICERS, "setThreshold"),
    ("ThresholdPayload", SEEN, "threshold"),
    ("Thresholds", SEEN, "applying settings"),
    ("Threshold", SEEN, "id kind value validFrom setAt note measure unit setBy"),
)
