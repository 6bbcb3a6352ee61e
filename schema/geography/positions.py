"""Define positions (坐标). A position states its datum. It is stored in WGS-84, together with the original values."""

import enum
import math
from dataclasses import replace
from datetime import datetime

import strawberry

from schema.core.refusals import Refusal, RefusalCode
from schema.core.times import to_millis
from schema.geography import datums
from schema.geography.china_outline import in_china
from schema.geography.distances import metres_between

NULL_ISLAND_METRES = 3_000
"""Radius of the circle around latitude 0, longitude 0 in which a position is not used.

No land lies within 500 km of 0, 0. A conversion that treats 0, 0 as a place in China moves it by 2.6 km.
"""
LOWEST_METRES, HIGHEST_METRES = -500, 20_000
"""The range of altitudes at which a phone can be: from the shore of the Dead Sea to any airliner."""


@strawberry.enum(description="The datum of coordinates (坐标系).")
class Datum(enum.Enum):
    WGS84 = strawberry.enum_value("WGS84", description="Used by GPS and in EXIF.")
    GCJ02 = strawberry.enum_value("GCJ02", description="火星坐标: used by AMap, Tencent and Apple maps in China.")
    BD09 = strawberry.enum_value("BD09", description="百度坐标: used by Baidu maps.")


@strawberry.enum(description="The source of a position (定位来源).")
class PositionSource(enum.Enum):
    GPS = "GPS"
    NETWORK = "NETWORK"
    FUSED = "FUSED"
    MANUAL = "MANUAL"
    EXIF = "EXIF"
    XMP = "XMP"
    QUICKTIME = strawberry.enum_value("QUICKTIME", description="Tags of an MP4, MOV or 3GP file.")


@strawberry.enum(description="Why a position is stored as sent but never used.")
class PositionProblem(enum.Enum):
    OUT_OF_RANGE = strawberry.enum_value(
        "OUT_OF_RANGE", description="Beyond 90 degrees of latitude or 180 of longitude."
    )
    NULL_ISLAND = strawberry.enum_value(
        "NULL_ISLAND",
        description="Within 3 km of latitude 0, longitude 0. Devices without a position send 0, 0. A conversion"
        " between datums may move that point.",
    )
    SWAPPED_AXES = strawberry.enum_value(
        "SWAPPED_AXES",
        description="Not in China, but would be in China if latitude and longitude were exchanged (经纬度颠倒).",
    )
    NO_FIX = strawberry.enum_value(
        "NO_FIX", description="The accuracy is negative. iOS marks an invalid position in this way (无效定位)."
    )


@strawberry.input(description="A position as the device reports it (坐标).")
class GeoPointInput:
    latitude: float = strawberry.field(description="Latitude in degrees, north positive, in `datum`.")
    longitude: float = strawberry.field(description="Longitude in degrees, east positive, in `datum`.")
    datum: Datum = strawberry.field(description="The datum of `latitude` and `longitude`.", default=Datum.WGS84)
    accuracy_metres: float | None = strawberry.field(
        description="Accuracy: with 68 % confidence, the true position is within this many metres.", default=None
    )
    altitude_metres: float | None = strawberry.field(description="Altitude, in metres above sea level.", default=None)
    source: PositionSource | None = strawberry.field(description="The source of the position.", default=None)
    is_mock: bool = strawberry.field(
        description="Whether the phone's operating system reported that an app faked the position.", default=False
    )
    fixed_at: datetime | None = strawberry.field(description="When the position was measured.", default=None)


