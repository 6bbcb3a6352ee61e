"""Places: a position always carries its datum, and is kept in WGS-84 with the original beside it (坐标).

Reading a position out of a photo is left to `storage`; a distance on the ground to MongoDB's index.
"""

import enum
import math
from datetime import datetime

import strawberry

from schema import datums
from schema.refusals import Refusal, RefusalCode
from schema.times import to_millis


@strawberry.enum(description="The datum that coordinates are in (坐标系).")
class Datum(enum.Enum):
    WGS84 = strawberry.enum_value("WGS84", description="GPS and EXIF.")
    GCJ02 = strawberry.enum_value("GCJ02", description="火星坐标: AMap, Tencent and Apple maps in China.")
    BD09 = strawberry.enum_value("BD09", description="百度坐标.")


@strawberry.enum(description="Where a position came from (定位来源).")
class PositionSource(enum.Enum):
    GPS = "GPS"
    NETWORK = "NETWORK"
    FUSED = "FUSED"
    MANUAL = "MANUAL"
    EXIF = "EXIF"
    XMP = "XMP"
    QUICKTIME = strawberry.enum_value("QUICKTIME", description="Tags of an MP4, MOV or 3GP file.")


@strawberry.enum(description="Why a position is kept as sent but never used.")
class PositionProblem(enum.Enum):
    OUT_OF_RANGE = strawberry.enum_value(
        "OUT_OF_RANGE", description="Beyond 90 degrees of latitude or 180 of longitude."
    )
    NULL_ISLAND = strawberry.enum_value(
        "NULL_ISLAND", description="Exactly 0, 0: what devices say when they don't know."
    )


@strawberry.input(description="A position as the device gives it (坐标).")
class GeoPointInput:
    latitude: float = strawberry.field(description="Degrees, north positive, in `datum`.")
    longitude: float = strawberry.field(description="Degrees, east positive, in `datum`.")
    datum: Datum = strawberry.field(description="The datum of the two figures above.", default=Datum.WGS84)
    accuracy_metres: float | None = strawberry.field(description="Radius of 68 % confidence, metres.", default=None)
    altitude_metres: float | None = strawberry.field(description="Metres above sea level.", default=None)
    source: PositionSource | None = strawberry.field(description="How it was found.", default=None)
    is_mock: bool = strawberry.field(description="The system said that an app had set it.", default=False)
    fixed_at: datetime | None = strawberry.field(description="When the fix was taken.", default=None)


@strawberry.type(description="A position in WGS-84, with what was sent beside it (坐标).")
class GeoPoint:
    latitude: float | None = strawberry.field(description="Degrees, WGS-84; null where `problem` says why.")
    longitude: float | None = strawberry.field(description="Degrees, WGS-84; null where `problem` says why.")
    original_latitude: float = strawberry.field(description="Degrees as sent, in `originalDatum`.")
    original_longitude: float = strawberry.field(description="Degrees as sent, in `originalDatum`.")
    original_datum: Datum = strawberry.field(description="The datum it was sent in.", default=Datum.WGS84)
    accuracy_metres: float | None = strawberry.field(description="Radius of 68 % confidence, metres.", default=None)
    altitude_metres: float | None = strawberry.field(description="Metres above sea level.", default=None)
    source: PositionSource | None = strawberry.field(description="How it was found.", default=None)
    is_mock: bool = strawberry.field(description="The system said that an app had set it.", default=False)
    fixed_at: datetime | None = strawberry.field(description="When the fix was taken.", default=None)
    problem: PositionProblem | None = strawberry.field(description="Why it is kept but never used.", default=None)


@strawberry.input(description="A circle on the ground.")
class NearInput:
    latitude: float = strawberry.field(description="Degrees, WGS-84.")
    longitude: float = strawberry.field(description="Degrees, WGS-84.")
    radius_metres: float = strawberry.field(description="Metres, up to 200,000.")


def locate(sent: GeoPointInput, *, field: str | None = None) -> GeoPoint:
    """The position to store: WGS-84 where it can be used, the original always.

    Raises `Refusal(BAD_INPUT)` only for what is no number at all: a false position is evidence too, and is kept.
    """
    figures = (sent.latitude, sent.longitude, sent.accuracy_metres or 0.0, sent.altitude_metres or 0.0)
    if not all(math.isfinite(figure) for figure in figures):
        raise Refusal(RefusalCode.BAD_INPUT, "A position is made of finite numbers.", field=field)
    problem = _problem(sent.latitude, sent.longitude)
    canonical = (None, None) if problem else _canonical(sent.latitude, sent.longitude, sent.datum)
    return GeoPoint(
        latitude=canonical[0],
        longitude=canonical[1],
        original_latitude=sent.latitude,
        original_longitude=sent.longitude,
        original_datum=sent.datum,
        accuracy_metres=sent.accuracy_metres,
        altitude_metres=sent.altitude_metres,
        source=sent.source,
        is_mock=sent.is_mock,
        fixed_at=to_millis(sent.fixed_at) if sent.fixed_at else None,
        problem=problem,
    )


def checked_near(near: NearInput) -> NearInput:
    """Raises `Refusal(BAD_INPUT)` for a circle that is not on the ground."""
    fits = abs(near.latitude) <= 90 and abs(near.longitude) <= 180 and 0 < near.radius_metres <= 200_000
    if not fits:
        raise Refusal(RefusalCode.BAD_INPUT, "A circle lies on the globe and is at most 200 km wide.", field="near")
    return near


def _problem(latitude: float, longitude: float) -> PositionProblem | None:
    if abs(latitude) > 90 or abs(longitude) > 180:
        return PositionProblem.OUT_OF_RANGE
    if latitude == 0 and longitude == 0:
        return PositionProblem.NULL_ISLAND
    return None


def _canonical(latitude: float, longitude: float, datum: Datum) -> tuple[float, float]:
    if datum is Datum.WGS84:
        return latitude, longitude
    if datum is Datum.BD09:
        latitude, longitude = datums.bd09_to_gcj02(latitude, longitude)
    latitude, longitude = datums.gcj02_to_wgs84(latitude, longitude)
    # Seven decimals are a centimetre; more would pretend.
    return round(latitude, 7), round(longitude, 7)
