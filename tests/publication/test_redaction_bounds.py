"""Test the bounds of redactions: a request beyond them is refused with its reason and changes nothing."""

from pathlib import Path
from typing import Any

import pytest

from schema.publication.redactions import MAX_CORRECTIONS, MAX_OF_MEDIUM
from tests.support.redactions import BOX, corrected, one, ready_photo, requested, take, worker
from tests.support.world import World, draft, medium, new_id


async def test_a_box_without_area_or_beyond_the_picture_is_refused(world: World, tmp_path: Path) -> None:
    _, photo = await ready_photo(world)
    id = await requested(world, photo)
    await worker(world, tmp_path).do_one()
    before = await world.snapshot()
    for left, top, right, bottom, field in (
        (0.5, 0.1, 0.5, 0.2, "right"),
        (0.6, 0.1, 0.5, 0.2, "right"),
        (0.1, 0.3, 0.5, 0.3, "bottom"),
        (-0.1, 0.1, 0.5, 0.2, "right"),
        (0.1, 0.1, 1.01, 0.2, "right"),
        (0.1, 0.9, 0.2, 1e308, "bottom"),
    ):
        box = {"left": left, "top": top, "right": right, "bottom": bottom}
        refused = await corrected(world, id, "officer", BOX, box)
        assert (refused["code"], refused["field"]) == ("BAD_INPUT", f"boxes.1.{field}"), box
    assert await world.snapshot() == before


async def test_boxes_and_corrections_are_bounded(world: World, tmp_path: Path) -> None:
    _, photo = await ready_photo(world)
    id = await requested(world, photo)
    await worker(world, tmp_path).do_one()
    before = await world.snapshot()
    for boxes, revision, field in (([BOX] * 201, 0, "boxes"), ([BOX], MAX_CORRECTIONS, None)):
        refused = await corrected(world, id, "officer", *boxes, revision=revision)
        assert (refused["code"], refused["field"]) == ("LIMIT_EXCEEDED", field)
    assert (await corrected(world, id, revision=-1))["code"] == "OUTDATED"
    assert await world.snapshot() == before
    assert (await corrected(world, id, "officer", *[BOX] * 200))["revision"] == 1


async def test_a_correction_without_boxes_is_accepted(world: World, tmp_path: Path) -> None:
    _, photo = await ready_photo(world)
    id, work = await requested(world, photo), worker(world, tmp_path)
    await work.do_one()
    await take(world, "officer", "correct", id=new_id("evt"), redactionId=id, revision=0, boxes=[])
    await work.do_one()
    now = await one(world, "clerk", id)
    assert now
    assert (now["state"], now["boxes"]) == ("AWAITING_APPROVAL", [])


async def test_only_photos_can_be_redacted(world: World) -> None:
    for content_type in ("video/mp4", "application/pdf", "audio/amr"):
        _, other = await ready_photo(world, contentType=content_type)
        await assert_refused(world, other, "BAD_INPUT")


async def assert_refused(world: World, media_id: str, code: str, name: str = "officer", **input: Any) -> None:
    before = await world.snapshot()
    given = {"id": new_id("red"), "mediaId": media_id, "purpose": "通报用图"} | input
    refused = await take(world, name, "request", **given)
    assert refused["code"] == code, refused
    assert await world.snapshot() == before


async def test_an_invalid_redaction_request_is_refused(world: World) -> None:
    _, photo = await ready_photo(world)
    waiting = medium(b"not yet")
    await world.submit("inspector", draft(media=[waiting]))
    await assert_refused(world, waiting["id"], "WRONG_STATE")
    await assert_refused(world, new_id("med"), "NOT_FOUND")
    await assert_refused(world, "med_1", "BAD_ID")
    await assert_refused(world, photo, "BAD_ID", id="red_1")
    await assert_refused(world, photo, "BAD_INPUT", purpose="  ")
    await assert_refused(world, photo, "BAD_INPUT", purpose="用" * 501)
    await assert_refused(world, photo, "NOT_FOUND", name="neighbour")
    for name in ("inspector", "supervisor", "monitor", "liaison", "admin"):
        await assert_refused(world, photo, "FORBIDDEN", name=name)
    await world.store.mongo.collection("media").update_one({"_id": photo}, {"$set": {"thumbnails": []}})
    await assert_refused(world, photo, "WRONG_STATE")


async def test_the_redactions_of_a_photo_are_limited(world: World) -> None:
    """A rejected redaction no longer counts, so nobody can block new redactions of a photo for ever."""
    _, photo = await ready_photo(world)
    made = [await requested(world, photo) for _ in range(MAX_OF_MEDIUM)]
    await assert_refused(world, photo, "LIMIT_EXCEEDED")
    await take(world, "officer", "reject", id=new_id("evt"), redactionId=made[0], reason="不用了")
    await requested(world, photo)
    await assert_refused(world, photo, "LIMIT_EXCEEDED")


async def test_one_person_cannot_fill_the_queue(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit counts no requests of other people, and no requests that the worker has finished."""
    monkeypatch.setattr("api.publication.redaction_review.MAX_WAITING", 2)
    _, photo = await ready_photo(world)
    for _ in range(2):
        await requested(world, photo)
    await assert_refused(world, photo, "BUSY")
    given = {"id": new_id("red"), "mediaId": photo, "purpose": "通报用图"}
    assert (await take(world, "clerk", "request", **given))["state"] == "REQUESTED"
    await worker(world, tmp_path).do_one()
    await requested(world, photo)
    await assert_refused(world, photo, "BUSY")


async def test_an_assigned_case_does_not_allow_a_redaction_request(world: World) -> None:
    """An assignee sees the photos of a case even outside the assignee's scope, but only the office may release them."""
    observation, photo = await ready_photo(world)
    case = await world.open_case("officer", observation)
    given = {"id": new_id("asg"), "caseId": case["id"], "assigneeId": world.people["neighbour"].id}
    store = world.store.mongo.collection("assignments")
    await store.insert_one(
        {"_id": given["id"], "case_id": case["id"], "assignee_id": given["assigneeId"], "state": "OFFERED"}
    )
    await assert_refused(world, photo, "OUT_OF_SCOPE", name="neighbour")
