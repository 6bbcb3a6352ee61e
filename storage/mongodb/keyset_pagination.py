"""Page through sorted collections by keyset.

A page starts after the sort values (the keyset) of the previous page's last document. Offsets are not used.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from schema.core.pagination import Page
from storage.mongodb.client import ASCENDING, Document, Filter, Projection, Sort
from storage.mongodb.filters import all_of
from storage.mongodb.records import Records

T = TypeVar("T")


def after(sort: Sort, keyset: Sequence[Any]) -> Filter:
    """Match documents that come after `keyset` in the order of `sort`. `keyset` has one value per field of `sort`."""
    steps: list[Document] = []
    for index, (field, direction) in enumerate(sort):
        step: Document = {name: keyset[earlier] for earlier, (name, _) in enumerate(sort[:index])}
        step[field] = {"$gt" if direction == ASCENDING else "$lt": keyset[index]}
        steps.append(step)
    return {"$or": steps}


async def fetch(
    records: Records[T],
    filter: Filter,
    sort: Sort,
    page: Page,
    read: Callable[[Sequence[Any]], Sequence[Any]] = tuple,
    projection: Projection = None,
) -> list[T]:
    """Return the records of a page, and one more record if another page follows.

    `read` converts the values of a cursor to the types that are stored.
    """
    remaining = after(sort, read(page.keyset)) if page.keyset is not None else {}
    return await records.find(all_of(filter, remaining), sort=sort, limit=page.first + 1, projection=projection)


def time_and_id(values: Sequence[Any]) -> tuple[datetime, str]:
    """Convert the keyset of a list that is sorted by a time and the id: the first value becomes a `datetime`."""
    return datetime.fromisoformat(values[0]), values[1]
