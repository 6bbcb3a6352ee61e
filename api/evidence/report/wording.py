"""The Chinese words of a pack's report: enum values by their own descriptions, instants in Beijing time, sizes, places."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from graphql import GraphQLEnumType, GraphQLSchema

from schema.core.times import BEIJING

_CHINESE = re.compile(r"[\u4e00-\u9fff][\u4e00-\u9fff、]*")
# Values whose descriptions hold no Chinese term.
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
        """The Chinese term of a value; the value itself where it has none, a dash where there is no value."""
        if value is None:
            return "—"
        type_ = self._core.type_map.get(enum)
        known = type_.values.get(value) if isinstance(type_, GraphQLEnumType) else None
        found = _CHINESE.search(known.description or "") if known else None
        return found[0] if found else OTHERS.get(value, value)


def instant(text: str | None) -> str:
    """`2026-10-26 13:36:05`, Beijing time; a dash for none."""
    return f"{datetime.fromisoformat(text).astimezone(BEIJING):%Y-%m-%d %H:%M:%S}" if text else "—"


def offset(minutes: int) -> str:
    """`+08:00`."""
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}"


def size(count: int) -> str:
    return f"{count:,} 字节"


def person(given: Mapping[str, Any] | None) -> str:
    return given["displayName"] if given else "（不显示）"


def unit(given: Mapping[str, Any] | None) -> str:
    """Its name after those of the units above it."""
    if not given:
        return "—"
    return " › ".join([*(each["name"] for each in given.get("ancestors", ())), given["name"]])


def position(given: Mapping[str, Any] | None) -> str:
    """Degrees in WGS-84 with accuracy and what speaks against it; what was sent where it can't be used."""
    if not given:
        return "—"
    if given["latitude"] is None:
        return f"不可用（原值 {given['originalLatitude']}, {given['originalLongitude']}）"
    told = f"{given['latitude']:.6f}, {given['longitude']:.6f}（WGS-84）"
    if given["accuracyMetres"] is not None:
        told += f" ±{given['accuracyMetres']:.0f} 米"
    if given["originalDatum"] != "WGS84":
        told += f"，原为 {given['originalDatum']}"
    return told + ("，模拟定位" if given["isMock"] else "")
