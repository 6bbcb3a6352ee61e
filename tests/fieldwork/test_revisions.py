"""Test revisions: a correction is appended, the first version stays readable, and only the author corrects."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from schema.core.pagination import Page
from schema.fieldwork.drafts import MAX_MEDIA, MAX_TEXT
from tests.support.observation_queries import ONE, REVISE
from tests.support.world import World, draft, medium, new_id

LISTED = "{ observations(first: 2) { edges { node { id revisions { content { text } } } } } }"
pytestmark = pytest.mark.both_drivers


async def test_a_revision_is_appended_and_the_first_version_stays_readable(world: World) -> None:
    first_photo, second_photo = medium(b"1"), medium(b"2")
    sent = draft(media=[first_photo])
    await world.submit("inspector", sent)
    correction = {
        "id": new_id("rev"),
        "reason": "时间写错",
        "content": sent | {"text": "上午十点窗口无人在岗", "media": [second_photo]},
    }
    answer = (await world.ask("inspector", REVISE, input=correction))["reviseObservation"]
    assert answer["observation"]["content"] == {
        "text": "上午十点窗口无人在岗",
        "media": [{"id": first_photo["id"]}, {"id": second_photo["id"]}],
    }
    assert [each["content"]["text"] for each in answer["observation"]["revisions"]] == [
        "上午九点窗口无人在岗",
        "上午十点窗口无人在岗",
    ]
    assert [each["mediaId"] for each in answer["uploads"]] == [second_photo["id"]]
    before = await world.snapshot()
    assert (await world.ask("inspector", REVISE, input=correction))["reviseObservation"]["observation"]["revision"] == 2
    other = (await world.ask("inspector", REVISE, input=correction | {"reason": "另一个理由"}))["reviseObservation"]
    assert other["code"] == "CONFLICT"
    assert await world.snapshot() == before
    [replay] = await world.submit("inspector", sent)
    assert replay["outcome"] == "DUPLICATE"


async def test_a_corrected_unit_places_the_observation_again(world: World) -> None:
    sent = draft(unit="nowhere")
    await world.submit("inspector", sent)
    correction = {"id": new_id("rev"), "reason": "单位写错", "content": sent | {"unit": "360703-JT"}}
    await world.ask("inspector", REVISE, input=correction)
    stored = (await world.ask("inspector", ONE, id=sent["id"]))["observation"]
    assert (stored["placement"], stored["unit"]["code"]) == ("PLACED", "360703-JT")
    assert [each["number"] for each in stored["revisions"]] == [1, 2]


async def test_concurrent_revisions_are_all_kept(world: World) -> None:
    sent = draft()
    await world.submit("inspector", sent)
    corrections: list[dict[str, Any]] = [
        {"id": new_id("rev"), "reason": f"更正 {n}", "content": sent | {"text": f"第 {n} 稿"}} for n in range(6)
    ]
    await asyncio.gather(*(world.ask("inspector", REVISE, input=each) for each in corrections))
    stored = (await world.ask("inspector", ONE, id=sent["id"]))["observation"]
    assert [each["number"] for each in stored["revisions"]] == [1, 2, 3, 4, 5, 6, 7]
    assert {each["id"] for each in stored["revisions"]} == {sent["id"], *(each["id"] for each in corrections)}


async def test_only_the_author_revises(world: World) -> None:
    sent = draft()
    await world.submit("inspector", sent)
    before = await world.snapshot()
    for name in ("inspector2", "officer"):
        correction = {"id": new_id("rev"), "reason": "不是我的", "content": sent | {"method": "PATROL"}}
        answer = (await world.ask(name, REVISE, input=correction))["reviseObservation"]
        assert answer["code"] == "NOT_FOUND"
    assert await world.snapshot() == before


async def test_media_of_all_revisions_count_toward_the_limit(world: World) -> None:
    """A correction that lists known media again adds none, so corrections of the text remain possible."""
    photos = [medium(bytes([number])) for number in range(MAX_MEDIA + 1)]
    sent = draft(media=photos[:60])
    await world.submit("inspector", sent)

    async def revise(media: list[dict[str, Any]]) -> dict[str, Any]:
        correction = {"id": new_id("rev"), "reason": "补充照片", "content": sent | {"media": media}}
        answer: dict[str, Any] = (await world.ask("inspector", REVISE, input=correction))["reviseObservation"]
        return answer

    before = await world.snapshot()
    refused = await revise(photos[60:])
    assert (refused["code"], refused["field"]) == ("LIMIT_EXCEEDED", "content.media")
    assert await world.snapshot() == before
    assert (await revise(photos[60:MAX_MEDIA]))["observation"]["revision"] == 2
    assert (await revise(photos[MAX_MEDIA:]))["code"] == "LIMIT_EXCEEDED"
    assert (await revise(photos[:MAX_MEDIA]))["observation"]["revision"] == 3
    assert len((await revise([]))["observation"]["content"]["media"]) == MAX_MEDIA


async def test_lists_read_only_the_first_revision_and_the_field_loads_them_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The corrections have long texts, which must not be read for every list that has the observation."""
    sent, texts = draft(), [str(number) * MAX_TEXT for number in range(3)]
    await world.submit("inspector", sent)
    for text in texts:
        content = sent | {"text": text}
        await world.ask("inspector", REVISE, input={"id": new_id("rev"), "reason": "更正", "content": content})
    plain = await world.observe()
    case = await world.open_case("officer", sent["id"], plain)
    store = world.store.observations
    for found in (
        await store.page({}, Page(2, None)),
        await store.of_cases([case["id"]], {}, 10),
        await store.many([sent["id"], plain]),
    ):
        read = {observation.id: observation for observation in found}
        assert {id: len(observation.revisions) for id, observation in read.items()} == {sent["id"]: 1, plain: 1}
        assert (read[sent["id"]].revision, read[sent["id"]].content.text) == (4, texts[-1])
        for id, observation in read.items():
            whole = await store.whole(id)
            assert whole is not None
            assert observation == replace(whole, revisions=whole.revisions[:1])
    listed = (await world.ask("clerk", LISTED))["observations"]["edges"]
    shown = {edge["node"]["id"]: [each["content"]["text"] for each in edge["node"]["revisions"]] for edge in listed}
    assert shown == {sent["id"]: [sent["text"], *texts], plain: [draft()["text"]]}
    monkeypatch.setattr("api.fieldwork.loaders.MAX_REVISIONS_AT_ONCE", 3)
    assert await world.errors("clerk", LISTED) == ["LIMIT_EXCEEDED"]
