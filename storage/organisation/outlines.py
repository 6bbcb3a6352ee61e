"""Outlines in MongoDB: the ground of a unit, one document a unit, replaced as a whole."""

from collections.abc import Sequence

from schema.organisation.outlines import Outline
from storage.mongodb.client import Document, Mongo


class Outlines:
    def __init__(self, mongo: Mongo) -> None:
        self._outlines = mongo.collection("outlines")

    async def many(self, unit_ids: Sequence[str]) -> list[Outline]:
        """Those of the units that have one, in no order."""
        found = await self._outlines.find({"_id": {"$in": list(unit_ids)}}) if unit_ids else []
        return [_outline(document) for document in found]

    async def put_all(self, outlines: Sequence[Outline]) -> None:
        """Store each, replacing what the unit had; GeoJSON, as maps and MongoDB read it."""
        await self._outlines.upsert_many([({"_id": each.unit_id}, {"$set": _document(each)}) for each in outlines])


def _document(outline: Outline) -> Document:
    coordinates = [[[list(vertex) for vertex in ring] for ring in polygon] for polygon in outline.polygons]
    return {"geometry": {"type": "MultiPolygon", "coordinates": coordinates}}


def _outline(document: Document) -> Outline:
    polygons = tuple(
        tuple(tuple((float(x), float(y)) for x, y in ring) for ring in polygon)
        for polygon in document["geometry"]["coordinates"]
    )
    return Outline(document["_id"], polygons)
