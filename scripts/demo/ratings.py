"""Make the demo's ratings: the monitors of one county rate its departments for the last two full months."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from schema.access.viewers import Role
from schema.appraisal.rating_drafts import RatingDraft
from schema.core.times import BEIJING, to_millis
from schema.organisation.monitoring_points import MonitoringPoint
from scripts.demo.people import People
from scripts.demo.randomness import Chance

RATED = {"JT": 82, "GS": 88, "SJ": 74, "HB": 58}
"""Approximate scores of departments, by the letters of their codes."""
MONTHS = 2
GRADES = ("优", "良", "一般", "较差", "差")


@dataclass(frozen=True)
class Ballot:
    """The ratings that one monitor submits at once."""

    rater: str
    at: datetime
    drafts: tuple[RatingDraft, ...]


def fill_in(
    chance: Chance, now: datetime, county: str, people: People, points: Sequence[MonitoringPoint]
) -> list[Ballot]:
    """Make ballots by month, earliest first; the first monitor supersedes one rating."""
    own = {id: point.code for point in points for id in point.monitor_ids}
    raters = people.of(Role.MONITOR, county)
    made = []
    for month in _months(now):
        for rater in raters:
            point = own[str(people.users[rater].id)]
            stream = chance.stream(f"{month}/{rater}")
            drafts = [
                _draft(stream, month, point, f"{county}-{letters}", about)
                for letters, about in RATED.items()
                if stream.happens(0.75)
            ]
            if rater == raters[0]:
                drafts.append(_draft(stream, month, point, f"{county}-HB", 70))
            if drafts:
                made.append(Ballot(rater, _moment(stream, month), tuple(drafts)))
    return made


def _draft(chance: Chance, month: date, point: str, unit: str, about: int) -> RatingDraft:
    graded = chance.happens(0.4)
    return RatingDraft(
        id=chance.id("rat", datetime(month.year, month.month, 1, tzinfo=UTC)),
        monitoring_point=point,
        unit=unit,
        month=month,
        score=None if graded else min(100, max(0, about + chance.between(-15, 12))),
        grade=GRADES[min(4, max(0, (95 - about) // 15 + chance.between(0, 1)))] if graded else None,
    )


def _moment(chance: Chance, month: date) -> datetime:
    """Return an evening near the end of the month."""
    evening = datetime(month.year, month.month, chance.between(20, 28), 19, tzinfo=BEIJING)
    return to_millis(evening + timedelta(minutes=chance.between(0, 120)))


def _months(now: datetime) -> list[date]:
    """Return the first days of the last full months before `now`, earliest first."""
    first = now.astimezone(BEIJING).date().replace(day=1)
    months: list[date] = []
    for _ in range(MONTHS):
        first = (first - timedelta(days=1)).replace(day=1)
        months.insert(0, first)
    return months
