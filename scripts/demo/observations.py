"""Plan the demo's observations, of every method and category: author, text, place, time and photos."""

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
from scripts.demo.randomness import SeededRandom
from scripts.demo.region import Region

PHOTOS = (1, 2, 0, 3, 1, 1)
"""Numbers of photos of the observations, taken in turn. So 120 observations have 160 photos."""
BY_INSPECTORS = (Method.PATROL, Method.TRACKED_SERVICE, Method.SIMULATED_SERVICE, Method.SPECIAL_CHECK)
AT_COUNTERS = (Category.ABSENCE, Category.GAMES, Category.STOCK_TRADING, Category.CHATTING, Category.OTHER)
WITH_APPLICANTS = (Category.INACTION, Category.SLOW, Category.RUDE, Category.GOOD_PRACTICE, Category.BROKEN_PROMISE)


@cache
def phrases() -> dict[str, Any]:
    """Return the texts to choose from."""
    texts: dict[str, Any] = json.loads((Path(__file__).parent / "phrases.json").read_text(encoding="utf-8"))
    return texts


@dataclass(frozen=True)
class Shot:
    """A photo to draw. The position is in WGS-84 degrees, and the time is by the phone's clock."""

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
class PlannedObservation:
    """An observation to submit. `draft` has no media yet, because the photos are drawn later."""

    draft: ObservationDraft
    author: str
    received_at: datetime
    shots: tuple[Shot, ...]
    correction: Correction | None = None


class ObservationPlan:
    """The planned observations, in the order in which they were added. Each observation has its own random stream."""

    def __init__(self, random: SeededRandom, region: Region, people: People, points: Sequence[MonitoringPoint]) -> None:
        self._random, self._region, self._people = random, region, people
        self._points = {
            county: [p for p in points if p.unit_id == region.units[county].id] for county in region.counties
        }
        self._user_names = {user.id: user.user_name for user in people.users.values()}
        self.observations: list[PlannedObservation] = []

    def add(
        self,
        county: str,
        unit: Unit,
        category: Category,
        at: datetime,
        *,
        claimed: str | None = None,
        assignment: tuple[strawberry.ID, str] | None = None,
    ) -> PlannedObservation:
        """Plan one observation.

        `claimed` is a unit code. If it is given, the draft names this unit instead of the true one. `assignment` is the
        assignment's id and its assignee's user name.
        """
        number = len(self.observations)
        random = self._random.stream(number)
        method = random.pick(BY_INSPECTORS) if assignment else _method(category, random)
        point = random.pick(self._points[county]) if method is Method.MONITOR_REPORT else None
        author = assignment[1] if assignment else self._author(county, method, point, random)
        text, severity = _words(category, method, unit, at, random)
        id = random.id("obs", at)
        draft = ObservationDraft(
            id=id,
            method=method,
            category=category,
            severity=severity,
            text=text,
            captured_at=at.astimezone(BEIJING),
            position=_position(unit, number, at, random),
            unit=claimed or unit.code,
            monitoring_point=point.code if point else None,
            assignment_id=assignment[0] if assignment else None,
            staff_seen=_fill_in(random.pick(phrases()["staff"]), random) if random.happens(0.25) else None,
            device_sequence=number % 50 + 1,
            complainant=_complainant(number, random) if method is Method.COMPLAINT else None,
        )
        # A phone without network sends at night, from its owner's home.
        received_at = at + timedelta(minutes=random.between(120, 700) if random.happens(0.15) else random.between(0, 3))
        shots = tuple(
            _shot(unit, at + timedelta(seconds=7 * place), random) for place in range(PHOTOS[number % len(PHOTOS)])
        )
        correction = _correction(text, received_at, random) if number % 13 == 5 else None
        self.observations.append(PlannedObservation(draft, author, received_at, shots, correction))
        return self.observations[-1]

    def _author(self, county: str, method: Method, point: MonitoringPoint | None, random: SeededRandom) -> str:
        if point:
            return self._user_names[point.monitor_ids[0]]  # type: ignore[index]
        role = Role.OFFICER if method is Method.COMPLAINT else Role.INSPECTOR
        return random.pick(self._people.of(role, county))


