"""Rating links: what units come to by their published ratings, for one request, in two commands however many are asked for.

Who may read that is decided by the field's guard; what a rating is, in `schema/appraisal/ratings.py`.
"""

from datetime import date, datetime
from functools import cached_property

from strawberry.dataloader import DataLoader

from schema.appraisal.ratings import MonthlyRatings, check_month, month_start
from schema.checks.thresholds import ThresholdKind, limits_of
from schema.organisation.units import Unit
from storage.store import Store


class ViewerRatingLinks:
    """Implements `schema.core.context.RatingLinks`."""

    def __init__(self, store: Store, now: datetime) -> None:
        self._store = store
        self._now = now

    async def monthly_score(self, unit: Unit, month: date) -> float | None:
        check_month(month, field="month")
        return await self._scores.load((str(unit.id), unit.path, month))

    @cached_property
    def _scores(self) -> DataLoader[tuple[str, str, date], float | None]:
        async def load(asked: list[tuple[str, str, date]]) -> list[float | None]:
            found = await self._store.ratings.of_months(
                sorted({id for id, _, _ in asked}), sorted({month for _, _, month in asked}), self._now
            )
            settings = await self._store.thresholds.above(*(path for _, path, _ in asked))

            def score(ratings: MonthlyRatings | None, path: str, month: date) -> float | None:
                # What applied when the month began: lowered afterwards, it would bare those who relied on it.
                minimum = limits_of(settings, path, month_start(month)).of(ThresholdKind.RATING_MINIMUM)
                return ratings.score(minimum) if ratings else None

            return [score(found.get((id, month)), path, month) for id, path, month in asked]

        return DataLoader(load_fn=load)
