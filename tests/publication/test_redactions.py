"""Test redactions, from the request to the release.

Two people are needed. The second person must open the copy before approving it. Others can't see it until then.
"""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from schema.publication.redactions import MOVES, RedactionState, states_before
from storage.publication.redaction_sandbox import face_model
from tests.support.picture_files import BLACK, near
from tests.support.redactions import (
    BOX,
    COUNTER,
    approved,
    awaiting,
    corrected,
    of_medium,
    one,
    ready_photo,
    requested,
    sha256_of,
    take,
    worker,
)
from tests.support.world import World, new_id


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as client:
        yield client


def kinds(redaction: dict[str, Any]) -> list[str]:
    return [each["kind"] for each in redaction["history"]]


async def test_a_redaction_goes_from_request_to_release(world: World, http: httpx.AsyncClient, tmp_path: Path) -> None:
    observation, photo = await ready_photo(world)
    id = await requested(world, photo)
    work = worker(world, tmp_path, model=face_model())
    assert await work.do_one() is True
    assert await work.do_one() is False
    proposed = await one(world, "officer", id)
    assert proposed
    assert (proposed["state"], proposed["faceDetection"], proposed["link"]) == ("PROPOSED", "DONE", None)
    faces = proposed["faces"]
    assert len(faces) == 3
    assert proposed["boxes"] == faces
    assert {face["origin"] for face in faces} == {"FACE"}

    # One face is dropped as false, one is widened, one stays, and a sign is added.
    edges = [{edge: face[edge] for edge in ("left", "top", "right", "bottom")} for face in faces]
    sent = [edges[0], edges[1] | {"bottom": edges[1]["bottom"] + 0.05}, BOX]
    rendering = await corrected(world, id, "officer", *sent)
    assert (rendering["state"], rendering["revision"]) == ("RENDERING", 1)
    assert [box["origin"] for box in rendering["boxes"]] == ["FACE", "HAND", "HAND"]
    assert rendering["faces"] == faces
    assert await work.do_one() is True

    made = await one(world, "clerk", id)
    assert made
    assert (made["state"], made["rendering"]["width"], made["rendering"]["height"]) == ("AWAITING_APPROVAL", 640, 480)
    body = (await http.get(made["link"]["url"])).content
    assert sha256_of(body) == made["rendering"]["sha256"]
    assert len(body) == made["rendering"]["byteSize"]
    copy = Image.open(io.BytesIO(body))
    for box in sent:
        middle = (int((box["left"] + box["right"]) * 320), int((box["top"] + box["bottom"]) * 240))
        assert near(copy.getpixel(middle), BLACK), box

    assert (await approved(world, made, "officer"))["code"] == "OWN_WORK"
    done = await approved(world, made)
    assert done["state"] == "APPROVED"
    assert done["decidedBy"] == {"id": world.people["clerk"].id}
    assert kinds(done) == ["REQUESTED", "PROPOSED", "CORRECTED", "RENDERED", "APPROVED"]
    assert [each["by"] and each["by"]["id"] for each in done["history"]] == [
        world.people["officer"].id,
        None,
        world.people["officer"].id,
        None,
        world.people["clerk"].id,
    ]
    assert [each["boxCount"] for each in done["history"]] == [None, 3, 3, None, None]
    for name in ("inspector", "supervisor"):
        [seen] = await of_medium(world, name, observation)
        assert (await http.get(seen["link"]["url"])).content == body
    original = await world.store.media.many([photo])
    assert (await http.get(await original_url(world, original[0].key))).content == COUNTER


async def original_url(world: World, key: str) -> str:
    [url] = await world.store.objects.sign_gets([(key, "image/jpeg")], seconds=60)
    return url


async def test_people_cannot_approve_what_they_requested_or_corrected(world: World, tmp_path: Path) -> None:
    _, photo = await ready_photo(world)
    first = await awaiting(world, tmp_path, photo)
    await corrected(world, first["id"], "clerk", revision=1)
    await worker(world, tmp_path).do_one()
    made = await one(world, "officer", first["id"])
    assert made
    before = await world.snapshot()
    for name in ("officer", "clerk"):
        refused = await approved(world, made, name)
        assert (refused["code"], refused["nextStep"]) == ("OWN_WORK", "DISCARD")
        assert refused["messageZh"] == "须由经办人以外的人员复核。"
    assert await world.snapshot() == before
    assert (await approved(world, made, "city_officer"))["state"] == "APPROVED"


