"""Test changes: a phone holds what its user may see, after any writes, losses of access, restarts and pages."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from api.graphql.context import clock
from api.sync import changes
from schema.catalogue.entries import DEFAULTS
from schema.organisation.units import Unit, UnitLevel, path_below
from schema.sync.changes import ChangeKind, Progress
from storage.store import Store
from storage.sync.changes import Changes, RecordState
from tests.support.case_steps import offer_case
from tests.support.pulling import PULL, Puller, followed, point_of, settled
from tests.support.world import ACCEPT, HAND_ON, WITHDRAW, World, medium, new_id


@pytest.fixture
async def following(world: World) -> AsyncIterator[None]:
    async with followed(world.store):
        yield


@pytest.mark.usefixtures("following")
async def test_a_first_pull_brings_everything_in_scope_and_a_second_nothing(world: World) -> None:
    phone = Puller(world, "inspector")
    own = await world.observe("inspector")
    others = await world.observe("inspector2")
    await phone.pull(first=2)
    assert {unit["code"] for unit in phone.of("Unit")} == {
        code for code in world.units if code.startswith("360703") or code in {"360000", "360700"}
    }
    assert [point["code"] for point in phone.of("MonitoringPoint")] == ["GZ-001"]
    assert len(phone.of("CatalogueEntry")) == len(DEFAULTS)
    assert own in phone.records
    assert others not in phone.records
    assert await phone.pull() == []


@pytest.mark.usefixtures("following")
async def test_a_record_that_changed_often_comes_once(world: World) -> None:
    phone = Puller(world, "inspector")
    await phone.pull()
    unit = world.units["360703-JT"]
    for name in ("一", "二", "三"):
        await world.store.units.put_all([replace(unit, name=name)])
    assert [(change["id"], change["record"]["name"]) for change in await phone.pull()] == [(unit.id, "三")]


@pytest.mark.usefixtures("following")
async def test_a_write_without_a_difference_brings_nothing(world: World) -> None:
    phone = Puller(world, "inspector")
    await phone.pull()
    await world.store.units.put_all(list(world.units.values()))
    assert await phone.pull() == []


@pytest.mark.usefixtures("following")
async def test_lost_access_arrives_as_a_tombstone(world: World) -> None:
    """A case is assigned and withdrawn, a unit moves out of the county, and a monitor leaves the point."""
    inspector, monitor = Puller(world, "inspector"), Puller(world, "monitor")
    case_id, given = await offer_case(world, "inspector")
    await inspector.pull()
    await monitor.pull()
    assert {case_id, given} <= set(inspector.records)
    assert point_of(world).id in monitor.records

    await world.ask("officer", WITHDRAW, input={"id": given})
    window = world.units["360703-JT-1"]
    elsewhere = world.units["360783-JT"]
    moved = replace(window, parent_id=elsewhere.id, path=path_below(elsewhere.path, window.id))
    await world.store.units.put_all([moved])
    await world.store.monitoring_points.put_all([replace(point_of(world), monitor_ids=())])
    gone = {change["id"] for change in await inspector.pull() if change["record"] is None}
    assert gone == {case_id, window.id}
    assert inspector.records[given]["assignmentState"] == "WITHDRAWN"
    gone = {change["id"] for change in await monitor.pull() if change["record"] is None}
    assert gone == {point_of(world).id, window.id}
    neighbour = Puller(world, "neighbour")
    await neighbour.pull()
    assert window.id in neighbour.records


@pytest.mark.usefixtures("following")
async def test_a_case_that_was_handed_on_arrives_as_a_tombstone(world: World) -> None:
    phone = Puller(world, "supervisor")
    case_id, given = await offer_case(world)
    await world.ask("supervisor", ACCEPT, input={"id": given})
    await phone.pull()
    assert {case_id, given} <= set(phone.records)
    onward = {"id": new_id("asg"), "assignmentId": given, "assigneeId": world.people["supervisor2"].id}
    await world.ask("supervisor", HAND_ON, input=onward)
    await world.ask("supervisor2", ACCEPT, input={"id": onward["id"]})
    gone = {change["id"] for change in await phone.pull() if change["record"] is None}
    assert gone == {case_id}
    assert phone.records[given]["assignmentState"] == "HANDED_ON"


@pytest.mark.usefixtures("following")
async def test_a_user_who_changes_county_loses_one_and_gets_the_other(world: World) -> None:
    phone = Puller(world, "inspector")
    await phone.pull()
    county = world.units["360783"]
    person = world.people["inspector"]
    world.people["inspector"] = replace(person, scope_ids=(county.id,), scope_paths=(county.path,))
    await phone.pull(first=3)
    assert {unit["code"] for unit in phone.of("Unit")} == {
        code for code in world.units if code.startswith("360783") or code in {"360000", "360700"}
    }
    assert phone.of("MonitoringPoint") == []
    world.people["inspector"] = person
    await phone.pull(first=3)
    assert world.units["360703-JT-1"].id in phone.records
    assert world.units["360783-JT-1"].id not in phone.records
    assert await phone.pull() == []


@pytest.mark.usefixtures("following")
async def test_an_author_learns_that_photos_arrived_and_a_case_was_opened(world: World) -> None:
    phone = Puller(world, "monitor")
    sent = medium()
    own = await world.observe("monitor", method="MONITOR_REPORT", media=[sent])
    await phone.pull()
    assert phone.records[own]["followUps"] == []
    await world.store.media.confirm(sent["id"], clock())
    await phone.pull()
    assert phone.records[own]["mediaArrived"] == 1
    case = await world.open_case("officer", own)
    changed = await phone.pull()
    assert [change["id"] for change in changed] == [own]
    assert [each["caseNumber"] for each in phone.records[own]["followUps"]] == [case["number"]]
    assert phone.of("Case") == []


@pytest.mark.usefixtures("following")
async def test_a_page_with_many_media_is_shorter_than_asked_for_and_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer with all the media of a full page would take more work than a request may."""
    monkeypatch.setattr(changes, "MAX_PARTS", 4)
    photos = [[medium(f"{number}.{each}".encode()) for each in range(5)] for number in range(3)]
    sent = {await world.observe("inspector", media=media) for media in photos}
    await settled(world.store)
    first = (await world.ask("inspector", PULL, kinds=["OBSERVATION"], first=100))["changes"]
    assert (len(first["changes"]), first["hasMore"]) == (1, True)
    phone = Puller(world, "inspector")
    await phone.pull()
    assert sent <= set(phone.records)


