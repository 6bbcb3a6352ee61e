"""Datums: WGS-84, GCJ-02 and BD-09, converted both ways; pure arithmetic in degrees.

What a position without a usable datum means is left to `places.py`. The GCJ-02 series is the published one (on the
Krasovsky 1940 ellipsoid); its inverse is found by iteration, for no closed form exists.
"""

import math

_A = 6378245.0
_EE = 0.00669342162296594323
_X_PI = math.pi * 3000.0 / 180.0


def in_china(latitude: float, longitude: float) -> bool:
    """Whether the GCJ-02 shift applies; a bounding box, as the map SDKs themselves use."""
    return 0.8293 <= latitude <= 55.8271 and 72.004 <= longitude <= 137.8347


def _shift(latitude: float, longitude: float) -> tuple[float, float]:
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


def wgs84_to_gcj02(latitude: float, longitude: float) -> tuple[float, float]:
    if not in_china(latitude, longitude):
        return latitude, longitude
    north, east = _shift(latitude, longitude)
    return latitude + north, longitude + east


def gcj02_to_wgs84(latitude: float, longitude: float) -> tuple[float, float]:
    """Inverse of `wgs84_to_gcj02` to better than a centimetre."""
    if not in_china(latitude, longitude):
        return latitude, longitude
    found = latitude, longitude
    for _ in range(8):
        north, east = _shift(*found)
        found = latitude - north, longitude - east
    return found


def gcj02_to_bd09(latitude: float, longitude: float) -> tuple[float, float]:
    radius = math.hypot(longitude, latitude) + 0.00002 * math.sin(latitude * _X_PI)
    angle = math.atan2(latitude, longitude) + 0.000003 * math.cos(longitude * _X_PI)
    return radius * math.sin(angle) + 0.006, radius * math.cos(angle) + 0.0065


def bd09_to_gcj02(latitude: float, longitude: float) -> tuple[float, float]:
    """Inverse of `gcj02_to_bd09` to better than a centimetre."""
    found = latitude - 0.006, longitude - 0.0065
    for _ in range(8):
        there = gcj02_to_bd09(*found)
        found = found[0] + latitude - there[0], found[1] + longitude - there[1]
    return found
