"""Compose the messages of flags (疑点说明) in English and Chinese.

A message is made from the flag's code and figures alone. It never names a device, a person or a place. It may name an
editing program, which comes from a closed list.
"""

import enum

import strawberry

from schema.checks.thresholds import Measure


@strawberry.enum(description="What is suspicious about an observation (疑点类别). Codes are never renamed or reused.")
class FlagCode(enum.Enum):
    PHOTO_POSITION_FAR = strawberry.enum_value(
        "PHOTO_POSITION_FAR",
        description="照片坐标与填报坐标不符: the position in the file is far from the reported position.",
    )
    PHOTO_TIME_FAR = strawberry.enum_value(
        "PHOTO_TIME_FAR", description="照片时间与填报时间不符: the time in the file is far from the reported time."
    )
    FAR_FROM_UNIT = strawberry.enum_value(
        "FAR_FROM_UNIT", description="距被巡查单位过远: the observation was recorded far from the inspected unit."
    )
    OUTSIDE_COUNTY = strawberry.enum_value(
        "OUTSIDE_COUNTY", description="超出辖区范围: the observation was recorded outside the unit's county."
    )
    IMPOSSIBLE_SPEED = strawberry.enum_value(
        "IMPOSSIBLE_SPEED", description="移动速度异常: the device moved impossibly fast between two observations."
    )
    MOCK_POSITION = strawberry.enum_value("MOCK_POSITION", description="模拟定位: an app faked the position.")
    CLOCK_SKEW = strawberry.enum_value("CLOCK_SKEW", description="设备时钟不准: the device's clock was wrong.")
    CAPTURED_LONG_BEFORE = strawberry.enum_value(
        "CAPTURED_LONG_BEFORE", description="影像早于巡查: a medium is much older than the observation."
    )
    EDITED = strawberry.enum_value("EDITED", description="经软件编辑: a picture editing program wrote the file.")
    SAME_PICTURE = strawberry.enum_value(
        "SAME_PICTURE", description="文件重复: the file is identical to a file of another observation."
    )
    SIMILAR_PICTURE = strawberry.enum_value(
        "SIMILAR_PICTURE", description="图像相似: the picture is nearly the same as a picture of another observation."
    )


_C = FlagCode
_MESSAGES: dict[FlagCode, tuple[str, str]] = {
    _C.PHOTO_POSITION_FAR: (
        "The position in the file is {value} from the claimed one (threshold {limit}).",
        "照片自带坐标与填报坐标相距{value}（阈值{limit}）。",
    ),
    _C.PHOTO_TIME_FAR: (
        "The time in the file differs by {value} from the claimed one (threshold {limit}).",
        "照片自带时间与填报时间相差{value}（阈值{limit}）。",
    ),
    _C.FAR_FROM_UNIT: (
        "The observation was recorded {value} from the unit (threshold {limit}).",
        "记录地点距被巡查单位{value}（阈值{limit}）。",
    ),
    _C.OUTSIDE_COUNTY: (
        "The observation was recorded {value} outside the county (threshold {limit}).",
        "记录地点在辖区边界外{value}（阈值{limit}）。",
    ),
    _C.IMPOSSIBLE_SPEED: (
        "The device moved at {value} since its previous observation (threshold {limit}).",
        "与同一设备上一条记录相比，移动速度达{value}（阈值{limit}）。",
    ),
    _C.MOCK_POSITION: ("The system reported that an app had set the position.", "系统报告该坐标由应用程序模拟。"),
    _C.CLOCK_SKEW: (
        "The device's clock was {value} {pace} (threshold {limit}).",
        "设备时钟{pace}{value}（阈值{limit}）。",
    ),
    _C.CAPTURED_LONG_BEFORE: (
        "The medium is {value} older than the observation (threshold {limit}).",
        "影像拍摄时间早于巡查时间{value}（阈值{limit}）。",
    ),
    _C.EDITED: ("The file was written by the picture editor {name}.", "该文件由修图软件 {name} 写出。"),
    _C.SAME_PICTURE: (
        "The file is identical to a file of another observation.",
        "该文件与另一条记录的文件完全相同。",
    ),
    _C.SIMILAR_PICTURE: (
        "The picture is nearly the same as one of another observation: it differs in {value} of 256 (threshold {limit}).",
        "该图像与另一条记录的图像几乎相同：256 位中相差{value}（阈值{limit}）。",
    ),
}


def flag_message(
    code: FlagCode,
    measure: Measure,
    value: float,
    threshold: float,
    name: str | None = None,
    *,
    is_least: bool = False,
) -> tuple[str, str]:
    """Return the message in English and in Chinese. `is_least` says that the figure is at least `value`."""
    english, chinese = _MESSAGES[code]
    (value_en, value_zh), (limit_en, limit_zh) = _format_figure(measure, abs(value)), _format_figure(measure, threshold)
    fast, least, least_zh = value > 0, "at least " if is_least else "", "至少" if is_least else ""
    return (
        english.format(value=least + value_en, limit=limit_en, name=name, pace="fast" if fast else "slow"),
        chinese.format(value=value_zh, limit=limit_zh, name=name, pace=least_zh + ("快" if fast else "慢")),
    )


def _format_figure(measure: Measure, figure: float) -> tuple[str, str]:
    match measure:
        case Measure.METRES if figure >= 10_000:
            return f"{figure / 1000:.0f} km", f" {figure / 1000:.0f} 公里"
        case Measure.METRES:
            return f"{figure:.0f} m", f" {figure:.0f} 米"
        case Measure.SECONDS:
            return _format_duration(figure)
        case Measure.KILOMETRES_PER_HOUR:
            return f"{figure:.0f} km/h", f"每小时 {figure:.0f} 公里"
        case Measure.BITS:
            return f"{figure:.0f} bits", f" {figure:.0f} 位"
        case Measure.TIMES | Measure.DAYS | Measure.RATINGS:  # no flag is measured in days or ratings
            return f"{figure:.0f}", f" {figure:.0f} 次"


def _format_duration(seconds: float) -> tuple[str, str]:
    """Return a duration as text, in the largest unit in which the number is at least 2."""
    for size, word, word_zh in ((86_400, "days", "天"), (3_600, "hours", "小时"), (60, "minutes", "分钟")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {word}", f" {seconds / size:.0f} {word_zh}"
    return f"{seconds:.0f} seconds", f" {seconds:.0f} 秒"