@pytest.mark.usefixtures("following")
async def test_kinds_are_pulled_one_by_one_with_one_cursor(world: World) -> None:
    phone = Puller(world, "inspector")
    await phone.pull(["UNIT"])
    assert {record["__typename"] for record in phone.records.values()} == {"Unit"}
    units = set(phone.records)
    await phone.pull(["MONITORING_POINT"])
    assert set(phone.records) == units | {point_of(world).id}
    assert {change["kind"] for change in await phone.pull()} == {"CATALOGUE_ENTRY"}


@pytest.mark.usefixtures("following")
async def test_pulling_another_kind_does_not_drop_records_of_a_changing_scope(world: World) -> None:
    """The scope widens, so the records of the old scope stay visible. A pull of another kind must not drop them."""
    phone = Puller(world, "inspector")
    await phone.pull()
    units = {unit["id"] for unit in phone.of("Unit")}
    city = world.units["360700"]
    world.people["inspector"] = replace(world.people["inspector"], scope_ids=(city.id,), scope_paths=(city.path,))
    page = await phone.page(first=2)
    phone.take(page)
    assert page["hasMore"]
    assert await phone.pull(["CASE"]) == []
    await phone.pull(first=2)
    assert units < {unit["id"] for unit in phone.of("Unit")}
    assert {unit["code"] for unit in phone.of("Unit")} == set(world.units)


def test_a_cursor_cannot_resume_if_any_topic_is_too_old() -> None:
    for read, leaving in (({"u": 0, "c": 5}, {}), ({"u": 20}, {"c": 5}), ({}, {"c": 5})):
        assert not Progress("epoch", read, leaving).can_resume(horizon=10, last=20)
    assert Progress("epoch", {"u": 0, "c": 10}, {"a": 20}).can_resume(horizon=10, last=20)
    assert not Progress("epoch", {"u": 21}).can_resume(horizon=10, last=20)


