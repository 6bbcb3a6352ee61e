"""Test that viewers without the clearance can't tell which reports one covert person sent together."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from api.checks.runner import CheckRunner
from api.graphql.context import clock
from api.notifications.subscription_stream import ViewerRecords
from schema.core.ids import milliseconds_of
from schema.core.times import read_instant, to_minute
from schema.notifications.subscription_events import RecordLost
from schema.sync.changes import ChangeKind
from storage.notifications.record_events import EventKind, RecordEvent
from storage.sync.change_sources import ChangeSources
from tests.support.assignment_steps import ANSWER, accept, finish
from tests.support.case_steps import assign_case
from tests.support.flags import FAR, HERE, flags_of
from tests.support.world import WITHDRAW, World, draft, medium, new_id

TIMES = """
query One($id: ID!) { observation(id: $id) {
  receivedAt when { at local source } revisions { recordedAt }
  content { media { expectedAt uploadedAt readyAt when { at } } }
} }"""


async def times(world: World, name: str, id: str) -> list[datetime]:
    """Return every time of the server that this person sees of the observation."""
    seen: dict[str, Any] = (await world.ask(name, TIMES, id=id))["observation"]
    assert seen["when"]["source"] == "RECEIPT"
    media = [medium[field] for medium in seen["content"]["media"] for field in ("expectedAt", "uploadedAt", "readyAt")]
    whens = [seen["when"]["at"], *(medium["when"]["at"] for medium in seen["content"]["media"])]
    found = [seen["receivedAt"], *(revision["recordedAt"] for revision in seen["revisions"]), *media, *whens]
    return [read_instant(each) for each in found]


async def test_times_of_the_server_are_cut_to_the_minute_without_the_clearance(world: World) -> None:
    photo = medium()
    [result] = await world.submit("inspector", draft(capturedAt="1999-01-01T00:00:00+08:00", media=[photo]))
    at = datetime.fromisoformat("2026-11-30T05:06:07.890+00:00")
    observations, media = (world.store.mongo.collection(name) for name in ("observations", "media"))
    moved = {"received_at": at, "revisions.0.recorded_at": at}
    await observations.update_one({"_id": result["id"]}, {"$set": moved})
    stages = {"expected_at": at, "uploaded_at": at, "ready_at": at}
    await media.update_one({"_id": photo["id"]}, {"$set": stages})
    minute = at.replace(second=0, microsecond=0)
    for name in ("clerk", "supervisor"):
        assert set(await times(world, name, result["id"])) == {minute}
    assert set(await times(world, "inspector", result["id"])) == {at}
    seen = (await world.ask("officer", TIMES, id=result["id"]))["observation"]
    assert [read_instant(time) for time in (seen["receivedAt"], seen["revisions"][0]["recordedAt"])] == [at, at]
    [shown] = seen["content"]["media"]
    assert {read_instant(shown[field]) for field in ("expectedAt", "uploadedAt", "readyAt")} == {minute}, (
        "only the uploader sees more"
    )


async def test_two_people_with_one_phone_are_not_linked_by_a_flag(world: World) -> None:
    world.devices["inspector2"] = world.viewer("inspector").device_id or ""
    await world.observe(position=HERE, capturedAt="2026-11-20T09:05:00+08:00")
    other = await world.observe("inspector2", position=FAR, capturedAt="2026-11-20T09:06:00+08:00")
    await CheckRunner(world.store, clock).do_all()
    assert await flags_of(world, other) == []


async def test_a_contact_is_shown_to_the_assignee_and_with_the_clearance_only(world: World) -> None:
    edit = """mutation Edit($input: EditAssignmentNotesInput!) {
      editAssignmentNotes(input: $input) { ... on EditAssignmentNotesPayload { results { outcome } } }
    }"""
    _, id = await assign_case(world, "inspector")
    for number, field in enumerate(("CONTACT", "WORKING_NOTE"), start=1):
        given = {"id": new_id("evt"), "assignmentId": id, "field": field, "value": "李某", "baseVersion": 0}
        given |= {"editedAt": "2026-11-20T09:05:00+08:00", "deviceSequence": number}
        answer = await world.ask("inspector", edit, input={"edits": [given]})
        assert len(answer["editAssignmentNotes"]["results"]) == 1
    asked = "{ assignments(first: 9) { edges { node { notes { field } } } } }"
    for name, contact in (("inspector", True), ("officer", True), ("clerk", False), ("supervisor", False)):
        [edge] = (await world.ask(name, asked))["assignments"]["edges"]
        fields = {note["field"] for note in edge["node"]["notes"]}
        assert fields == ({"CONTACT", "WORKING_NOTE"} if contact else {"WORKING_NOTE"}), name


async def test_answers_that_one_phone_sends_together_do_not_show_that_one_person_answered(world: World) -> None:
    """A case's history and assignment have the same times to the minute for all who must not know the assignee."""
    given = [await assign_case(world, "inspector") for _ in range(2)]
    said = [step(id) for _, id in given for step in (accept, finish)]
    answer = await world.ask("inspector", ANSWER, input={"answers": said})
    assert {each["outcome"] for each in answer["answerAssignments"]["results"]} == {"SETTLED"}
    stored = await world.store.assignments.many([id for _, id in given])
    exact = {each.accepted_at for each in stored} | {each.ended_at for each in stored}
    assert len(exact) == 1, "a batch of answers has one time"
    [at] = exact
    assert at
    text = """query One($id: ID!) { case(id: $id) {
      assignments { acceptedAt endedAt } history { id kind at }
    } }"""
    for name, shown in (("officer", at), ("inspector", at), ("clerk", to_minute(at)), ("supervisor", to_minute(at))):
        for case_id, _ in given:
            case = (await world.ask(name, text, id=case_id))["case"]
            [assignment] = case["assignments"]
            events = [each for each in case["history"] if each["kind"] in {"HAND_OVER_ACCEPTED", "FINISHED"}]
            assert len(events) == 2
            times = (*assignment.values(), *(event["at"] for event in events))
            assert {read_instant(each) for each in times} == {shown}, name
            assert {milliseconds_of(event["id"]) % 60_000 for event in events} == {0}


