"""Places: a position always carries its datum, and is kept in WGS-84 with the original beside it (坐标).

Reading a position out of a photo is left to `storage`; a distance on the ground to MongoDB's index.
"""

import enum
import math
from dataclasses import replace
from datetime import datetime

import strawberry

from schema.core.refusals import Refusal, RefusalCode
from schema.core.times import to_millis
from schema.geography import datums
from schema.geography.china_outline import in_china

EARTH_RADIUS_METRES = 6_378_100
NULL_ISLAND_METRES = 3_000
"""Around 0, 0, where no land is for 500 km. A datum conversion of 0, 0 that thinks it in China ends 2.6 km from there."""
LOWEST_METRES, HIGHEST_METRES = -500, 20_000
"""Where a phone can be: from the shore of the Dead Sea to any airliner."""


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
        "NULL_ISLAND",
        description="Within 3 km of 0, 0: what devices say when they don't know, and what converters make of that.",
    )
    SWAPPED_AXES = strawberry.enum_value(
        "SWAPPED_AXES",
        description="It does not lie in China, and would if latitude and longitude were exchanged (经纬度颠倒).",
    )
    NO_FIX = strawberry.enum_value(
        "NO_FIX", description="Its accuracy is negative: so iOS says that there is no fix behind it (无效定位)."
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


@strawberry.type(description="A position in the datum that was asked for, with what was sent beside it (坐标).")
class GeoPoint:
    latitude: float | None = strawberry.field(description="Degrees in `datum`; null where `problem` says why.")
    longitude: float | None = strawberry.field(description="Degrees in `datum`; null where `problem` says why.")
    original_latitude: float = strawberry.field(description="Degrees as sent, in `originalDatum`.")
    original_longitude: float = strawberry.field(description="Degrees as sent, in `originalDatum`.")
    original_datum: Datum = strawberry.field(description="The datum it was sent in.", default=Datum.WGS84)
    accuracy_metres: float | None = strawberry.field(description="Radius of 68 % confidence, metres.", default=None)
    altitude_metres: float | None = strawberry.field(
        description="Metres above sea level; null where what was sent is no altitude of a phone.", default=None
    )
    source: PositionSource | None = strawberry.field(description="How it was found.", default=None)
    is_mock: bool = strawberry.field(description="The system said that an app had set it.", default=False)
    fixed_at: datetime | None = strawberry.field(description="When the fix was taken.", default=None)
    original_altitude_metres: float | None = strawberry.field(description="Altitude as sent, metres.", default=None)
    datum: Datum = strawberry.field(description="The datum of `latitude` and `longitude`.", default=Datum.WGS84)
    problem: PositionProblem | None = strawberry.field(description="Why it is kept but never used.", default=None)

    @property
    def place(self) -> tuple[float, float] | None:
        """Latitude and longitude in `datum`; None where they are not to be used."""
        return None if self.latitude is None or self.longitude is None else (self.latitude, self.longitude)

    def seen_in(self, datum: Datum) -> "GeoPoint":
        """The same position for a map in another datum; where it was sent in that datum, exactly as it was sent."""
        if datum is self.datum:
            return self
        if self.place is None:
            return replace(self, datum=datum)
        found = self.original_latitude, self.original_longitude
        if datum is not self.original_datum:
            found = _converted(self.place, self.datum, datum)
        return replace(self, latitude=found[0], longitude=found[1], datum=datum)


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
    problem = _problem(sent)
    canonical = (None, None) if problem else _converted((sent.latitude, sent.longitude), sent.datum, Datum.WGS84)
    altitude = sent.altitude_metres
    return GeoPoint(
        latitude=canonical[0],
        longitude=canonical[1],
        original_latitude=sent.latitude,
        original_longitude=sent.longitude,
        original_datum=sent.datum,
        accuracy_metres=sent.accuracy_metres,
        altitude_metres=altitude if altitude is None or LOWEST_METRES <= altitude <= HIGHEST_METRES else None,
        original_altitude_metres=altitude,
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


def metres_between(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Metres along the ground between two (latitude, longitude) in WGS-84, on a sphere: within 0.7 % of the ellipsoid.

    The sphere is the one that MongoDB measures `near` on, so that both agree.
    """
    north, south = math.radians(one[0]), math.radians(other[0])
    across = math.sin((south - north) / 2) ** 2
    along = math.cos(north) * math.cos(south) * math.sin(math.radians(other[1] - one[1]) / 2) ** 2
    return 2 * EARTH_RADIUS_METRES * math.asin(math.sqrt(min(1.0, across + along)))


def _problem(sent: GeoPointInput) -> PositionProblem | None:
    latitude, longitude = sent.latitude, sent.longitude
    if abs(longitude) <= 90 and not in_china(latitude, longitude) and in_china(longitude, latitude):
        return PositionProblem.SWAPPED_AXES
    if abs(latitude) > 90 or abs(longitude) > 180:
        return PositionProblem.OUT_OF_RANGE
    if metres_between((latitude, longitude), (0, 0)) <= NULL_ISLAND_METRES:
        return PositionProblem.NULL_ISLAND
    return PositionProblem.NO_FIX if (sent.accuracy_metres or 0) < 0 else None


_TO_WGS84 = {Datum.GCJ02: datums.gcj02_to_wgs84, Datum.BD09: datums.bd09_to_wgs84}
_FROM_WGS84 = {Datum.GCJ02: datums.wgs84_to_gcj02, Datum.BD09: datums.wgs84_to_bd09}


def _converted(place: datums.Place, of: Datum, to: Datum) -> datums.Place:
    if of is to:
        return place
    if of is not Datum.WGS84:
        place = _TO_WGS84[of](*place)
    if to is not Datum.WGS84:
        place = _FROM_WGS84[to](*place)
    # Seven decimals are a centimetre; more would pretend.
    return round(place[0], 7), round(place[1], 7)
