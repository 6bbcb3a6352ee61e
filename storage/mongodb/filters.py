"""Combine MongoDB filters. The filters for visibility and for lists are built with these functions."""

from collections.abc import Iterable, Sequence
from enum import Enum

from schema.organisation.units import range_end
from storage.mongodb.client import Document, Filter

NOTHING: Filter = {"_id": {"$in": []}}
"""Filter that matches no record. `any_of` recognises it by identity and leaves it out."""


def within(field: str, paths: Sequence[str]) -> Filter:
    """Match records whose path in `field` lies in one of the subtrees at `paths`. Each subtree is one index range."""
    ranges = [{field: {"$gte": path, "$lt": range_end(path)}} for path in paths]
    return {"$or": ranges} if len(ranges) > 1 else ranges[0] if ranges else NOTHING


def one_of(members: Iterable[Enum]) -> Document:
    """Match a field that holds one of the members of an enum: `{"state": one_of(OPEN)}`."""
    return {"$in": sorted(str(member.value) for member in members)}


def any_of(*filters: Filter) -> Filter:
    """Match records that match at least one of the filters. Without filters, match nothing."""
    parts = [filter for filter in filters if filter is not NOTHING]
    return {"$or": parts} if len(parts) > 1 else parts[0] if parts else NOTHING


def all_of(*filters: Filter) -> Filter:
    """Match records that match all of the filters. Without filters, match everything."""
    parts = [filter for filter in filters if filter]
    return {"$and": parts} if len(parts) > 1 else parts[0] if parts else {}
