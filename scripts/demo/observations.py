"""Make the demo's sightings, of every method and category: author, text, place, time and photos."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import strawberry

from schema.access.viewers import Role
from schema.core.times import BEIJING
from schema.fieldwork.drafts import ComplainantInput, ObservationDraft
from schema.fieldwork.observations import Category, Method, Severity
from schema.geography.datums import wgs84_to_gcj02
from schema.geography.positions import Datum, GeoPointInput, PositionSource
from schema.organisation.monitoring_points import MonitoringPoint
from schema.organisation.units import Unit
from scripts.demo.people import People
from scripts.demo.randomness import Chance
from scripts.demo.region import Region

PHOTOS = (1, 2, 0, 3, 1, 1)
"""Photos of each sighting, in turn: 160 for 120 sightings."""
BY_INSPECTORS = (Method.PATROL, Method.TRACKED_SERVICE, Method.SIMULATED_SERVICE, Method.SPECIAL_CHECK)
AT_COUNTERS = (Category.ABSENCE, Category.GAMES, Category.STOCK_TRADING, Category.CHATTING, Category.OTHER)
WITH_APPLICANTS = (Category.INACTION, Category.SLOW, Category.RUDE, Category.GOOD_PRACTICE, Category.BROKEN_PROMISE)


@cache
def phrases() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(__file__).parent / "phrases.json").read_text(encoding="utf-8"))
    return found


@dataclass(frozen=True)
class Shot:
    """A photo to draw: degrees are WGS-84, the time is the phone's."""

    id: strawberry.ID
    seed: int
    taken_at: datetime
    latitude: float
    longitude: float
    captions: tuple[str, ...]
    is_upright: bool


@dataclass(frozen=True)
class Correction:
    id: strawberry.ID
    reason: str
    text: str
    at: datetime


@dataclass(frozen=True)
class Sighting:
    """`draft` is the phone's draft without its media, whose bytes are drawn later."""

    draft: ObservationDraft
    author: str
    received_at: datetime
    shots: tuple[Shot, ...]
    correction: Correction | None = None


class Witnesses:
    """Makes one sighting after another; each draws from its own random stream."""

    def __init__(self, chance: Chance, region: Region, people: People, points: Sequence[MonitoringPoint]) -> None:
        self._chance, self._region, self._people = chance, region, people
        self._points = {
            county: [p for p in points if p.unit_id == region.units[county].id] for county in region.counties
        }
        self._monitors = {name.id: name.user_name for name in people.users.values()}
        self.made: list[Sighting] = []

    def see(
        self,
        county: str,
        unit: Unit,
        category: Category,
        at: datetime,
        *,
        claimed: str | None = None,
        assignment: tuple[strawberry.ID, str] | None = None,
    ) -> Sighting:
        """`claimed` is the text that the phone names instead of the unit; `assignment` is its id and its assignee."""
        number = len(self.made)
        chance = self._chance.stream(number)
        method = chance.pick(BY_INSPECTORS) if assignment else _method(category, chance)
        point = chance.pick(self._points[county]) if method is Method.MONITOR_REPORT else None
        author = assignment[1] if assignment else self._author(county, method, point, chance)
        text, severity = _words(category, method, unit, at, chance)
        id = chance.id("obs", at)
        draft = ObservationDraft(
            id=id,
            method=method,
            category=category,
            severity=severity,
            text=text,
            captured_at=at.astimezone(BEIJING),
            position=_position(unit, number, at, chance),
            unit=claimed or unit.code,
            monitoring_point=point.code if point else None,
            assignment_id=assignment[0] if assignment else None,
            staff_seen=_filled(chance.pick(phrases()["staff"]), chance) if chance.happens(0.25) else None,
            device_sequence=number % 50 + 1,
            complainant=_complainant(number, chance) if method is Method.COMPLAINT else None,
        )
        # A phone without network sends at night, from its owner's home.
        received_at = at + timedelta(minutes=chance.between(120, 700) if chance.happens(0.15) else chance.between(0, 3))
        shots = tuple(
            _shot(unit, at + timedelta(seconds=7 * each), chance) for each in range(PHOTOS[number % len(PHOTOS)])
        )
        correction = _correction(text, received_at, chance) if number % 13 == 5 else None
        self.made.append(Sighting(draft, author, received_at, shots, correction))
        return self.made[-1]

    def _author(self, county: str, method: Method, point: MonitoringPoint | None, chance: Chance) -> str:
        if point:
            return self._monitors[point.monitor_ids[0]]  # type: ignore[index]
        role = Role.OFFICER if method is Method.COMPLAINT else Role.INSPECTOR
        return chance.pick(self._people.of(role, county))


