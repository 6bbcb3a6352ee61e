"""Datums: WGS-84, GCJ-02 and BD-09, converted both ways; pure arithmetic on degrees of latitude and longitude.

What a position without a usable datum means is left to `places.py`; where there is a shift, to `china.py`. The GCJ-02
series is the published one (on the Krasovsky 1940 ellipsoid); its inverse is found by iteration, for no closed form
exists.
"""

import math
from collections.abc import Callable

from schema.geography.china_outline import BD09_FADE_METRES, GCJ02_FADE_METRES, share

Place = tuple[float, float]
"""Latitude, longitude."""

_A = 6378245.0
_EE = 0.00669342162296594323
_NEAR_ENOUGH = 1e-9
"""Degrees: a tenth of a millimetre."""
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
    """The published shift where `china.share` is 1, none where it is 0, and a share of it on the strip between."""
    applied = share(latitude, longitude, GCJ02_FADE_METRES)
    if applied == 0:
        return latitude, longitude
    north, east = _shift(latitude, longitude)
    return latitude + applied * north, longitude + applied * east


def gcj02_to_wgs84(latitude: float, longitude: float) -> Place:
    """Inverse of `wgs84_to_gcj02`, everywhere."""
    return _undone(wgs84_to_gcj02, latitude, longitude)


def wgs84_to_bd09(latitude: float, longitude: float) -> Place:
    """As `wgs84_to_gcj02`: Baidu, too, leaves places abroad where they are."""
    applied = share(latitude, longitude, BD09_FADE_METRES)
    if applied == 0:
        return latitude, longitude
    found = wgs84_to_gcj02(latitude, longitude)
    shifted = gcj02_to_bd09(*found)
    return found[0] + applied * (shifted[0] - found[0]), found[1] + applied * (shifted[1] - found[1])


def bd09_to_wgs84(latitude: float, longitude: float) -> Place:
    """Inverse of `wgs84_to_bd09`, everywhere."""
    return _undone(wgs84_to_bd09, latitude, longitude)


def gcj02_to_bd09(latitude: float, longitude: float) -> Place:
    """Baidu's own shift, for places in China."""
    radius = math.hypot(longitude, latitude) + 0.00002 * math.sin(latitude * _X_PI)
    angle = math.atan2(latitude, longitude) + 0.000003 * math.cos(longitude * _X_PI)
    return radius * math.sin(angle) + 0.006, radius * math.cos(angle) + 0.0065


def bd09_to_gcj02(latitude: float, longitude: float) -> Place:
    """Inverse of `gcj02_to_bd09`, for places in China."""
    return _undone(gcj02_to_bd09, latitude, longitude)


def _undone(shifted: Callable[[float, float], Place], latitude: float, longitude: float) -> Place:
    """The one place that is shifted onto this one, to better than a centimetre.

    Shifts of neighbours differ by less than half of their distance, on the strip around China too: each step at least
    halves what is missing, and there is exactly one such place.
    """
    found = latitude, longitude
    for _ in range(_MAX_STEPS):
        there = shifted(*found)
        north, east = latitude - there[0], longitude - there[1]
        found = found[0] + north, found[1] + east
        if abs(north) + abs(east) < _NEAR_ENOUGH:
            break
    return found
