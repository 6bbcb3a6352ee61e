"""Read observations in lists: without corrections, and without what a document holds twice."""

from dataclasses import fields
from typing import Any

from schema.fieldwork.observations import Observation, ObservationRevision
from storage.mongodb.client import Document, Mongo
from storage.mongodb.records import Records


def _stored(kind: type) -> list[str]:
    return [field.name for field in fields(kind) if field.init]


# An observation that was never corrected has the content of its first revision. A comparison of both takes much longer.
_CONTENT: Document = {"$cond": [{"$eq": ["$revision", 1]}, "$$REMOVE", "$$first.content"]}
_FIRST: Document = {name: f"$$first.{name}" for name in _stored(ObservationRevision)} | {"content": _CONTENT}
SHORT: dict[str, Any] = {name: 1 for name in _stored(Observation) if name != "id"} | {
    "revisions": {"$let": {"vars": {"first": {"$arrayElemAt": ["$revisions", 0]}}, "in": [_FIRST]}}
}
"""Projection of observations that leaves out all revisions but the first.

It also leaves out the first revision's content until a correction, because the observation has the same content. With 50
long corrections, one observation would add 3 MB to each list. The content is a third of an observation.
"""


def observation_records(mongo: Mongo) -> Records[Observation]:
    """Return the observations. They can be read with the projection `SHORT`, or whole."""
    return Records(mongo, "observations", Observation, prepare=_complete)


def _complete(document: Document) -> Document:
    document["revisions"][0].setdefault("content", document["content"])
    return document
