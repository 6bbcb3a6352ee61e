"""Measure distances on the ground. Programs without the GraphQL schema measure too, so this imports nothing of it."""

import math

EARTH_RADIUS_METRES = 6_378_100


def metres_between(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return the distance in metres between two places, each given as (latitude, longitude) in WGS-84.

    The distance is measured on a sphere. It differs from the distance on the ellipsoid by at most 0.7 %. MongoDB uses
    the same sphere for `near`, so both agree.
    """
    north, south = math.radians(one[0]), math.radians(other[0])
    across = math.sin((south - north) / 2) ** 2
    along = math.cos(north) * math.cos(south) * math.sin(math.radians(other[1] - one[1]) / 2) ** 2
    return 2 * EARTH_RADIUS_METRES * math.asin(math.sqrt(min(1.0, across + along)))
