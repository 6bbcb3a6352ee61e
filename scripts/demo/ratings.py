"""Plan the demo's ratings: the monitors of one county rate its departments for the last two full months."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from schema.access.viewers import Role
from schema.appraisal.rating_drafts import RatingDraft
from schema.core.times import BEIJING, to_millis
from schema.organisation.monitoring_points import MonitoringPoint
from scripts.demo.people import People
from scripts.demo.randomness import SeededRandom

RATED = {"JT": 82, "GS": 88, "SJ": 74, "HB": 58}
"""Approximate scores of departments, by the letters of their codes."""
MONTHS = 2
GRADES = ("优", "良", "一般", "较差", "差")


@dataclass(frozen=True)
class RatingBatch:
    """The ratings that one monitor submits at once."""

    rater: str
    at: datetime
    drafts: tuple[RatingDraft, ...]


def plan_ratings(
    random: SeededRandom, now: datetime, county: str, people: People, points: Sequence[MonitoringPoint]
) -> list[RatingBatch]:
    """Plan the ratings by month, earliest first. The first monitor replaces one of the ratings."""
    points_of = {id: point.code for point in points for id in point.monitor_ids}
    raters = people.of(Role.MONITOR, county)
    batches = []
    for month in _months(now):
        for rater in raters:
            point = points_of[str(people.users[rater].id)]
            stream = random.stream(f"{month}/{rater}")
            drafts = [
                _draft(stream, month, point, f"{county}-{letters}", about)
                for letters, about in RATED.items()
                if stream.happens(0.75)
            ]
            if rater == raters[0]:
                drafts.append(_draft(stream, month, point, f"{county}-HB", 70))
            if drafts:
                batches.append(RatingBatch(rater, _moment(stream, month), tuple(drafts)))
    return batches


def _draft(random: SeededRandom, month: date, point: str, unit: str, about: int) -> RatingDraft:
    has_grade = random.happens(0.4)
    return RatingDraft(
        id=random.id("rat", datetime(month.year, month.month, 1, tzinfo=UTC)),
        monitoring_point=point,
        unit=unit,
        month=month,
        score=None if has_grade else min(100, max(0, about + random.between(-15, 12))),
        grade=GRADES[min(4, max(0, (95 - about) // 15 + random.between(0, 1)))] if has_grade else None,
    )


def _moment(random: SeededRandom, month: date) -> datetime:
    """Return a time in the evening near the end of the month."""
    evening = datetime(month.year, month.month, random.between(20, 28), 19, tzinfo=BEIJING)
    return to_millis(evening + timedelta(minutes=random.between(0, 120)))


def _months(now: datetime) -> list[date]:
    """Return the first days of the last full months before `now`, earliest first."""
    first = now.astimezone(BEIJING).date().replace(day=1)
    months: list[date] = []
    for _ in range(MONTHS):
        first = (first - timedelta(days=1)).replace(day=1)
        months.insert(0, first)
    return months
