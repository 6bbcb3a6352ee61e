"""Define ratings (满意度测评): the score that a monitoring point gives a unit for a month.

A later rating supersedes an earlier one; a rating is never edited. Raters fear the rated unit, so a rating shows others
only its month: even its id does not reveal when it was made. Viewers who must not know the rater see a rating only once
its month is published.
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


@strawberry.type(description="Proof that the server received a rating. Every retry gets the same (回执).")
class RatingReceipt:
    rating_id: strawberry.ID = strawberry.field(description="The rating.")
    content_sha256: str = strawberry.field(description="Digest of the canonical JSON (RFC 8785) of what was sent.")
    received_at: datetime = strawberry.field(description="When the server first received it.")


@strawberry.type(description="The score that a monitoring point gave a unit for a month (满意度测评).")
class Rating(Node, prefix="rat"):
    month: date = strawberry.field(description="First day of the month, Beijing time (测评月份).")
    score: int = strawberry.field(
        description="0 to 100. For a grade, the score that it stood for in that month (分值)."
    )
    grade: str | None = strawberry.field(description="Code of the grade, if the rater gave one (等级).", default=None)
    reason: str | None = strawberry.field(description="Reason in the rater's own words (理由).", default=None)
    is_late: bool = strawberry.field(description="Whether it was received after the end of its month (补报).")
    revision: int = strawberry.field(
        description="1 for the point's first rating of that unit and month. Each later one supersedes the previous one (修订)."
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
        """Return the receipt. The rater gets the same one with every retry."""
        return RatingReceipt(rating_id=self.id, content_sha256=self.sent_sha256, received_at=self.arrived_at)

    @strawberry.field(description="The unit rated (被测评单位).")
    async def unit(self, info: Info) -> Unit | None:
        return await info.context.load.one(Unit, self.unit_id)

    @strawberry.field(
        description="Whether it counts. False once a later rating of the same point, unit and month supersedes it (有效)."
    )
    def counts(self, info: Info) -> bool:
        """For viewers who must not know the rater, it counts until the later rating is published."""
        viewer = info.context.viewer
        if self.superseded_from is None or (viewer and viewer.knows(Owner(self.rater_id, self.office_path))):
            return self.is_latest
        return info.context.now < self.superseded_from

    @strawberry.field(
        description="The rater. Only for the rater and viewers with clearance (监测员).", extensions=[IdentityOnly()]
    )
    async def rater(self, info: Info) -> User | None:
        return await info.context.load.one(User, self.rater_id)

    @strawberry.field(
        description="The monitoring point. It identifies the rater if the point has only one monitor. Only for the rater"
        " and viewers with clearance (监测点).",
        extensions=[IdentityOnly()],
    )
    async def monitoring_point(self, info: Info) -> MonitoringPoint | None:
        return await info.context.load.one(MonitoringPoint, self.monitoring_point_id)

    @strawberry.field(
        description="When the server received it. It can identify the phone that sent something then. Only for the rater"
        " and viewers with clearance (接收时间).",
        extensions=[IdentityOnly()],
    )
    async def received_at(self) -> datetime | None:
        return self.arrived_at

    @strawberry.field(
        description="Receipt. Only for the rater and viewers with clearance (回执).", extensions=[IdentityOnly()]
    )
    async def receipt(self) -> RatingReceipt | None:
        return self.make_receipt()


@dataclass(frozen=True)
class MonthlyRatings:
    """Mean and number of the published ratings that count for a unit and month."""

    mean: float
    count: int

    def score(self, minimum: float) -> float | None:
        """Return the mean to two decimals. None if fewer than `minimum` count, so that no single rater is exposed."""
        return round(self.mean, 2) if self.count >= minimum else None


def check_month(month: date, *, field: str) -> None:
    """Raise `Refusal(BAD_INPUT)` if the date is not the first day of a month from 1970 to 9998."""
    if month.day != 1 or not 1970 <= month.year <= 9998:
        raise Refusal(RefusalCode.BAD_INPUT, "Give the first day of the month.", field=field)


def month_start(month: date) -> datetime:
    """Return the first instant of a month in Beijing."""
    return datetime(month.year, month.month, 1, tzinfo=BEIJING).astimezone(UTC)


def month_end(month: date) -> datetime:
    """Return the first instant of the next month in Beijing."""
    return month_start(date(month.year + month.month // 12, month.month % 12 + 1, 1))


def closes_at(month: date, limits: ThresholdLimits) -> datetime | None:
    """Return when ratings for the month close. None if no limit is set."""
    days = limits.values.get(ThresholdKind.RATING_LATE)
    return None if days is None else month_end(month) + timedelta(days=days)


def published_at(month: date, now: datetime, closes: datetime | None) -> datetime:
    """Return when a rating received at `now` becomes visible to viewers who must not know the rater.

    The ratings of a month appear together when it ends, and the late ones together when the month closes. If each
    appeared on its own, its time would reveal whose phone was online.
    """
    end = month_end(month)
    if now < end:
        return end
    return closes or now


Scores = Mapping[str, int]
"""Scores of an office's grades in a month, by grade code."""

PERMITS: tuple[Row, ...] = (
    ("Query", only(Role.MONITOR, Role.SUPERVISOR, Role.OFFICER), "ratings"),
    ("Mutation", only(Role.MONITOR), "submitRatings"),
    ("Rating", SEEN, "id month score grade reason isLate revision unit counts"),
    ("Rating", CLEARED, "rater monitoringPoint receivedAt receipt"),
    ("RatingReceipt", SEEN, "ratingId contentSha256 receivedAt"),
    *connection("Rating"),
)
