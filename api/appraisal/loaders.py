"""Load the monthly scores of units from published ratings, with two database commands for any number of units."""

from datetime import date

from api.graphql.context import Context
from api.graphql.loaders import Loader
from schema.appraisal.ratings import MonthlyRatings, check_month, month_start
from schema.checks.thresholds import ThresholdKind, limits_of
from schema.core.refusals import Refusal
from schema.organisation.units import MonthlyScore, Unit


async def _monthly_scores(context: Context, keys: list[tuple[date, Unit]]) -> list[MonthlyScore | Refusal | None]:
    """Return the score for each (month, unit) pair, or None if there are too few raters.

    If a date isn't the first day of a month, its pair gets a refusal. The other pairs of the batch are still loaded.
    """
    unit_ids, months = sorted({str(unit.id) for _, unit in keys}), sorted({month for month, _ in keys})
    ratings = await context.store.ratings.of_months(unit_ids, months, context.now)
    settings = await context.store.thresholds.above(*(unit.path for _, unit in keys))

    def score(ratings: MonthlyRatings | None, path: str, month: date) -> MonthlyScore | Refusal | None:
        try:
            check_month(month, field="month")
        except Refusal as refusal:
            return refusal
        # The minimum number of raters that is set at the start of the month applies. Lowering the minimum later must not
        # expose raters who relied on it.
        minimum = limits_of(settings, path, month_start(month)).of(ThresholdKind.RATING_MINIMUM)
        mean = ratings.score(minimum) if ratings else None
        return None if mean is None else MonthlyScore(mean)

    return [score(ratings.get((str(unit.id), month)), unit.path, month) for month, unit in keys]


LOADERS = (Loader(MonthlyScore, ("month", "unit"), _monthly_scores),)
