"""Store the outlines of units in MongoDB. The outline of a unit is one document. It is always replaced as a whole."""

from collections.abc import Sequence

from schema.organisation.outlines import Outline
from storage.mongodb.client import Document, Mongo


class Outlines:
    def __init__(self, mongo: Mongo) -> None:
        self._outlines = mongo.collection("outlines")

    async def many(self, unit_ids: Sequence[str]) -> list[Outline]:
        """Return the outlines of these units, in any order."""
        documents = await self._outlines.find({"_id": {"$in": list(unit_ids)}}) if unit_ids else []
        return [_from_document(document) for document in documents]

    async def put_all(self, outlines: Sequence[Outline]) -> None:
        """Store each outline as GeoJSON. It replaces the stored outline of the same unit."""
        await self._outlines.upsert_many(
            [({"_id": outline.unit_id}, {"$set": _to_document(outline)}) for outline in outlines]
        )


def _to_document(outline: Outline) -> Document:
    coordinates = [[[list(vertex) for vertex in ring] for ring in polygon] for polygon in outline.polygons]
    return {"geometry": {"type": "MultiPolygon", "coordinates": coordinates}}


def _from_document(document: Document) -> Outline:
    polygons = tuple(
        tuple(tuple((float(x), float(y)) for x, y in ring) for ring in polygon)
        for polygon in document["geometry"]["coordinates"]
    )
    return Outline(document["_id"], polygons)
