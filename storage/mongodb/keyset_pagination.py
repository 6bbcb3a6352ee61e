"""Page through sorted collections by keyset: a page is a range of the database, never an offset."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from schema.core.pagination import Page
from storage.mongodb.client import ASCENDING, Collection, Document, Filter, Sort
from storage.mongodb.filters import all_of


def after(sort: Sort, keyset: Sequence[Any]) -> Filter:
    """Match documents that follow `keyset` (a value for each field of `sort`) in that order."""
    steps: list[Document] = []
    for index, (field, direction) in enumerate(sort):
        step: Document = {name: keyset[earlier] for earlier, (name, _) in enumerate(sort[:index])}
        step[field] = {"$gt" if direction == ASCENDING else "$lt": keyset[index]}
        steps.append(step)
    return {"$or": steps}


async def fetch(
    collection: Collection,
    filter: Filter,
    sort: Sort,
    page: Page,
    read: Callable[[Sequence[Any]], Sequence[Any]] = tuple,
) -> list[Document]:
    """Return the page's documents, and one more if more follow. `read` turns a cursor's values into stored ones."""
    remaining = after(sort, read(page.keyset)) if page.keyset is not None else {}
    return await collection.find(all_of(filter, remaining), sort=sort, limit=page.first + 1)


def time_and_id(values: Sequence[Any]) -> tuple[datetime, str]:
    """Read the keyset of a list that is sorted by a time and the id."""
    return datetime.fromisoformat(values[0]), values[1]