def _method(category: Category, random: SeededRandom) -> Method:
    if category in AT_COUNTERS:
        return random.pick((Method.PATROL, Method.PATROL, Method.SPECIAL_CHECK, Method.COMPLAINT))
    if category in WITH_APPLICANTS:
        return random.pick((Method.TRACKED_SERVICE, Method.SIMULATED_SERVICE, Method.MONITOR_REPORT, Method.COMPLAINT))
    return random.pick((Method.MONITOR_REPORT, Method.MONITOR_REPORT, Method.COMPLAINT, Method.SPECIAL_CHECK))


def _words(category: Category, method: Method, unit: Unit, at: datetime, random: SeededRandom) -> tuple[str, Severity]:
    """Return the text and the severity of an observation."""
    choices = phrases()["sightings"][category.value]
    lead, rest = random.pick(phrases()["leads"][method.value]), random.pick(choices["texts"])
    local = at.astimezone(BEIJING)
    hour = f"上午{local.hour}" if local.hour < 13 else f"下午{local.hour - 12}"
    time = f"{local.month}月{local.day}日{hour}时{local.minute:02d}分"
    letters = next(part for part in unit.code.split("-") if part in phrases()["items"])
    item = random.pick(phrases()["items"][letters])
    text = _fill_in(lead + rest, random, where=unit.name, time=time, item=item)
    return text, Severity[random.pick(choices["severity"])]


def _fill_in(template: str, random: SeededRandom, **values: str) -> str:
    """Fill the placeholders of a text with `values`, or with random numbers."""
    return template.format(
        minutes=random.between(8, 45),
        people=random.between(3, 14),
        days=random.between(2, 20),
        yuan=random.between(2, 40) * 50,
        desk=random.between(1, 30),
        **values,
    )


def _position(unit: Unit, number: int, at: datetime, random: SeededRandom) -> GeoPointInput | None:
    """Return a position within about 50 metres of the window (service counter).

    A few positions are in GCJ-02, one is mocked, and one is (0, 0).
    """
    place = unit.position
    if place is None or place.latitude is None or place.longitude is None:
        return None
    latitude, longitude = round(random.around(place.latitude, 5e-4), 6), round(random.around(place.longitude, 5e-4), 6)
    datum, source = Datum.WGS84, random.pick((PositionSource.GPS, PositionSource.FUSED))
    if number % 10 == 3:
        latitude, longitude = (round(degrees, 6) for degrees in wgs84_to_gcj02(latitude, longitude))
        datum, source = Datum.GCJ02, PositionSource.NETWORK
    elif number == 40:
        latitude, longitude = 0.0, 0.0
    return GeoPointInput(
        latitude=latitude,
        longitude=longitude,
        datum=datum,
        accuracy_metres=float(random.between(4, 60)),
        source=source,
        is_mock=number == 71,
        fixed_at=at - timedelta(seconds=random.between(0, 20)),
    )


def _shot(unit: Unit, at: datetime, random: SeededRandom) -> Shot:
    place = unit.position
    if place is None or place.latitude is None or place.longitude is None:
        raise ValueError(f"{unit.code} has no place to photograph.")
    return Shot(
        id=random.id("med", at),
        seed=random.between(0, 2**31),
        taken_at=at.astimezone(BEIJING).replace(microsecond=0),
        latitude=round(random.around(place.latitude, 4e-4), 6),
        longitude=round(random.around(place.longitude, 4e-4), 6),
        captions=(unit.code, f"{at.astimezone(BEIJING):%Y-%m-%d %H:%M}"),
        is_upright=random.happens(0.3),
    )


def _complainant(number: int, random: SeededRandom) -> ComplainantInput:
    if number % 3 == 0:
        return ComplainantInput(is_anonymous=True)
    # No real telephone number has this form.
    return ComplainantInput(
        name=random.pick(phrases()["complainants"]), contact=f"000-0000-{random.between(0, 9999):04d}"
    )


def _correction(text: str, received_at: datetime, random: SeededRandom) -> Correction:
    at = received_at + timedelta(minutes=random.between(20, 90))
    reason, ending = random.pick(phrases()["revisions"])
    return Correction(random.id("rev", at), reason, text + _fill_in(ending, random), at)
