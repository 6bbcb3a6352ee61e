"""Test reads: the number of database commands for the case graph, keyset pages of lists, filters, and cursors."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.accounts.key_ring import KeyRing
from api.settings import Settings
from schema.core.pagination import CursorSeal
from schema.core.refusals import Refusal
from schema.media.media import Rendition, Thumbnail
from storage.embedded.engines import Addresses
from storage.mongodb.client import Mongo
from storage.s3.client import ObjectStore
from storage.store import Store
from tests.support.command_counter import Commands
from tests.support.world import ACCEPT, ASSIGN, World, draft, medium, new_id

pytestmark = pytest.mark.both_drivers

GRAPH = """
query CaseGraph($id: ID!) {
  case(id: $id) {
    id number title state
    observations {
      id receivedAt mediaExpected mediaArrived content { text category media {
        id state thumbnail: link(rendition: SMALL) { url } original: link(rendition: ORIGINAL) { url }
      } }
      unit { code name ancestors { code name level } }
      monitoringPoint { code enterprise unit { code } monitors { id } }
      author { id } cases { id number }
    }
    unit { code ancestors { code } }
    monitoringPoint { code enterprise }
    assignments { id state assignee { id displayName office { name } } offeredBy { displayName } }
    responsible { displayName } firstResponder { displayName } history { kind by { displayName } }
    relatedCases { id number state unit { code } }
  }
}"""
LIST = """
query List($filter: ObservationFilter, $first: Int!, $after: String) {
  observations(filter: $filter, first: $first, after: $after) {
    edges { cursor node { id unit { code } content { category media { id } } author { id } } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""


@pytest.fixture
def commands() -> Commands:
    return Commands()


@pytest.fixture
async def counted(
    engines: Addresses, driver: str, store: ObjectStore, commands: Commands, tmp_path: Path
) -> AsyncIterator[World]:
    """Yield a world whose database commands are counted."""
    made = Mongo(engines.mongo_url, f"test_{uuid.uuid4().hex}", driver=driver, listeners=[commands])
    settings = Settings(data=tmp_path)
    yield await World(Store(made, store), settings, KeyRing(settings.keys_folder)).build()
    await made.drop()
    await made.close()


async def grown(world: World, observations: int, related: int) -> str:
    """Open a case, and return the id of the case.

    The case has `observations` observations with two ready photos each, and `related` related cases.
    """
    drafts = [
        draft(
            method="MONITOR_REPORT",
            monitoringPoint="GZ-001",
            media=[medium(uuid.uuid4().bytes), medium(uuid.uuid4().bytes)],
        )
        for _ in range(observations)
    ]
    for start in range(0, len(drafts), 50):
        await world.submit("monitor", *drafts[start : start + 50])
    for each in (photo for sent in drafts for photo in sent["media"]):
        await world.store.media.confirm(each["id"], world.context(None).now)
        thumbnails = [
            Thumbnail(rendition=Rendition.SMALL, width=320, height=240, key=f"thumbnails/{each['id']}/small.jpg")
        ]
        await world.store.media.mark_ready(each["id"], world.context(None).now, None, thumbnails)
    case = await world.open_case("officer", *(sent["id"] for sent in drafts))
    for name in ("supervisor", "supervisor2"):
        offer = {"id": new_id("asg"), "caseId": case["id"], "assigneeId": world.people[name].id}
        await world.ask("officer", ASSIGN, input=offer)
        await world.ask(name, ACCEPT, input={"id": offer["id"]})
    for _ in range(related):
        seen = await world.observe("monitor", method="MONITOR_REPORT", monitoringPoint="GZ-001")
        await world.open_case("officer", seen)
    id: str = case["id"]
    return id


async def test_the_case_graph_takes_at_most_7_commands_at_any_size(counted: World, commands: Commands) -> None:
    costs = []
    for size in (2, 20):
        id = await grown(counted, size, size // 2)
        commands.clear()
        graph = (await counted.ask("supervisor", GRAPH, id=id))["case"]
        costs.append(commands.names.copy())
        assert len(graph["observations"]) == size
        assert len(graph["relatedCases"]) >= size // 2
        for observation in graph["observations"]:
            assert [each["code"] for each in observation["unit"]["ancestors"]] == [
                "360000",
                "360700",
                "360703",
                "360703-JT",
            ]
            for photo in observation["content"]["media"]:
                assert photo["original"]["url"] != photo["thumbnail"]["url"]
        assert [each["assignee"]["displayName"] for each in graph["assignments"]] == ["甲supervisor", "甲supervisor2"]
    # One bound for both sizes: depending on timing, two levels that ask for units share one command or not.
    assert max(cost.total() for cost in costs) <= 7, costs


async def test_a_batch_takes_the_same_number_of_commands_at_ten_times_the_size(
    counted: World, commands: Commands
) -> None:
    costs = []
    for size in (1, 10):
        commands.clear()
        results = await counted.submit("inspector", *(draft(media=[medium(uuid.uuid4().bytes)]) for _ in range(size)))
        assert {result["outcome"] for result in results} == {"ACCEPTED"}
        costs.append(commands.names.copy())
    assert costs[0] == costs[1]


async def test_a_list_takes_the_same_number_of_commands_at_ten_times_the_size(
    counted: World, commands: Commands
) -> None:
    costs = []
    for size in (3, 30):
        for _ in range(size):
            await counted.observe(media=[medium(uuid.uuid4().bytes)])
        commands.clear()
        found = (await counted.ask("supervisor", LIST, first=size))["observations"]
        assert len(found["edges"]) == size
        costs.append(commands.names.copy())
    assert costs[0] == costs[1]


async def pages(world: World, first: int, name: str = "supervisor", **filter: Any) -> list[str]:
    """Return the ids of the whole list, read page by page."""
    ids: list[str] = []
    after = None
    while True:
        page = (await world.ask(name, LIST, first=first, after=after, filter=filter or None))["observations"]
        ids += [edge["node"]["id"] for edge in page["edges"]]
        assert page["pageInfo"]["hasPreviousPage"] == (after is not None)
        if not page["pageInfo"]["hasNextPage"]:
            return ids
        after = page["pageInfo"]["endCursor"]


async def test_pages_list_every_record_once_and_latest_first(world: World) -> None:
    await world.submit("inspector", *(draft() for _ in range(11)))
    sent = [await world.observe() for _ in range(4)]
    for first in (1, 3, 7, 100):
        ids = await pages(world, first)
        assert len(ids) == len(set(ids)) == 15
        assert ids[:4] == sent[::-1]


async def test_new_records_do_not_shift_later_pages(world: World) -> None:
    sent = [await world.observe() for _ in range(6)]
    page = (await world.ask("supervisor", LIST, first=3))["observations"]
    await world.observe()
    rest = (await world.ask("supervisor", LIST, first=3, after=page["pageInfo"]["endCursor"]))["observations"]
    ids = [edge["node"]["id"] for edge in [*page["edges"], *rest["edges"]]]
    assert ids == sent[::-1]


async def test_a_cursor_is_valid_only_for_its_list_filter_and_viewer(world: World) -> None:
    for _ in range(3):
        await world.observe()
    cursor = (await world.ask("supervisor", LIST, first=1))["observations"]["pageInfo"]["endCursor"]
    cases = "query($after: String) { cases(after: $after) { edges { cursor } } }"
    assert await world.errors("supervisor", LIST, first=1, after=cursor, filter={"mine": True}) == ["BAD_CURSOR"]
    assert await world.errors("supervisor2", LIST, first=1, after=cursor) == ["BAD_CURSOR"]
    assert await world.errors("supervisor", cases, after=cursor) == ["BAD_CURSOR"]
    for forged in (cursor[:-2] + "xx", "", "é", "A" * 40, "ä" * 9):
        assert await world.errors("supervisor", LIST, first=1, after=forged) == ["BAD_CURSOR"], forged


@pytest.mark.parametrize("first", [0, -1, 101, 2_000_000])
async def test_a_page_size_out_of_bounds_is_refused(world: World, first: int) -> None:
    [code] = await world.errors("supervisor", LIST, first=first)
    assert code in {"LIMIT_EXCEEDED", "BAD_INPUT"}


async def test_filters_list_only_matching_observations_in_scope(world: World) -> None:
    here = {"latitude": 25.66, "longitude": 114.76}
    window = await world.observe(position=here, capturedAt="2026-03-01T09:00:00+08:00", category="RUDE")
    bureau = await world.observe(unit="360703-JT", capturedAt="2026-04-01T00:00:00+08:00", severity="GRAVE")
    reported = await world.observe("monitor", method="MONITOR_REPORT", unit=None, monitoringPoint="GZ-001")
    unplaced = await world.observe(unit="nowhere")
    assert world.point
    units = world.units
    wanted: list[tuple[dict[str, Any], set[str]]] = [
        ({"unitId": units["360703"].id}, {window, bureau}),
        ({"unitId": units["360703-JT-1"].id}, {window}),
        ({"unitId": units["360783"].id}, set()),
        ({"unitId": new_id("unt")}, set()),
        ({"monitoringPointId": world.point.id}, {reported}),
        ({"categories": ["RUDE"]}, {window}),
        ({"categories": ["RUDE", "ABSENCE"], "methods": ["PATROL"]}, {window, bureau, unplaced}),
        ({"methods": ["MONITOR_REPORT"]}, {reported}),
        ({"severities": ["GRAVE"]}, {bureau}),
        ({"capturedFrom": "2026-03-31T16:00:00Z", "capturedBefore": "2026-04-02T00:00:00Z"}, {bureau}),
        ({"near": here | {"radiusMetres": 50}}, {window}),
        ({"near": {"latitude": 25.67, "longitude": 114.76, "radiusMetres": 500}}, set()),
        ({"near": {"latitude": 25.67, "longitude": 114.76, "radiusMetres": 1500}}, {window}),
        ({"placement": "UNPLACED"}, {unplaced}),
        ({"categories": []}, set()),
    ]
    for filter, ids in wanted:
        assert set(await pages(world, 2, **filter)) == ids, filter
    assert set(await pages(world, 2, "monitor", mine=True)) == {reported}
    assert set(await pages(world, 2, "inspector")) == {window, bureau, unplaced}
    assert set(await pages(world, 2, "inspector2")) == set()
    assert set(await pages(world, 2, "neighbour")) == set()
    assert await world.errors("supervisor", LIST, first=1, filter={"unitId": "unt_1"}) == ["BAD_ID"]
    circle = {"near": {"latitude": 95, "longitude": 0, "radiusMetres": 5}}
    assert await world.errors("supervisor", LIST, first=1, filter=circle) == ["BAD_INPUT"]


async def test_units_and_points_are_listed_by_scope(world: World) -> None:
    units = "query($below: ID, $level: UnitLevel) { units(first: 100, below: $below, level: $level) { edges { node { code } } } }"
    points = "{ monitoringPoints { edges { node { code unit { code } monitors { id } } } } }"

    async def codes(name: str, **variables: Any) -> set[str]:
        found = (await world.ask(name, units, **variables))["units"]["edges"]
        return {edge["node"]["code"] for edge in found}

    own = {"360703", "360703-XNB", "360703-JT", "360703-JT-1"}
    assert await codes("inspector") == own | {"360000", "360700"}
    assert await codes("inspector", below=world.units["360703"].id) == own
    assert await codes("inspector", below=world.units["360783"].id) == set()
    assert await codes("liaison") == {"360000", "360700", "360703", "360703-JT", "360703-JT-1"}
    assert await codes("city_officer", level="COUNTY") == {"360703", "360783"}
    for name, count in (("inspector", 1), ("monitor", 1), ("neighbour", 0), ("city_officer", 1)):
        assert len((await world.ask(name, points))["monitoringPoints"]["edges"]) == count, name


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda each: st.lists(each, max_size=3),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.binary(min_size=1),
    st.lists(JSON, max_size=3),
    st.lists(JSON, max_size=3),
    st.lists(JSON, min_size=1, max_size=3),
)
def test_a_cursor_seal_opens_only_cursors_that_it_closed(
    secret: bytes, binding: list[Any], other: list[Any], keyset: list[Any]
) -> None:
    seal = CursorSeal(secret, binding)
    cursor = seal.close(keyset)
    assert seal.open(cursor) == tuple(keyset)
    if repr(other) != repr(binding):
        with pytest.raises(Refusal):
            CursorSeal(secret, other).open(cursor)
    with pytest.raises(Refusal):
        CursorSeal(secret + b"x", binding).open(cursor)


async def test_conflicts_take_the_same_number_of_commands_at_ten_times_the_size(
    counted: World, commands: Commands
) -> None:
    costs = []
    for size in (1, 10):
        drafts = [draft() for _ in range(size)]
        await counted.submit("inspector", *drafts)
        commands.clear()
        results = await counted.submit("inspector", *(each | {"text": "别的"} for each in drafts))
        assert {result["refusal"]["code"] for result in results} == {"CONFLICT"}
        costs.append(commands.names.copy())
    assert costs[0] == costs[1]
