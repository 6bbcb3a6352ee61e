"""Store ratings. A unique index allows only one latest rating per monitoring point, unit and month."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from schema.appraisal.ratings import MonthlyRatings, Rating
from schema.core.pagination import Page
from storage.mongodb import keyset_pagination
from storage.mongodb.client import ASCENDING, DESCENDING, Document, Filter, InsertResult, Mongo, Session, Sort
from storage.mongodb.codecs import from_document, stored_day, to_document
from storage.mongodb.filters import all_of
from storage.mongodb.records import Records

SORT: Sort = (("month", DESCENDING), ("_id", DESCENDING))
"""Order of ratings: by month, and within a month by id. Ids are random, so the order does not reveal arrival times."""
INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    (SORT, {}),
    ((("rater_id", ASCENDING), *SORT), {}),
    ((("office_path", ASCENDING), *SORT), {}),
    ((("unit_path", ASCENDING), *SORT), {}),
    (
        (
            ("unit_id", ASCENDING),
            ("month", ASCENDING),
            ("published_at", ASCENDING),
            ("superseded_from", ASCENDING),
            ("score", ASCENDING),
            ("rater_id", ASCENDING),
        ),
        {},
    ),
    (
        (("monitoring_point_id", ASCENDING), ("unit_id", ASCENDING), ("month", ASCENDING)),
        {"unique": True, "partialFilterExpression": {"is_latest": True}},
    ),
]


class Ratings:
    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo
        self._ratings = mongo.collection("ratings")
        self._records = Records(mongo, "ratings", Rating)

    async def add(self, ratings: Sequence[Rating]) -> InsertResult:
        """Store the first ratings of their monitoring point, unit and month.

        A rating is skipped if a rating of the same point, unit and month is stored, or if its id is taken. The result
        lists the ids of the skipped ratings.
        """
        return await self._ratings.insert_many([to_document(rating) for rating in ratings])

    async def supersede(self, rating: Rating) -> Rating:
        """Store a rating as the latest of its monitoring point, unit and month, and return it as stored.

        The new rating is published no earlier than the rating that it supersedes. So one of the two counts at any time.
        Raise `DuplicateError` if a concurrent request stored the latest rating first.
        """

        async def work(session: Session) -> Rating:
            key = {"monitoring_point_id": rating.monitoring_point_id, "unit_id": rating.unit_id}
            at = {"$max": ["$published_at", rating.published_at]}
            changed = await self._ratings.change_one(
                {**key, "month": stored_day(rating.month), "is_latest": True},
                [{"$set": {"is_latest": False, "superseded_from": at}}],
                session=session,
            )
            latest = rating
            if changed:
                former = from_document(Rating, changed)
                at_last = former.superseded_from or rating.published_at
                latest = replace(rating, revision=former.revision + 1, published_at=at_last)
            await self._ratings.insert_one(to_document(latest), session=session)
            return latest

        return await self._mongo.transact(work)

    async def many(self, ids: Sequence[str], visible: Filter | None = None) -> list[Rating]:
        """Return the ratings that exist and match `visible`, in any order."""
        return await self._records.find(all_of({"_id": {"$in": list(ids)}}, visible or {}))

    async def page(self, filter: Filter, page: Page) -> list[Rating]:
        """Return a page of ratings, sorted by month, newest first."""
        return await keyset_pagination.fetch(self._records, filter, SORT, page, read=_read_keyset)

    async def of_months(
        self, unit_ids: Sequence[str], months: Sequence[date], now: datetime
    ) -> dict[tuple[str, date], MonthlyRatings]:
        """Return the mean and the number of raters of the ratings that count at `now`, keyed by unit and month.

        A unit and month without such ratings is absent.
        """
        groups = await self._ratings.aggregate(
            [
                {"$match": counting(unit_ids, months, now)},
                {
                    "$group": {
                        "_id": {"unit_id": "$unit_id", "month": "$month"},
                        "mean": {"$avg": "$score"},
                        "raters": {"$addToSet": "$rater_id"},
                    }
                },
                {"$set": {"raters": {"$size": "$raters"}}},
            ]
        )
        return {
            (group["_id"]["unit_id"], group["_id"]["month"].date()): MonthlyRatings(group["mean"], group["raters"])
            for group in groups
        }


def counting(unit_ids: Sequence[str], months: Sequence[date], now: datetime) -> Document:
    """Return a filter for the ratings of these units and months that count at `now`.

    A rating counts if it is published and no published rating supersedes it.
    """
    return {
        "unit_id": {"$in": list(unit_ids)},
        "month": {"$in": [stored_day(month) for month in months]},
        "published_at": {"$lte": now},
        "$or": [{"superseded_from": None}, {"superseded_from": {"$gt": now}}],
    }


def of_month(month: date) -> Filter:
    return {"month": stored_day(month)}


def keyset_of(rating: Rating) -> tuple[str, str]:
    return rating.month.isoformat(), rating.id


def _read_keyset(values: Sequence[Any]) -> tuple[datetime, str]:
    return datetime.fromisoformat(values[0]).replace(tzinfo=UTC), values[1]
