"""Validate the rating drafts that a phone sends, and make ratings from the drafts."""

from datetime import UTC, date, datetime, time

import strawberry

from schema.access.permissions import SEEN, Row
from schema.appraisal.ratings import (
    Rating,
    RatingReceipt,
    Scores,
    check_month,
    closes_at,
    month_end,
    month_start,
    published_at,
)
from schema.checks.thresholds import ThresholdLimits
from schema.core.ids import milliseconds_of, validate_id
from schema.core.refusals import NextStep, Refusal, RefusalCode, Refused
from schema.core.texts import check_length
from schema.fieldwork.drafts import Author, Outcome
from schema.organisation.monitoring_points import MonitoringPoint
from schema.organisation.units import Unit

MAX_RATINGS = 50
MAX_REASON = 500
MAX_NAME = 100


@strawberry.input(description="A rating from a phone's outbox. It has either a score or a grade.")
class RatingDraft:
    id: strawberry.ID = strawberry.field(
        description="Id that the phone makes: rat_ and a UUIDv7. The time in the UUID is 00:00 UTC on the first day of"
        " `month`, so that the id does not reveal when the rating was made. Send the same id with every retry."
    )
    monitoring_point: str = strawberry.field(description="Id or code of one of the rater's own monitoring points.")
    unit: str = strawberry.field(description="Id, code or former code of the rated unit.")
    month: date = strawberry.field(description="First day of the rated month, in Beijing time.")
    score: int | None = strawberry.field(description="The score, 0 to 100.", default=None)
    grade: str | None = strawberry.field(
        description="Code of a grade in the catalogue. The rating gets the score that the grade has on the first day"
        " of `month`.",
        default=None,
    )
    reason: str | None = strawberry.field(
        description="Reason, up to 500 characters. Supervisors and officers read it verbatim.", default=None
    )


@strawberry.type(description="Outcome of one rating.")
class RatingResult:
    id: str | None = strawberry.field(description="The draft's id as sent. Null if the id could not be read.")
    outcome: Outcome = strawberry.field(description="Whether the draft was accepted, was a duplicate, or was refused.")
    receipt: RatingReceipt | None = strawberry.field(
        description="Receipt of an accepted or duplicate rating.", default=None
    )
    rating: Rating | None = strawberry.field(
        description="The stored rating. Null if the draft was refused.", default=None
    )
    refusal: Refused | None = strawberry.field(
        description="Reason for the refusal. Null if the rating is stored.", default=None
    )

    @classmethod
    def of(cls, rating: Rating, outcome: Outcome) -> "RatingResult":
        return cls(id=rating.id, outcome=outcome, receipt=rating.make_receipt(), rating=rating)

    @classmethod
    def refused(cls, id: str | None, refusal: Refusal) -> "RatingResult":
        return cls(id=id, outcome=Outcome.REFUSED, refusal=Refused.of(refusal))


def check_draft(draft: RatingDraft, *, field: str) -> None:
    """Check a draft without looking at stored data. Raise `Refusal` with the path of the first invalid value."""
    validate_id(draft.id, "rat", field=f"{field}.id")
    check_month(draft.month, field=f"{field}.month")
    if milliseconds_of(draft.id) != int(datetime.combine(draft.month, time(), UTC).timestamp()) * 1000:
        raise Refusal(
            RefusalCode.BAD_ID,
            "The time in a rating's id must be 00:00 UTC on the first day of its month.",
            field=f"{field}.id",
        )
    if (draft.score is None) == (draft.grade is None):
        raise Refusal(RefusalCode.BAD_INPUT, "Give either a score or a grade.", field=f"{field}.score")
    if draft.score is not None and not 0 <= draft.score <= 100:
        raise Refusal(RefusalCode.BAD_INPUT, "A score is between 0 and 100.", field=f"{field}.score")
    for name, value, most in (
        ("unit", draft.unit, MAX_NAME),
        ("monitoringPoint", draft.monitoring_point, MAX_NAME),
        ("grade", draft.grade, MAX_NAME),
        ("reason", draft.reason, MAX_REASON),
    ):
        check_length(value, most, f"{field}.{name}")


def new_rating(
    draft: RatingDraft,
    digest: str,
    author: Author,
    unit: Unit | None,
    point: MonitoringPoint | None,
    *,
    limits: ThresholdLimits,
    grades: Scores,
    now: datetime,
    field: str,
) -> Rating:
    """Return a new rating from a valid draft, without storing it.

    Raise `Refusal` if the draft is not acceptable at `now`.

    `unit` is None if the unit is unknown or outside the author's scope. `point` is None if the monitoring point is
    unknown or not the author's own. The refusal does not reveal which.
    """
    fix = NextStep.FIX_AND_RESEND
    if month_start(draft.month) > now:
        raise Refusal(RefusalCode.BAD_INPUT, "This month has not begun yet.", field=f"{field}.month")
    closes = closes_at(draft.month, limits)
    if closes is not None and now >= closes:
        raise Refusal(RefusalCode.WRONG_STATE, "Ratings for this month are closed.", field=f"{field}.month")
    if point is None:
        raise Refusal(RefusalCode.NOT_FOUND, field=f"{field}.monitoringPoint", next_step=fix)
    if unit is None:
        raise Refusal(RefusalCode.NOT_FOUND, field=f"{field}.unit", next_step=fix)
    score = draft.score if draft.grade is None else grades.get(draft.grade)
    if score is None:
        raise Refusal(
            RefusalCode.BAD_INPUT, "Your office did not have this grade in that month.", field=f"{field}.grade"
        )
    return Rating(
        id=draft.id,
        month=draft.month,
        score=score,
        grade=draft.grade,
        reason=draft.reason,
        is_late=now >= month_end(draft.month),
        revision=1,
        arrived_at=now,
        published_at=published_at(draft.month, now, closes),
        unit_id=unit.id,
        unit_path=unit.path,
        monitoring_point_id=point.id,
        rater_id=author.user_id,
        office_path=author.office_path,
        sent_sha256=digest,
    )


PERMITS: tuple[Row, ...] = (
    ("RatingResult", SEEN, "id outcome receipt rating refusal"),
    ("SubmitRatingsPayload", SEEN, "results"),
)