async def test_an_approval_is_valid_only_for_the_copy_that_was_viewed(world: World, tmp_path: Path) -> None:
    _, photo = await ready_photo(world)
    seen = await awaiting(world, tmp_path, photo)
    await one(world, "clerk", seen["id"])
    await corrected(world, seen["id"], revision=1)
    assert (await approved(world, seen))["code"] == "WRONG_STATE"
    other = {"left": 0.0, "top": 0.0, "right": 0.1, "bottom": 0.1}
    assert (await corrected(world, seen["id"], "officer", other, revision=2))["revision"] == 3
    await worker(world, tmp_path).do_one()
    before = await world.snapshot()
    refused = await approved(world, seen)
    assert (refused["code"], refused["field"], refused["nextStep"]) == ("OUTDATED", "sha256", "FIX_AND_RESEND")
    assert await world.snapshot() == before
    now = await one(world, "clerk", seen["id"])
    assert now
    assert now["rendering"]["revision"] == 3
    assert now["rendering"]["sha256"] != seen["rendering"]["sha256"]
    assert (await approved(world, now))["state"] == "APPROVED"


async def test_a_requester_cannot_approve_what_another_person_corrected(world: World, tmp_path: Path) -> None:
    _, photo = await ready_photo(world)
    id, work = await requested(world, photo), worker(world, tmp_path)
    await work.do_one()
    await corrected(world, id, "clerk")
    await work.do_one()
    made = await one(world, "officer", id)
    assert made
    before = await world.snapshot()
    assert (await approved(world, made, "officer"))["code"] == "OWN_WORK"
    assert await world.snapshot() == before


async def test_only_one_of_a_concurrent_approval_and_correction_succeeds(world: World, tmp_path: Path) -> None:
    _, photo = await ready_photo(world)
    for _ in range(2):
        made = await awaiting(world, tmp_path, photo)
        await one(world, "clerk", made["id"])
        sha256 = made["rendering"]["sha256"]
        approval, correction = await asyncio.gather(
            take(world, "clerk", "approve", id=new_id("evt"), redactionId=made["id"], sha256=sha256),
            corrected(world, made["id"], revision=1),
        )
        assert sorted((approval.get("code", "done"), correction.get("code", "done"))) == ["WRONG_STATE", "done"]
        now = await one(world, "officer", made["id"])
        assert now
        expected = ("APPROVED", 1) if "state" in approval else ("RENDERING", 2)
        assert (now["state"], now["revision"]) == expected
        await worker(world, tmp_path).do_one()


async def test_a_copy_that_the_approver_never_opened_cannot_be_approved(world: World, tmp_path: Path) -> None:
    """To know the digest is not enough. The approver must have been given a link to exactly this copy."""
    _, photo = await ready_photo(world)
    made = await awaiting(world, tmp_path, photo)
    sent = {"id": new_id("evt"), "redactionId": made["id"], "sha256": made["rendering"]["sha256"]}
    await world.ask("clerk", "query($id: ID!) { redaction(id: $id) { rendering { sha256 } } }", id=made["id"])
    await one(world, "city_officer", made["id"])
    before = await world.snapshot()
    refused = await take(world, "clerk", "approve", **sent)
    assert (refused["code"], refused["field"]) == ("OUTDATED", "sha256")
    assert await world.snapshot() == before
    await one(world, "clerk", made["id"])
    assert (await take(world, "clerk", "approve", **sent))["state"] == "APPROVED"


async def test_boxes_drawn_on_an_outdated_revision_are_refused(world: World, tmp_path: Path) -> None:
    _, photo = await ready_photo(world)
    id = await requested(world, photo)
    assert (await corrected(world, id))["code"] == "WRONG_STATE"
    await worker(world, tmp_path).do_one()
    answers = await asyncio.gather(*(corrected(world, id, name) for name in ("officer", "clerk", "city_officer")))
    codes = sorted(answer.get("code", answer.get("state")) for answer in answers)
    assert codes == ["OUTDATED", "OUTDATED", "RENDERING"]
    now = await one(world, "officer", id)
    assert now
    assert (now["revision"], kinds(now).count("CORRECTED")) == (1, 1)