@strawberry.type(description="A position in the requested datum, together with the values as they were sent (坐标).")
class GeoPoint:
    latitude: float | None = strawberry.field(
        description="Latitude in degrees, in `datum`. Null if there is a `problem`."
    )
    longitude: float | None = strawberry.field(
        description="Longitude in degrees, in `datum`. Null if there is a `problem`."
    )
    original_latitude: float = strawberry.field(description="Latitude in degrees as sent, in `originalDatum`.")
    original_longitude: float = strawberry.field(description="Longitude in degrees as sent, in `originalDatum`.")
    original_datum: Datum = strawberry.field(
        description="The datum in which the position was sent.", default=Datum.WGS84
    )
    accuracy_metres: float | None = strawberry.field(
        description="Accuracy: with 68 % confidence, the true position is within this many metres.", default=None
    )
    altitude_metres: float | None = strawberry.field(
        description="Altitude, in metres above sea level. Null if no phone can be at the altitude that was sent.",
        default=None,
    )
    source: PositionSource | None = strawberry.field(description="The source of the position.", default=None)
    is_mock: bool = strawberry.field(
        description="Whether the phone's operating system reported that an app faked the position.", default=False
    )
    fixed_at: datetime | None = strawberry.field(description="When the position was measured.", default=None)
    original_altitude_metres: float | None = strawberry.field(description="Altitude as sent, in metres.", default=None)
    datum: Datum = strawberry.field(description="The datum of `latitude` and `longitude`.", default=Datum.WGS84)
    problem: PositionProblem | None = strawberry.field(
        description="Why the position is stored but never used. Null if it can be used.", default=None
    )

    @property
    def place(self) -> tuple[float, float] | None:
        """Latitude and longitude in `datum`. None if the position must not be used."""
        return None if self.latitude is None or self.longitude is None else (self.latitude, self.longitude)

    def to_datum(self, datum: Datum) -> "GeoPoint":
        """Return the position in `datum`.

        If the position was sent in `datum`, the result has exactly the latitude and longitude that were sent.
        """
        if datum is self.datum:
            return self
        if self.place is None:
            return replace(self, datum=datum)
        place = self.original_latitude, self.original_longitude
        if datum is not self.original_datum:
            place = _convert(self.place, self.datum, datum)
        return replace(self, latitude=place[0], longitude=place[1], datum=datum)


@strawberry.input(description="A circle on the ground, in which to search.")
class NearInput:
    latitude: float = strawberry.field(description="Latitude of the centre, in degrees (WGS-84).")
    longitude: float = strawberry.field(description="Longitude of the centre, in degrees (WGS-84).")
    radius_metres: float = strawberry.field(description="Radius in metres, up to 200,000.")


def locate(sent: GeoPointInput, *, field: str | None = None) -> GeoPoint:
    """Return the position to store: the values as sent and, if the position can be used, its place in WGS-84.

    Raise `Refusal(BAD_INPUT)` only if a number is not finite. A false position is evidence too, and is stored.
    """
    figures = (sent.latitude, sent.longitude, sent.accuracy_metres or 0.0, sent.altitude_metres or 0.0)
    if not all(math.isfinite(figure) for figure in figures):
        raise Refusal(RefusalCode.BAD_INPUT, "The numbers of a position must be finite.", field=field)
    problem = _problem(sent)
    canonical = (None, None) if problem else _convert((sent.latitude, sent.longitude), sent.datum, Datum.WGS84)
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


def validate_near(near: NearInput) -> NearInput:
    """Return `near`. Raise `Refusal(BAD_INPUT)` if its centre or radius is out of range."""
    fits = abs(near.latitude) <= 90 and abs(near.longitude) <= 180 and 0 < near.radius_metres <= 200_000
    if not fits:
        raise Refusal(
            RefusalCode.BAD_INPUT,
            "A circle needs a latitude up to 90, a longitude up to 180 and a radius up to 200 km.",
            field="near",
        )
    return near


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


def _convert(place: datums.Place, source: Datum, target: Datum) -> datums.Place:
    if source is target:
        return place
    if source is not Datum.WGS84:
        place = _TO_WGS84[source](*place)
    if target is not Datum.WGS84:
        place = _FROM_WGS84[target](*place)
    # Seven decimals are a centimetre. More would suggest an accuracy that is not there.
    return round(place[0], 7), round(place[1], 7)