async def test_changes_entered_while_a_page_is_read_come_after_it(world: World) -> None:
    """A page ends at the number that was the last one when reading began.

    Otherwise one topic might be read before a new entry and another topic after it, and entries could be missed.
    """
    changes, now = world.store.changes, clock()
    soon = now + timedelta(seconds=10)
    assert await changes.claim("one", now, soon)

    async def enter(topic: str) -> str:
        id = new_id("unt")
        record = RecordState(ChangeKind.UNIT, id, frozenset({topic}), "digest")
        await changes.enter("one", [record], token=None, as_of=now, until=soon)
        return id

    before = [await enter("ua"), await enter("ub")]
    sequence = await changes.sequence()
    assert sequence
    await enter("ua")
    await enter("ub")
    progress = Progress(sequence.epoch).with_topics(["ua", "ub"], [ChangeKind.UNIT])
    assert [each.record_id for each in await changes.read(progress, ["ua", "ub"], sequence.last, 10)] == before
    assert len(await changes.read(progress, ["ua", "ub"], sequence.last + 2, 10)) == 4


@pytest.mark.usefixtures("following")
async def test_an_admin_pulls_no_evidence(world: World) -> None:
    case_id, given = await offer_case(world, "supervisor")
    await world.ask("supervisor", ACCEPT, input={"id": given})
    admin, supervisor = Puller(world, "admin"), Puller(world, "supervisor")
    await admin.pull()
    await supervisor.pull()
    assert {record["__typename"] for record in admin.records.values()} == {"Unit", "MonitoringPoint", "CatalogueEntry"}
    assert {case_id, given} <= set(supervisor.records)


@pytest.mark.usefixtures("following")
async def test_a_lost_role_removes_its_records(world: World) -> None:
    phone = Puller(world, "supervisor")
    case_id, given = await offer_case(world, "supervisor")
    await phone.pull()
    world.people["supervisor"] = replace(world.people["supervisor"], roles=list(world.people["liaison"].roles))
    gone = {change["id"] for change in await phone.pull() if change["record"] is None}
    assert gone == {case_id, given, point_of(world).id}


@pytest.mark.usefixtures("following")
@pytest.mark.parametrize("cursor", ["", "x", "0" * 40, "💥"])
async def test_an_invalid_cursor_is_reported_as_expired(world: World, cursor: str) -> None:
    phone = Puller(world, "inspector")
    await settled(world.store)
    phone.cursor = cursor
    assert (await phone.page())["code"] == "CURSOR_EXPIRED"


@pytest.mark.usefixtures("following")
async def test_another_persons_cursor_is_reported_as_expired(world: World) -> None:
    phone, other = Puller(world, "inspector"), Puller(world, "inspector2")
    await phone.pull()
    other.cursor = phone.cursor
    assert (await other.page())["code"] == "CURSOR_EXPIRED"


@pytest.mark.usefixtures("following")
async def test_a_page_size_of_zero_is_refused(world: World) -> None:
    await settled(world.store)
    assert (await Puller(world, "inspector").page(first=0))["code"] == "LIMIT_EXCEEDED"


async def test_a_pull_reads_only_changed_records_by_the_index(world: World) -> None:
    """A pull sends no unchanged records. The index alone finds the entries that changed."""
    store: Store = world.store
    phone = Puller(world, "inspector")
    async with followed(store):
        await phone.pull()
        county = world.units["360703"]
        many = []
        for number in range(300):
            id = new_id("unt")
            many.append(
                Unit(
                    id=id,
                    code=f"360703-{number:04d}",
                    name=f"第{number}局",
                    level=UnitLevel.DEPARTMENT,
                    path=path_below(county.path, id),
                    parent_id=county.id,
                    ancestor_ids=(*county.ancestor_ids, county.id),
                )
            )
        await store.units.put_all(many)
        await phone.pull()
        assert len(phone.of("Unit")) > 300
        own = await world.observe("inspector")
        assert [change["id"] for change in await phone.pull()] == [own]
        sequence = await store.changes.sequence()
        assert sequence
        topics = [f"u{'x' * 12}", f"p{'y' * 12}"]
        progress = Progress(sequence.epoch).with_topics(topics, list(ChangeKind))
        explained = await store.mongo.command(
            "explain",
            {
                "find": "changes",
                "filter": Changes.unread_filter(progress, topics, sequence.last),
                "sort": {"number": 1},
                "limit": 21,
            },
        )
        assert explained["executionStats"]["totalDocsExamined"] == 0
        assert "COLLSCAN" not in repr(explained["queryPlanner"]["winningPlan"])
        assert "'stage': 'SORT'" not in repr(explained["queryPlanner"]["winningPlan"])
