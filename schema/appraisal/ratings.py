"""Ratings (满意度测评): what a monitoring point makes of a unit in a month; a later one supersedes, and none is edited.

Raters fear the rated: but for its month nothing of a rating tells others when it was made, not even its id, and those who may
not know the rater find it from the hour on at which its month is published. The drafts are in `rating_drafts.py`.
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


@strawberry.type(description="Proof that the server had a rating; the same for every replay (回执).")
class RatingReceipt:
    rating_id: strawberry.ID = strawberry.field(description="The rating.")
    content_sha256: str = strawberry.field(description="Digest of the canonical JSON (RFC 8785) of what was sent.")
    received_at: datetime = strawberry.field(description="When the server first had it.")


@strawberry.type(description="A monitoring point's score of a unit for a month (满意度测评).")
class Rating(Node):
    month: date = strawberry.field(description="First day of the month, in Beijing (测评月份).")
    score: int = strawberry.field(description="0 to 100; of a grade, the score that it stood for in that month (分值).")
    grade: str | None = strawberry.field(description="Code of the grade, where one was given (等级).", default=None)
    reason: str | None = strawberry.field(description="Why, in the rater's words (理由).", default=None)
    is_late: bool = strawberry.field(description="Received after its month had ended (补报).")
    revision: int = strawberry.field(
        description="1 for the point's first of that unit and month; each later one supersedes the one before (修订)."
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

    def proof(self) -> RatingReceipt:
        """The receipt, as its rater gets it with every replay."""
        return RatingReceipt(rating_id=self.id, content_sha256=self.sent_sha256, received_at=self.arrived_at)

    @strawberry.field(description="The unit rated (被测评单位).")
    async def unit(self, info: Info) -> Unit | None:
        return await info.context.load.one(Unit, self.unit_id)

    @strawberry.field(
        description="Whether it counts; false once a later one of the same point, unit and month has superseded it (有效)."
    )
    def counts(self, info: Info) -> bool:
        """To those who may not know the rater, from the hour on at which the later one is published."""
        viewer = info.context.viewer
        if self.superseded_from is None or (viewer and viewer.knows(Owner(self.rater_id, self.office_path))):
            return self.is_latest
        return info.context.now < self.superseded_from

    @strawberry.field(description="Who rated; for the rater and the cleared (监测员).", extensions=[IdentityOnly()])
    async def rater(self, info: Info) -> User | None:
        return await info.context.load.one(User, self.rater_id)

    @strawberry.field(
        description="The point that it came from, which tells the rater where it has one monitor; for the rater and the"
        " cleared (监测点).",
        extensions=[IdentityOnly()],
    )
    async def monitoring_point(self, info: Info) -> MonitoringPoint | None:
        return await info.context.load.one(MonitoringPoint, self.monitoring_point_id)

    @strawberry.field(
        description="When the server had it, which tells whose phone sent something then; for the rater and the cleared"
        " (接收时间).",
        extensions=[IdentityOnly()],
    )
    async def received_at(self) -> datetime | None:
        return self.arrived_at

    @strawberry.field(
        description="Proof of receipt; for the rater and the cleared (回执).", extensions=[IdentityOnly()]
    )
    async def receipt(self) -> RatingReceipt | None:
        return self.proof()


@dataclass(frozen=True)
class MonthlyRatings:
    """What the counting ratings of a unit and month come to, as far as they are published."""

    mean: float
    count: int

    def score(self, minimum: float) -> float | None:
        """The mean to two decimals; None while fewer than `minimum` count, so that no rater stands alone."""
        return round(self.mean, 2) if self.count >= minimum else None


def check_month(month: date, *, field: str) -> None:
    """Raises `Refusal(BAD_INPUT)` for a day that names no month of a calendar that anybody keeps."""
    if month.day != 1 or not 1970 <= month.year <= 9998:
        raise Refusal(RefusalCode.BAD_INPUT, "A month is named by its first day.", field=field)


def month_start(month: date) -> datetime:
    """The first instant of a month in Beijing."""
    return datetime(month.year, month.month, 1, tzinfo=BEIJING).astimezone(UTC)


def month_end(month: date) -> datetime:
    """The first instant of the month after."""
    return month_start(date(month.year + month.month // 12, month.month % 12 + 1, 1))


def closes_at(month: date, limits: ThresholdLimits) -> datetime | None:
    """Until when ratings of the month are taken; None where nobody has set a limit."""
    days = limits.values.get(ThresholdKind.RATING_LATE)
    return None if days is None else month_end(month) + timedelta(days=days)


def published_at(month: date, now: datetime, closes: datetime | None) -> datetime:
    """When those who may not know the rater find a rating that was received at `now`.

    Those of a month come up together when it ends, the late ones together when no more are taken: one by one, each would
    tell whose phone was on the line.
    """
    end = month_end(month)
    if now < end:
        return end
    return closes or now


Scores = Mapping[str, int]
"""Grades of an office in a month: score by code."""

PERMITS: tuple[Row, ...] = (
    ("Query", only(Role.MONITOR, Role.SUPERVISOR, Role.OFFICER), "ratings"),
    ("Mutation", only(Role.MONITOR), "submitRatings"),
    ("Rating", SEEN, "id month score grade reason isLate revision unit counts"),
    ("Rating", CLEARED, "rater monitoringPoint receivedAt receipt"),
    ("RatingReceipt", SEEN, "ratingId contentSha256 receivedAt"),
    *connection("Rating"),
)