async def test_a_pull_does_not_show_that_the_monitors_of_a_point_changed(world: World) -> None:
    assert world.point
    sources, changes = ChangeSources(world.store.mongo), world.store.changes
    wanted = {ChangeKind.MONITORING_POINT: [world.point.id]}
    await changes.claim("worker", clock(), clock())
    entries = world.store.mongo.collection("changes")

    async def enter() -> dict[str, int]:
        states = await sources.read_states(wanted)
        await changes.enter("worker", states, token=None, as_of=clock(), until=clock())
        return {entry["topic"]: entry["number"] for entry in await entries.find({})}

    before = await enter()
    both = (*world.point.monitor_ids, world.people["inspector"].id)
    await world.store.monitoring_points.put_all([replace(world.point, monitor_ids=both)])
    after = await enter()
    assert {topic: after[topic] for topic in before} == before
    assert len(after) == len(before) + 1


async def test_a_withdrawn_assignee_does_not_learn_of_later_assignments(world: World) -> None:
    case_id, earlier = await assign_case(world, "supervisor2")
    _, own = await assign_case(world, "neighbour_supervisor", case_id, "city_officer")
    await world.ask("city_officer", WITHDRAW, input={"id": own})
    await world.store.mongo.collection("assignments").update_one(
        {"_id": own}, {"$set": {"ended_at": datetime.fromisoformat("2026-11-30T05:00:00+00:00")}}
    )
    await world.store.mongo.collection("assignments").update_one(
        {"_id": earlier}, {"$set": {"offered_at": datetime.fromisoformat("2026-11-30T04:00:00+00:00")}}
    )
    _, later = await assign_case(world, "inspector", case_id)
    await world.store.mongo.collection("assignments").update_one(
        {"_id": later}, {"$set": {"offered_at": datetime.fromisoformat("2026-11-30T06:00:00+00:00")}}
    )
    person = world.people["neighbour_supervisor"].id
    event = RecordEvent("1", EventKind.ASSIGNMENT, own, assignee_id=person, case_id=case_id, state="WITHDRAWN")
    records = ViewerRecords(world.context("neighbour_supervisor"), EventKind.ASSIGNMENT)
    changes = await records.changes(event)
    assert [change.id for change in changes if isinstance(change, RecordLost)] == [earlier]
    assert later not in str(changes)
