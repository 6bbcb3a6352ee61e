"""Test that lists of a place find the right observations, also those that earlier versions stored, by few documents."""

import math
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from schema.geography.distances import EARTH_RADIUS_METRES
from storage.fieldwork.observations import INDEXES, SORT
from storage.fieldwork.places import CELLS, MAX_CELLS, SUBTREES, cover, location, near, of_unit, within_unit
from storage.mongodb.client import Document, Mongo
from storage.mongodb.filters import all_of, within
from tests.support.world import World, draft

AT = datetime(2026, 11, 30, 8, tzinfo=UTC)
LIST = """query($filter: ObservationFilter) { observations(filter: $filter, first: 50) { edges { node { id } } } }"""


def point(latitude: float, longitude: float) -> Document:
    return location({"position": {"latitude": latitude, "longitude": longitude}})


@pytest.mark.parametrize("radius_metres", [1, 150, 2_000, 30_000, 200_000])
def test_cells_cover_all_of_a_circle(radius_metres: float) -> None:
    random = Random(radius_metres)  # noqa: S311  no secret
    radius, covered = radius_metres / EARTH_RADIUS_METRES, 0
    for _ in range(60):
        latitude, longitude = random.choice([(25.8, 114.9), (random.uniform(-89, 89), random.uniform(-180, 180))])
        cells = set(cover(latitude, longitude, radius))
        assert len(cells) <= MAX_CELLS
        covered += bool(cells)
        for _ in range(30 if cells else 0):
            distance, bearing = radius * random.choice([random.random(), 1 - 1e-9]), random.uniform(0, 2 * math.pi)
            start, end = math.radians(latitude), 0.0
            end = math.asin(
                math.sin(start) * math.cos(distance) + math.cos(start) * math.sin(distance) * math.cos(bearing)
            )
            across = math.atan2(
                math.sin(bearing) * math.sin(distance) * math.cos(start),
                math.cos(distance) - math.sin(start) * math.sin(end),
            )
            seen = point(math.degrees(end), longitude + math.degrees(across))
            assert cells & set(seen["location"]["cells"]), (latitude, longitude)
    assert covered or radius_metres > 100_000


def test_circles_at_a_pole_or_at_180_degrees_have_no_cells() -> None:
    for latitude, longitude in ((89.99, 0.0), (0.0, 179.99), (0.0, -179.99), (-90.0, 0.0)):
        assert not cover(latitude, longitude, 0.001)
    assert CELLS not in near(0, 179.99, 5_000)


async def test_lists_of_a_place_find_what_earlier_versions_stored_and_changed(world: World) -> None:
    stored = world.store.mongo.collection("observations")
    here = {"latitude": 25.851, "longitude": 114.935, "accuracyMetres": 5.0}
    drafts = [draft(position=here), draft(position=here), draft(position=here, unit="unknown"), draft(position=None)]
    await world.submit("inspector", *drafts)
    window, other = world.units["360703-JT-1"], world.units["360783"]
    ids = [sent["id"] for sent in drafts]
    circle = {"near": {"latitude": 25.85, "longitude": 114.93, "radiusMetres": 2000}}

    async def listed(**filter: object) -> set[int]:
        found = (await world.ask("city_officer", LIST, filter=filter))["observations"]["edges"]
        return {ids.index(edge["node"]["id"]) for edge in found}

    async def check() -> None:
        assert await listed(unitId=world.units["360703-JT"].id) == {0, 1, 3}
        assert await listed(unitId=other.id) == set()
        assert await listed(**circle) == {0, 1, 2}

    await check()
    # As versions before these fields left them.
    for id in (ids[0], ids[3]):
        await stored.update_one({"_id": id}, {"$unset": {SUBTREES: "", CELLS: ""}})
    await check()
    # As an earlier version places an observation and corrects one, after this version stored both.
    await stored.update_one({"_id": ids[2]}, {"$set": {"unit_path": window.path, "placement": "PLACED"}})
    assert await listed(unitId=window.id) == {0, 1, 2, 3}
    await stored.update_one({"_id": ids[1]}, {"$set": {"unit_path": other.path}})
    await world.store.observations.name_places()
    assert await listed(unitId=other.id) == {1}
    assert await listed(unitId=window.id) == {0, 2, 3}
    assert await listed(**circle) == {0, 1, 2}
    for document in await stored.find({}):
        assert document[SUBTREES][-1] == document["unit_path"]
        assert document["location"] is None or len(document["location"]["cells"]) == 3
    await stored.update_one({"_id": ids[0]}, {"$set": {"unit_path": None}})
    await world.store.observations.name_places()
    assert SUBTREES not in (await stored.find({"_id": ids[0]}))[0]


async def test_the_newest_of_a_place_are_found_by_few_documents(mongo: Mongo) -> None:
    observations = mongo.collection("observations")
    random = Random(1)  # noqa: S311  no secret
    for keys, options in INDEXES:
        await observations.create_index(keys, **options)
    documents = []
    for number in range(2_000):
        path, (latitude, longitude) = f"city/{number % 20}/desk/", (25 + number % 20 / 10, 115.0)
        place = point(latitude + random.uniform(-0.02, 0.02), longitude + random.uniform(-0.02, 0.02))
        placed = {"unit_path": path, "office_path": path, "author_id": "usr_a", "case_ids": [f"cas_{number}"]}
        at = {"_id": f"obs_{number:04d}", "received_at": AT + timedelta(minutes=number)}
        documents.append(at | placed | place | of_unit(placed))
    await observations.insert_many(documents)
    granted = {"case_ids": {"$in": [f"cas_{number}" for number in range(0, 2_000, 25)]}}
    visible = {"$or": [{"author_id": "usr_b"}, within("office_path", ["city/"]), granted]}
    for asked in (within_unit("city/7/"), near(25.7, 115.0, 2_000)):
        find = {"find": "observations", "filter": all_of(visible, asked), "sort": dict(SORT), "limit": 21}
        explained = await mongo.command("explain", find, verbosity="executionStats")
        stats = explained["executionStats"]
        assert stats["nReturned"] == 21
        assert stats["totalDocsExamined"] <= 1.5 * 21, explained["queryPlanner"]["winningPlan"]
