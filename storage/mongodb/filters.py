"""Combine MongoDB filters. Every filter of visibility and of a list is built from these."""

from collections.abc import Sequence

from schema.organisation.units import range_end
from storage.mongodb.client import Filter

NOTHING: Filter = {"_id": {"$in": []}}
"""Matches no record. `any_of` compares it by identity and leaves it out."""


def within(field: str, paths: Sequence[str]) -> Filter:
    """Match records whose `field` lies in one of the subtrees at `paths`: one indexed range for each."""
    ranges = [{field: {"$gte": path, "$lt": range_end(path)}} for path in paths]
    return {"$or": ranges} if len(ranges) > 1 else ranges[0] if ranges else NOTHING


def any_of(*filters: Filter) -> Filter:
    """Match records that any of the filters matches; nothing without filters."""
    parts = [filter for filter in filters if filter is not NOTHING]
    return {"$or": parts} if len(parts) > 1 else parts[0] if parts else NOTHING


def all_of(*filters: Filter) -> Filter:
    """Match records that all of the filters match; everything without filters."""
    parts = [filter for filter in filters if filter]
    return {"$and": parts} if len(parts) > 1 else parts[0] if parts else {}
