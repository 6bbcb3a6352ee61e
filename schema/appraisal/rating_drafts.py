"""Rating drafts: ratings as a phone's outbox holds them, how each is validate_id, and how each settles.

What is stored is in `ratings.py`; loading what a batch needs and writing it is left to `api` and `storage`.
"""

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
from schema.fieldwork.drafts import Author, Outcome
from schema.organisation.monitoring_points import MonitoringPoint
from schema.organisation.units import Unit

MAX_RATINGS = 50
MAX_REASON = 500
MAX_NAME = 100


@strawberry.input(description="A rating as a phone's outbox holds it; it has a score or a grade, one of the two.")
class RatingDraft:
    id: strawberry.ID = strawberry.field(
        description="Made by the phone: rat_ and a UUIDv7 whose time is 00:00 UTC of the month's first day, so that it does"
        " not tell when the rating was made. The key of every replay."
    )
    monitoring_point: str = strawberry.field(description="One of one's own points: id or code.")
    unit: str = strawberry.field(description="The unit rated: id, code or former code.")
    month: date = strawberry.field(description="First day of the month, in Beijing.")
    score: int | None = strawberry.field(description="0 to 100.", default=None)
    grade: str | None = strawberry.field(
        description="Code of a grade of the catalogue; it stands for the score that it had on the month's first day.",
        default=None,
    )
    reason: str | None = strawberry.field(
        description="Why, up to 500 characters; supervisors and officers read it as it stands.", default=None
    )


@strawberry.type(description="How one rating settled; results stand in the order of the drafts.")
class RatingResult:
    id: str | None = strawberry.field(description="The draft's id as sent; null where none could be read.")
    outcome: Outcome = strawberry.field(description="How it settled.")
    receipt: RatingReceipt | None = strawberry.field(description="Proof, when accepted or duplicate.", default=None)
    rating: Rating | None = strawberry.field(description="What is stored.", default=None)
    refusal: Refused | None = strawberry.field(description="Why it was refused.", default=None)

    @classmethod
    def of(cls, rating: Rating, outcome: Outcome) -> "RatingResult":
        return cls(id=rating.id, outcome=outcome, receipt=rating.proof(), rating=rating)

    @classmethod
    def refused(cls, id: str | None, refusal: Refusal) -> "RatingResult":
        return cls(id=id, outcome=Outcome.REFUSED, refusal=Refused.of(refusal))


def check_draft(draft: RatingDraft, *, field: str) -> None:
    """What can be said of a draft without knowing anything else; raises `Refusal` with `field` leading to the fault."""
    validate_id(draft.id, "rat", field=f"{field}.id")
    check_month(draft.month, field=f"{field}.month")
    if milliseconds_of(draft.id) != int(datetime.combine(draft.month, time(), UTC).timestamp()) * 1000:
        raise Refusal(
            RefusalCode.BAD_ID, "The time in a rating's id is 00:00 UTC of its month's first day.", field=f"{field}.id"
        )
    if (draft.score is None) == (draft.grade is None):
        raise Refusal(RefusalCode.BAD_INPUT, "Give a score or a grade, one of the two.", field=f"{field}.score")
    if draft.score is not None and not 0 <= draft.score <= 100:
        raise Refusal(RefusalCode.BAD_INPUT, "A score lies between 0 and 100.", field=f"{field}.score")
    for name, value, most in (
        ("unit", draft.unit, MAX_NAME),
        ("monitoringPoint", draft.monitoring_point, MAX_NAME),
        ("grade", draft.grade, MAX_NAME),
        ("reason", draft.reason, MAX_REASON),
    ):
        if value is not None and len(value) > most:
            raise Refusal(RefusalCode.BAD_INPUT, f"At most {most} characters.", field=f"{field}.{name}")


def rate(
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
    """The rating that a validate_id draft makes at `now`, not yet stored; raises `Refusal`.

    A unit or point that is None is unknown, or not the author's to name: nobody learns which.
    """
    fix = NextStep.FIX_AND_RESEND
    if month_start(draft.month) > now:
        raise Refusal(RefusalCode.BAD_INPUT, "This month has not begun.", field=f"{field}.month")
    closes = closes_at(draft.month, limits)
    if closes is not None and now >= closes:
        raise Refusal(RefusalCode.WRONG_STATE, "Ratings of this month are not taken any more.", field=f"{field}.month")
    if point is None:
        raise Refusal(RefusalCode.NOT_FOUND, field=f"{field}.monitoringPoint", next_step=fix)
    if unit is None:
        raise Refusal(RefusalCode.NOT_FOUND, field=f"{field}.unit", next_step=fix)
    score = draft.score if draft.grade is None else grades.get(draft.grade)
    if score is None:
        raise Refusal(RefusalCode.BAD_INPUT, "Your office had no such grade in that month.", field=f"{field}.grade")
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
