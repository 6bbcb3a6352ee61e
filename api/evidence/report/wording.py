"""Word values in Chinese for a pack's report: enum values by their own descriptions, instants in Beijing time, positions."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from graphql import GraphQLEnumType, GraphQLSchema

from schema.core.times import BEIJING

_CHINESE = re.compile(r"[\u4e00-\u9fff][\u4e00-\u9fff、]*")
# Values whose descriptions have no Chinese term.
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
    """The words for the values of a schema's enums."""

    def __init__(self, core: GraphQLSchema) -> None:
        self._core = core

    def of(self, enum: str, value: str | None) -> str:
        """Return the Chinese term of an enum value, the value itself if it has no term, or a dash for None."""
        if value is None:
            return "—"
        type_ = self._core.type_map.get(enum)
        enum_value = type_.values.get(value) if isinstance(type_, GraphQLEnumType) else None
        term = _CHINESE.search(enum_value.description or "") if enum_value else None
        return term[0] if term else OTHERS.get(value, value)


def instant(text: str | None) -> str:
    """Return e.g. `2026-10-26 13:36:05`, Beijing time, or a dash for None."""
    return f"{datetime.fromisoformat(text).astimezone(BEIJING):%Y-%m-%d %H:%M:%S}" if text else "—"


def offset(minutes: int) -> str:
    """Return e.g. `+08:00`."""
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}"


def size(count: int) -> str:
    return f"{count:,} 字节"


def person(user: Mapping[str, Any] | None) -> str:
    return user["displayName"] if user else "（不显示）"


def unit(data: Mapping[str, Any] | None) -> str:
    """Return the unit's name after the names of the units above it."""
    if not data:
        return "—"
    return " › ".join([*(ancestor["name"] for ancestor in data.get("ancestors", ())), data["name"]])


def position(point: Mapping[str, Any] | None) -> str:
    """Return degrees in WGS-84 with accuracy, original datum and doubts; the original values if they are unusable."""
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