def _method(category: Category, chance: Chance) -> Method:
    if category in AT_COUNTERS:
        return chance.pick((Method.PATROL, Method.PATROL, Method.SPECIAL_CHECK, Method.COMPLAINT))
    if category in WITH_APPLICANTS:
        return chance.pick((Method.TRACKED_SERVICE, Method.SIMULATED_SERVICE, Method.MONITOR_REPORT, Method.COMPLAINT))
    return chance.pick((Method.MONITOR_REPORT, Method.MONITOR_REPORT, Method.COMPLAINT, Method.SPECIAL_CHECK))


def _words(category: Category, method: Method, unit: Unit, at: datetime, chance: Chance) -> tuple[str, Severity]:
    told = phrases()["sightings"][category.value]
    lead, rest = chance.pick(phrases()["leads"][method.value]), chance.pick(told["texts"])
    local = at.astimezone(BEIJING)
    hour = f"上午{local.hour}" if local.hour < 13 else f"下午{local.hour - 12}"
    time = f"{local.month}月{local.day}日{hour}时{local.minute:02d}分"
    letters = next(part for part in unit.code.split("-") if part in phrases()["items"])
    item = chance.pick(phrases()["items"][letters])
    text = _filled(lead + rest, chance, where=unit.name, time=time, item=item)
    return text, Severity[chance.pick(told["severity"])]


def _filled(words: str, chance: Chance, **given: str) -> str:
    return words.format(
        minutes=chance.between(8, 45),
        people=chance.between(3, 14),
        days=chance.between(2, 20),
        yuan=chance.between(2, 40) * 50,
        desk=chance.between(1, 30),
        **given,
    )


def _position(unit: Unit, number: int, at: datetime, chance: Chance) -> GeoPointInput | None:
    """Return a position within about 50 metres of the counter; a few use GCJ-02, are mocked or are (0, 0)."""
    place = unit.position
    if place is None or place.latitude is None or place.longitude is None:
        return None
    latitude, longitude = round(chance.around(place.latitude, 5e-4), 6), round(chance.around(place.longitude, 5e-4), 6)
    datum, source = Datum.WGS84, chance.pick((PositionSource.GPS, PositionSource.FUSED))
    if number % 10 == 3:
        latitude, longitude = (round(figure, 6) for figure in wgs84_to_gcj02(latitude, longitude))
        datum, source = Datum.GCJ02, PositionSource.NETWORK
    elif number == 40:
        latitude, longitude = 0.0, 0.0
    return GeoPointInput(
        latitude=latitude,
        longitude=longitude,
        datum=datum,
        accuracy_metres=float(chance.between(4, 60)),
        source=source,
        is_mock=number == 71,
        fixed_at=at - timedelta(seconds=chance.between(0, 20)),
    )


def _shot(unit: Unit, at: datetime, chance: Chance) -> Shot:
    place = unit.position
    if place is None or place.latitude is None or place.longitude is None:
        raise ValueError(f"{unit.code} has no place to photograph.")
    return Shot(
        id=chance.id("med", at),
        seed=chance.between(0, 2**31),
        taken_at=at.astimezone(BEIJING).replace(microsecond=0),
        latitude=round(chance.around(place.latitude, 4e-4), 6),
        longitude=round(chance.around(place.longitude, 4e-4), 6),
        captions=(unit.code, f"{at.astimezone(BEIJING):%Y-%m-%d %H:%M}"),
        is_upright=chance.happens(0.3),
    )


def _complainant(number: int, chance: Chance) -> ComplainantInput:
    if number % 3 == 0:
        return ComplainantInput(is_anonymous=True)
    # Numbers of this form are given to nobody.
    return ComplainantInput(
        name=chance.pick(phrases()["complainants"]), contact=f"000-0000-{chance.between(0, 9999):04d}"
    )


def _correction(text: str, received_at: datetime, chance: Chance) -> Correction:
    at = received_at + timedelta(minutes=chance.between(20, 90))
    reason, ending = chance.pick(phrases()["revisions"])
    return Correction(chance.id("rev", at), reason, text + _filled(ending, chance), at)
