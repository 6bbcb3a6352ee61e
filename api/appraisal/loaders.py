"""Load what units come to by their published ratings, in two commands however many are asked for."""

from datetime import date

from api.graphql.context import Context
from api.graphql.loaders import Loader
from schema.appraisal.ratings import MonthlyRatings, check_month, month_start
from schema.checks.thresholds import ThresholdKind, limits_of
from schema.core.refusals import Refusal
from schema.organisation.units import MonthlyScore, Unit


async def _monthly_scores(context: Context, keys: list[tuple[date, Unit]]) -> list[MonthlyScore | Refusal | None]:
    """Give a refusal for a date that isn't the first of a month: the other keys of the batch go on."""
    unit_ids, months = sorted({str(unit.id) for _, unit in keys}), sorted({month for month, _ in keys})
    ratings = await context.store.ratings.of_months(unit_ids, months, context.now)
    settings = await context.store.thresholds.above(*(unit.path for _, unit in keys))

    def score(ratings: MonthlyRatings | None, path: str, month: date) -> MonthlyScore | Refusal | None:
        try:
            check_month(month, field="month")
        except Refusal as refusal:
            return refusal
        # What applied when the month began: a minimum that is lowered later would expose those who relied on it.
        minimum = limits_of(settings, path, month_start(month)).of(ThresholdKind.RATING_MINIMUM)
        mean = ratings.score(minimum) if ratings else None
        return None if mean is None else MonthlyScore(mean)

    return [score(ratings.get((str(unit.id), month)), unit.path, month) for month, unit in keys]


LOADERS = (Loader(MonthlyScore, ("month", "unit"), _monthly_scores),)
