"""Test the evidence of a unit's reply: photos and documents, seen by those who see the notice."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from api.casework import notice_steps
from api.checks.runner import CheckRunner
from api.graphql.context import Context, clock
from api.media.verification import MediaVerifier
from schema.casework.notices import Notice
from schema.sync.changes import ChangeKind
from storage.formats.sandbox import Decoder
from tests.support.case_steps import open_investigated_case
from tests.support.flags import flags_of
from tests.support.notices import do, issued, stepped
from tests.support.uploads import JPEG, confirm, hand_in, late_announcement, request_uploads, upload
from tests.support.world import World, medium, new_id

EVIDENCE = "id state contentType observation { id } device link(rendition: ORIGINAL) { url }"
READ = f"""
query Read($id: ID!) {{ node(id: $id) {{ ... on Notice {{ case {{ id }} history {{ state media {{ {EVIDENCE} }} }} }} }} }}"""
NODE = "query One($id: ID!) { node(id: $id) { id ... on Media { state } } }"


async def replied(world: World, notice_id: str, *media: dict[str, Any], **fields: Any) -> dict[str, Any]:
    given = {"id": new_id("evt"), "noticeId": notice_id, "text": "值班表已公布", "media": list(media)} | fields
    return await do(world, "liaison", "replyToNotice", **given)


async def evidence_of(world: World, person: str, notice_id: str) -> list[dict[str, Any]]:
    notice = (await world.ask(person, READ, id=notice_id))["node"]
    return [each for event in notice["history"] for each in event["media"]]


async def test_the_units_photo_is_uploaded_verified_and_shown_with_the_notice(world: World, tmp_path: Path) -> None:
    notice = await issued(world, await open_investigated_case(world))
    photo = medium(JPEG)
    answer = await replied(world, notice["id"], photo)
    [slot] = answer["uploads"]
    async with httpx.AsyncClient() as http:
        assert await upload(http, slot, JPEG) == 200
        await confirm(world, photo["id"], name="liaison")
        seen_too, _ = await hand_in(world, http, "inspector", JPEG)
        async with Decoder() as decoder:
            work = MediaVerifier(world.store, decoder, tmp_path, clock)
            while await work.do_one():
                await CheckRunner(world.store, clock).do_all()
        assert await world.store.likenesses.of([photo["id"]]) == {}
        assert await flags_of(world, seen_too) == [], "a unit's evidence is no observation to compare with"
        for person in ("liaison", "officer", "supervisor", "city_officer"):
            [seen] = await evidence_of(world, person, notice["id"])
            assert (seen["state"], seen["observation"], seen["device"]) == ("READY", None, None)
            assert (await http.get(seen["link"]["url"])).content == JPEG
            assert (await world.ask(person, NODE, id=photo["id"]))["node"]["state"] == "READY"
    for person in ("neighbour", "inspector", "monitor"):
        assert (await world.ask(person, NODE, id=photo["id"]))["node"] is None, person


async def test_a_repeated_reply_gives_slots_for_what_has_not_arrived(world: World) -> None:
    notice = await issued(world, await open_investigated_case(world))
    photo, step = medium(b"first"), new_id("evt")
    first = await replied(world, notice["id"], photo, id=step)
    before = await world.snapshot()
    again = await replied(world, notice["id"], photo, id=step)
    assert [slot["mediaId"] for slot in again["uploads"]] == [photo["id"]]
    assert again["notice"] == first["notice"]
    assert (await replied(world, notice["id"], medium(b"other"), id=step))["code"] == "CONFLICT"
    assert await world.snapshot() == before


async def test_evidence_that_a_reply_cannot_have_is_refused(world: World) -> None:
    notice = await issued(world, await open_investigated_case(world))
    taken = medium(b"an inspector's")
    await world.observe(media=[taken])
    twice = medium(b"twice")
    before = await world.snapshot()
    for media, code in (
        ([medium(b"fresh"), taken], "CONFLICT"),
        ([twice, twice], "BAD_INPUT"),
        ([medium(bytes([number])) for number in range(21)], "BAD_INPUT"),
        ([medium(b"x", contentType="text/html")], "BAD_INPUT"),
    ):
        assert (await replied(world, notice["id"], *media))["code"] == code
    step = {"id": new_id("evt"), "noticeId": notice["id"], "media": [medium(b"early")]}
    assert (await do(world, "liaison", "acknowledgeNotice", **step))["field"] == "media"
    assert await world.snapshot() == before


async def test_a_reply_to_a_notice_that_is_returned_meanwhile_names_only_media_of_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notice is read as REPLIED, and is RETURNED when the step is written."""
    notice = await issued(world, await open_investigated_case(world))
    await replied(world, notice["id"])
    taken = medium(b"an inspector's")
    await world.observe(media=[taken])
    really = notice_steps._visible_notice
    returned: list[dict[str, Any]] = []

    async def late(context: Context, id: str) -> Notice:
        found = await really(context, id)
        if not returned and context.actor.user_id == world.people["liaison"].id:
            returned.append(await stepped(world, "officer", "returnNotice", notice["id"], "再报"))
        return found

    monkeypatch.setattr(notice_steps, "_visible_notice", late)
    assert (await replied(world, notice["id"], taken))["code"] == "CONFLICT"
    assert returned
    own = medium(b"own")
    again = await replied(world, notice["id"], own)
    assert [slot["mediaId"] for slot in again["uploads"]] == [own["id"]]


async def test_evidence_of_an_earlier_reply_may_be_named_again(world: World) -> None:
    notice, photo = await issued(world, await open_investigated_case(world)), medium(b"again")
    await replied(world, notice["id"], photo)
    await stepped(world, "officer", "returnNotice", notice["id"], "再报")
    answer = await replied(world, notice["id"], photo, medium(b"more"))
    assert len(answer["uploads"]) == 2
    assert [each["id"] for each in await evidence_of(world, "officer", notice["id"])].count(photo["id"]) == 2


async def test_a_write_of_evidence_concerns_no_observation_of_the_change_feed(world: World) -> None:
    notice, photo = await issued(world, await open_investigated_case(world)), medium(b"fed")
    await replied(world, notice["id"], photo)
    written = [{"ns": {"coll": "media"}, "documentKey": {"_id": photo["id"]}}]
    assert (await world.store.change_sources.affected_records(written))[ChangeKind.OBSERVATION] == set()


async def test_a_reply_that_comes_too_late_stores_no_media(world: World) -> None:
    notice = await issued(world, await open_investigated_case(world))
    await stepped(world, "officer", "withdrawNotice", notice["id"], "下达有误")
    before = await world.snapshot()
    assert (await replied(world, notice["id"], medium(b"late")))["code"] == "WRONG_STATE"
    assert await world.snapshot() == before


async def test_a_liaison_announces_no_media_of_observations(world: World) -> None:
    seen, photo = await world.observe(), medium(b"smuggled")
    before = await world.snapshot()
    [result] = await request_uploads(world, late_announcement(photo, seen), name="liaison")
    assert (result["slot"], result["refusal"]["code"]) == (None, "FORBIDDEN")
    assert await world.snapshot() == before
