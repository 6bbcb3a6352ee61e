"""Convert latitude and longitude between the datums WGS-84, GCJ-02 and BD-09.

The shift of GCJ-02 is computed with the published series (on the Krasovsky 1940 ellipsoid).
The inverse of the series has no closed form, so the inverse is found by iteration.
"""

import math
from collections.abc import Callable

from schema.geography.china_outline import BD09_FADE_METRES, GCJ02_FADE_METRES, shift_share

Place = tuple[float, float]
"""Latitude and longitude in degrees."""

_A = 6378245.0
_EE = 0.00669342162296594323
_NEAR_ENOUGH = 1e-9
"""Degrees, about a tenth of a millimetre. The iteration stops when the error is smaller."""
_MAX_STEPS = 40
_X_PI = math.pi * 3000.0 / 180.0


def _shift(latitude: float, longitude: float) -> Place:
    x, y = longitude - 105.0, latitude - 35.0
    root = 0.2 * math.sqrt(abs(x))
    waves = (20.0 * math.sin(6.0 * x * math.pi) + 20.0 * math.sin(2.0 * x * math.pi)) * 2.0 / 3.0
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + root + waves
    north += (20.0 * math.sin(y * math.pi) + 40.0 * math.sin(y / 3.0 * math.pi)) * 2.0 / 3.0
    north += (160.0 * math.sin(y / 12.0 * math.pi) + 320.0 * math.sin(y * math.pi / 30.0)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.5 * root + waves
    east += (20.0 * math.sin(x * math.pi) + 40.0 * math.sin(x / 3.0 * math.pi)) * 2.0 / 3.0
    east += (150.0 * math.sin(x / 12.0 * math.pi) + 300.0 * math.sin(x / 30.0 * math.pi)) * 2.0 / 3.0
    radians = latitude / 180.0 * math.pi
    magic = 1 - _EE * math.sin(radians) ** 2
    meridian = _A * (1 - _EE) / (magic * math.sqrt(magic))
    parallel = _A / math.sqrt(magic) * math.cos(radians)
    return north * 180.0 / (meridian * math.pi), east * 180.0 / (parallel * math.pi)


def wgs84_to_gcj02(latitude: float, longitude: float) -> Place:
    """Apply the published shift inside China, a part of the shift on a strip around China, and no shift elsewhere."""
    share = shift_share(latitude, longitude, GCJ02_FADE_METRES)
    if share == 0:
        return latitude, longitude
    north, east = _shift(latitude, longitude)
    return latitude + share * north, longitude + share * east


def gcj02_to_wgs84(latitude: float, longitude: float) -> Place:
    """Invert `wgs84_to_gcj02`. The inverse exists at every place."""
    return _invert(wgs84_to_gcj02, latitude, longitude)


def wgs84_to_bd09(latitude: float, longitude: float) -> Place:
    """Apply the shift of GCJ-02 and then Baidu's own shift. Like GCJ-02, Baidu does not shift places abroad."""
    share = shift_share(latitude, longitude, BD09_FADE_METRES)
    if share == 0:
        return latitude, longitude
    gcj02 = wgs84_to_gcj02(latitude, longitude)
    bd09 = gcj02_to_bd09(*gcj02)
    return gcj02[0] + share * (bd09[0] - gcj02[0]), gcj02[1] + share * (bd09[1] - gcj02[1])


def bd09_to_wgs84(latitude: float, longitude: float) -> Place:
    """Invert `wgs84_to_bd09`. The inverse exists at every place."""
    return _invert(wgs84_to_bd09, latitude, longitude)


def gcj02_to_bd09(latitude: float, longitude: float) -> Place:
    """Apply Baidu's own shift, for places in China."""
    radius = math.hypot(longitude, latitude) + 0.00002 * math.sin(latitude * _X_PI)
    angle = math.atan2(latitude, longitude) + 0.000003 * math.cos(longitude * _X_PI)
    return radius * math.sin(angle) + 0.006, radius * math.cos(angle) + 0.0065


def bd09_to_gcj02(latitude: float, longitude: float) -> Place:
    """Invert `gcj02_to_bd09`, for places in China."""
    return _invert(gcj02_to_bd09, latitude, longitude)


def _invert(shift: Callable[[float, float], Place], latitude: float, longitude: float) -> Place:
    """Return the place that `shift` moves to the given place. The error is less than a centimetre.

    The shifts of two places differ by less than half the distance between the places, also on the strip around China.
    So each step at least halves the error, and exactly one such place exists.
    """
    place = latitude, longitude
    for _ in range(_MAX_STEPS):
        shifted = shift(*place)
        north, east = latitude - shifted[0], longitude - shifted[1]
        place = place[0] + north, place[1] + east
        if abs(north) + abs(east) < _NEAR_ENOUGH:
            break
    return place
