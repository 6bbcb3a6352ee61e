"""Combine MongoDB filters; every filter of visibility and of a list is built from these."""

from collections.abc import Sequence

from schema.organisation.units import range_end
from storage.mongodb.client import Filter

NOTHING: Filter = {"_id": {"$in": []}}
"""Matches no record; compared by identity, so that `any_of` can leave it out."""


def within(field: str, paths: Sequence[str]) -> Filter:
    """Match records whose `field` lies in one of the subtrees at `paths`: one indexed range for each."""
    ranges = [{field: {"$gte": path, "$lt": range_end(path)}} for path in paths]
    return {"$or": ranges} if len(ranges) > 1 else ranges[0] if ranges else NOTHING


def any_of(*filters: Filter) -> Filter:
    """Match what any of the filters matches; `NOTHING` without any."""
    kept = [filter for filter in filters if filter is not NOTHING]
    return {"$or": kept} if len(kept) > 1 else kept[0] if kept else NOTHING


def all_of(*filters: Filter) -> Filter:
    """Match what all of the filters match; everything without any."""
    kept = [filter for filter in filters if filter]
    return {"$and": kept} if len(kept) > 1 else kept[0] if kept else {}