async def test_repeating_any_step_changes_nothing(world: World, tmp_path: Path) -> None:
    _, photo = await ready_photo(world)
    id, work = new_id("red"), worker(world, tmp_path)
    sent: list[tuple[str, str, dict[str, Any]]] = []

    async def again(name: str, what: str, **input: Any) -> None:
        first = await take(world, name, what, **input)
        assert "code" not in first, first
        sent.append((name, what, input))
        before = await world.snapshot()
        replays = await asyncio.gather(*(take(world, *each[:2], **each[2]) for each in sent * 2))
        assert {replay["state"] for replay in replays} == {first["state"]}
        assert await world.snapshot() == before

    await again("officer", "request", id=id, mediaId=photo, purpose="通报用图")
    await work.do_one()
    await again("officer", "correct", id=new_id("evt"), redactionId=id, revision=0, boxes=[BOX])
    await work.do_one()
    now = await one(world, "clerk", id)
    assert now
    await again("clerk", "approve", id=new_id("evt"), redactionId=id, sha256=now["rendering"]["sha256"])
    await again("officer", "reject", id=new_id("evt"), redactionId=id, reason="发现遗漏")


async def test_concurrent_identical_steps_count_once(world: World, tmp_path: Path) -> None:
    _, photo = await ready_photo(world)
    id = new_id("red")
    asked = [take(world, "officer", "request", id=id, mediaId=photo, purpose="通报用图") for _ in range(4)]
    assert {answer["id"] for answer in await asyncio.gather(*asked)} == {id}
    await worker(world, tmp_path).do_one()
    event = new_id("evt")
    sent = {"id": event, "redactionId": id, "revision": 0, "boxes": [BOX]}
    answers = await asyncio.gather(*(take(world, "officer", "correct", **sent) for _ in range(4)))
    assert {answer["revision"] for answer in answers} == {1}
    now = await one(world, "officer", id)
    assert now
    assert kinds(now) == ["REQUESTED", "PROPOSED", "CORRECTED"]


async def test_different_content_under_a_taken_id_is_a_conflict(world: World, tmp_path: Path) -> None:
    _, photo = await ready_photo(world)
    made = await awaiting(world, tmp_path, photo)
    [*_, event] = (await world.store.redactions.many([made["id"]]))[0].history[:3]
    before = await world.snapshot()
    for name, what, input in (
        ("officer", "request", {"id": made["id"], "mediaId": photo, "purpose": "另作他用"}),
        ("clerk", "request", {"id": made["id"], "mediaId": photo, "purpose": "通报用图"}),
        ("officer", "correct", {"id": event.id, "redactionId": made["id"], "revision": 1, "boxes": []}),
        ("clerk", "approve", {"id": event.id, "redactionId": made["id"], "sha256": made["rendering"]["sha256"]}),
        ("clerk", "reject", {"id": event.id, "redactionId": made["id"], "reason": "不宜"}),
    ):
        refused = await take(world, name, what, **input)
        assert (refused["code"], refused["field"]) == ("CONFLICT", "id"), (name, what)
    assert await world.snapshot() == before


async def test_an_approved_redaction_can_be_rejected_later(world: World, tmp_path: Path) -> None:
    observation, photo = await ready_photo(world)
    made = await awaiting(world, tmp_path, photo)
    await approved(world, made)
    back = await take(world, "officer", "reject", id=new_id("evt"), redactionId=made["id"], reason="背景中尚有一人")
    assert (back["state"], back["link"], back["history"][-1]["note"]) == ("REJECTED", None, "背景中尚有一人")
    assert await of_medium(world, "supervisor", observation) == []
    [seen] = await of_medium(world, "clerk", observation)
    assert (seen["state"], seen["link"]) == ("REJECTED", None)
    [kept] = await world.store.redactions.many([made["id"]])
    assert kept.rendering
    assert await world.store.objects.size_of(kept.rendering.key) == made["rendering"]["byteSize"]
    for refused in (
        await approved(world, made),
        await corrected(world, made["id"], revision=1),
        await take(world, "clerk", "reject", id=new_id("evt"), redactionId=made["id"], reason="再次"),
    ):
        assert refused["code"] == "WRONG_STATE"


async def test_a_rejected_request_gets_no_boxes(world: World, tmp_path: Path) -> None:
    _, photo = await ready_photo(world)
    id = await requested(world, photo)
    await take(world, "officer", "reject", id=new_id("evt"), redactionId=id, reason="不再需要")
    assert await worker(world, tmp_path).do_one() is False
    now = await one(world, "officer", id)
    assert now
    assert kinds(now) == ["REQUESTED", "REJECTED"]


def test_each_state_of_a_redaction_has_its_predecessors() -> None:
    assert set(MOVES) == set(RedactionState)
    assert states_before(RedactionState.APPROVED) == {RedactionState.AWAITING_APPROVAL}
    assert states_before(RedactionState.AWAITING_APPROVAL) == {RedactionState.RENDERING}
    live = set(RedactionState) - {RedactionState.REJECTED, RedactionState.FAILED}
    assert states_before(RedactionState.REJECTED) == live
