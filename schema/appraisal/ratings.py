"""Define ratings (满意度测评): the score that a monitoring point gives a unit for a month.

A rating is never edited. Instead, a later rating of the same monitoring point, unit and month replaces it.

Raters fear the rated unit. So other viewers learn only the month of a rating, and even the id does not reveal when the
rating was made. Viewers who must not know the rater see a rating only after the ratings of its month are published.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import strawberry

from schema.access.guards import IdentityOnly
from schema.access.permissions import CLEARED, SEEN, Row, connection, only
from schema.access.viewers import Owner, Role
from schema.accounts.users import User
from schema.checks.thresholds import ThresholdKind, ThresholdLimits
from schema.core.context import Info
from schema.core.nodes import Node
from schema.core.refusals import Refusal, RefusalCode
from schema.core.times import BEIJING
from schema.organisation.monitoring_points import MonitoringPoint
from schema.organisation.units import Unit


@strawberry.type(description="Proof that the server received a rating. Every retry gets the same receipt (回执).")
class RatingReceipt:
    rating_id: strawberry.ID = strawberry.field(description="Id of the rating.")
    content_sha256: str = strawberry.field(
        description="SHA-256, in hexadecimal, of the canonical JSON (RFC 8785) of what was sent."
    )
    received_at: datetime = strawberry.field(description="When the server first received the rating.")


@strawberry.type(description="The score that a monitoring point gave a unit for a month (满意度测评).")
class Rating(Node, prefix="rat"):
    month: date = strawberry.field(description="First day of the rated month, in Beijing time (测评月份).")
    score: int = strawberry.field(
        description="The score, 0 to 100 (分值). If the rater gave a grade, the score of that grade in that month."
    )
    grade: str | None = strawberry.field(
        description="Code of the grade, if the rater gave a grade instead of a score (等级).", default=None
    )
    reason: str | None = strawberry.field(description="Reason in the rater's own words (理由).", default=None)
    is_late: bool = strawberry.field(
        description="Whether the server received the rating after the end of the rated month (补报)."
    )
    revision: int = strawberry.field(
        description="1 for a monitoring point's first rating of a unit in a month (修订). Each later rating replaces the"
        " previous rating, and its revision is one higher."
    )
    arrived_at: strawberry.Private[datetime]
    published_at: strawberry.Private[datetime]
    unit_id: strawberry.Private[str]
    unit_path: strawberry.Private[str]
    monitoring_point_id: strawberry.Private[str]
    rater_id: strawberry.Private[str]
    office_path: strawberry.Private[str]
    sent_sha256: strawberry.Private[str]
    is_latest: strawberry.Private[bool] = True
    superseded_from: strawberry.Private[datetime | None] = None

    async def owner(self, info: Info) -> Owner:
        return Owner(self.rater_id, self.office_path)

    def make_receipt(self) -> RatingReceipt:
        """Return the receipt. The rater gets the same receipt with every retry."""
        return RatingReceipt(rating_id=self.id, content_sha256=self.sent_sha256, received_at=self.arrived_at)

    @strawberry.field(description="The rated unit (被测评单位).")
    async def unit(self, info: Info) -> Unit | None:
        return await info.context.load.one(Unit, self.unit_id)

    @strawberry.field(
        description="Whether the rating counts towards the unit's score (有效). False after a later rating of the same"
        " monitoring point, unit and month has replaced it."
    )
    def counts(self, info: Info) -> bool:
        """Return whether the rating counts for this viewer. The latest rating counts.

        For viewers who must not know the rater, a replaced rating still counts until the later rating is published.
        """
        viewer = info.context.viewer
        if self.superseded_from is None or (viewer and viewer.knows(Owner(self.rater_id, self.office_path))):
            return self.is_latest
        return info.context.now < self.superseded_from

    @strawberry.field(
        description="The rater (监测员). Only the rater and viewers with clearance see it, all others get null.",
        extensions=[IdentityOnly()],
    )
    async def rater(self, info: Info) -> User | None:
        return await info.context.load.one(User, self.rater_id)

    @strawberry.field(
        description="The monitoring point (监测点). It identifies the rater if the point has only one monitor. So only the"
        " rater and viewers with clearance see it, all others get null.",
        extensions=[IdentityOnly()],
    )
    async def monitoring_point(self, info: Info) -> MonitoringPoint | None:
        return await info.context.load.one(MonitoringPoint, self.monitoring_point_id)

    @strawberry.field(
        description="When the server received the rating (接收时间). This time can identify the phone that sent the"
        " rating. So only the rater and viewers with clearance see it, all others get null.",
        extensions=[IdentityOnly()],
    )
    async def received_at(self) -> datetime | None:
        return self.arrived_at

    @strawberry.field(
        description="The receipt (回执). Only the rater and viewers with clearance see it, all others get null.",
        extensions=[IdentityOnly()],
    )
    async def receipt(self) -> RatingReceipt | None:
        return self.make_receipt()


@dataclass(frozen=True)
class MonthlyRatings:
    """Mean score of the published ratings that count for one unit in one month, and the number of their raters."""

    mean: float
    raters: int

    def score(self, minimum: float) -> float | None:
        """Return the mean, rounded to two decimals.

        Return None if the ratings are of fewer than `minimum` people, so that no single rater is exposed. A monitor of
        several points counts once.
        """
        return round(self.mean, 2) if self.raters >= minimum else None


def check_month(month: date, *, field: str) -> None:
    """Raise `Refusal(BAD_INPUT)` if the date is not the first day of a month from 1970 to 9998."""
    if month.day != 1 or not 1970 <= month.year <= 9998:
        raise Refusal(RefusalCode.BAD_INPUT, "Give the first day of the month.", field=field)


def month_start(month: date) -> datetime:
    """Return when a month begins in Beijing."""
    return datetime(month.year, month.month, 1, tzinfo=BEIJING).astimezone(UTC)


def month_end(month: date) -> datetime:
    """Return when a month ends in Beijing: the first instant of the next month."""
    return month_start(date(month.year + month.month // 12, month.month % 12 + 1, 1))


def closes_at(month: date, limits: ThresholdLimits) -> datetime | None:
    """Return the time from which ratings for a month are refused, or None if no limit is set."""
    days = limits.values.get(ThresholdKind.RATING_LATE)
    return None if days is None else month_end(month) + timedelta(days=days)


def published_at(month: date, now: datetime, closes: datetime | None) -> datetime:
    """Return when a rating received at `now` becomes visible to viewers who must not know the rater.

    Ratings received during the month all appear when the month ends. Late ratings all appear at `closes`, when ratings
    for the month close. If each rating appeared on its own, that time would reveal whose phone was online.
    Without `closes`, a late rating appears at once.
    """
    end = month_end(month)
    if now < end:
        return end
    return closes or now


Scores = Mapping[str, int]
"""The score of each grade that an office uses in a month, by the code of the grade."""

PERMITS: tuple[Row, ...] = (
    ("Query", only(Role.MONITOR, Role.SUPERVISOR, Role.OFFICER), "ratings"),
    ("Mutation", only(Role.MONITOR), "submitRatings"),
    ("Rating", SEEN, "id month score grade reason isLate revision unit counts"),
    ("Rating", CLEARED, "rater monitoringPoint receivedAt receipt"),
    ("RatingReceipt", SEEN, "ratingId contentSha256 receivedAt"),
    *connection("Rating"),
)
