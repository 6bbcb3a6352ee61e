"""Express values in Chinese for a pack's report: enum values, times in Beijing time, positions.

The Chinese term of an enum value is taken from the description of the value in the SDL.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from graphql import GraphQLEnumType, GraphQLSchema

from schema.core.times import BEIJING

_CHINESE = re.compile(r"[\u4e00-\u9fff][\u4e00-\u9fff、]*")
# Terms for enum values whose descriptions have no Chinese term.
OTHERS = {
    "PHOTO": "照片",
    "VIDEO": "视频",
    "SOUND": "录音",
    "DOCUMENT": "文件",
    "OPENED": "立案",
    "MOVED": "办理",
    "LINKED": "并入记录",
    "UNLINKED": "移出记录",
    "ASSIGNED": "交办",
    "HAND_OVER_ACCEPTED": "签收",
    "HANDED_ON": "转办",
    "FINISHED": "办结交办",
    "WITHDRAWN": "撤回交办",
    "NOTICE_ISSUED": "下达督办",
    "NOTICE_REPLIED": "单位回复整改",
    "NOTICE_RETURNED": "退回整改",
    "NOTICE_VERIFIED": "核查销号",
    "NOTICE_WITHDRAWN": "撤回督办",
    "PLACED": "已归属",
    "UNPLACED": "待归属",
    "SIZE_MISMATCH": "大小不符",
    "DIGEST_MISMATCH": "摘要不符",
    "GPS": "卫星",
    "NETWORK": "网络",
    "FUSED": "综合",
    "MANUAL": "手工",
}


class Words:
    """The Chinese terms for the enum values of a schema."""

    def __init__(self, core: GraphQLSchema) -> None:
        self._core = core

    def of(self, enum: str, value: str | None) -> str:
        """Return the Chinese term of an enum value, or the value itself if it has no term. Return a dash for None."""
        if value is None:
            return "—"
        type_ = self._core.type_map.get(enum)
        enum_value = type_.values.get(value) if isinstance(type_, GraphQLEnumType) else None
        term = _CHINESE.search(enum_value.description or "") if enum_value else None
        return term[0] if term else OTHERS.get(value, value)


def instant(text: str | None) -> str:
    """Return a time in the form `2026-10-26 13:36:05`, in Beijing time. Return a dash for None."""
    return f"{datetime.fromisoformat(text).astimezone(BEIJING):%Y-%m-%d %H:%M:%S}" if text else "—"


def offset(minutes: int) -> str:
    """Return an offset from UTC in the form `+08:00`."""
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}"


def size(count: int) -> str:
    return f"{count:,} 字节"


def person(user: Mapping[str, Any] | None) -> str:
    return user["displayName"] if user else "（不显示）"


def unit(data: Mapping[str, Any] | None) -> str:
    """Return the names of the units above the unit, then the unit's own name."""
    if not data:
        return "—"
    return " › ".join([*(ancestor["name"] for ancestor in data.get("ancestors", ())), data["name"]])


def position(point: Mapping[str, Any] | None) -> str:
    """Return a position in WGS-84 degrees, with its accuracy and original datum, and whether it is a mock position.

    If the position is unusable, return the values as they were sent.
    """
    if not point:
        return "—"
    if point["latitude"] is None:
        return f"不可用（原值 {point['originalLatitude']}, {point['originalLongitude']}）"
    text = f"{point['latitude']:.6f}, {point['longitude']:.6f}（WGS-84）"
    if point["accuracyMetres"] is not None:
        text += f" ±{point['accuracyMetres']:.0f} 米"
    if point["originalDatum"] != "WGS84":
        text += f"，原为 {point['originalDatum']}"
    return text + ("，模拟定位" if point["isMock"] else "")
