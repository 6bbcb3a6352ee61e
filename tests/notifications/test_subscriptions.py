"""Test subscriptions over both transports on a real server: who gets which events, in order, also after a gap."""

import asyncio
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from mobile_contract.levels import Levels
from storage.embedded.engines import Addresses
from tests.support.case_steps import assign_case
from tests.support.subscription_clients import ASSIGNMENTS, CASES, Process, linked, listening, serving, signed_in
from tests.support.world import ACCEPT, ASSIGN, HAND_ON, WITHDRAW, World, new_id


async def test_an_assignee_hears_of_each_change_of_an_assignment(world: World) -> None:
    signed = await signed_in(world, "supervisor")
    async with serving(world) as address, linked(address, signed) as phone:
        await phone.subscribe(ASSIGNMENTS)
        assert (await phone.news())["__typename"] == "StreamPosition"
        case_id, id = await assign_case(world)
        news = await phone.news()
        assert (news["__typename"], news["assignment"]["id"], news["assignment"]["state"]) == (
            "AssignmentChanged",
            id,
            "OFFERED",
        )
        assert news["assignment"]["case"]["id"] == case_id
        await world.ask("supervisor", ACCEPT, input={"id": id})
        assert (await phone.news())["assignment"]["state"] == "ACCEPTED"
        await phone.send(type="complete", id="1")
        await phone.subscribe(ASSIGNMENTS, news["cursor"], id="2")
        assert (await phone.news("2"))["__typename"] == "StreamPosition"
        assert (await phone.news("2"))["assignment"] == {
            "id": id,
            "state": "ACCEPTED",
            "assignee": {"id": signed.user_id, "displayName": "甲supervisor"},
            "case": {"id": case_id, "state": "INVESTIGATING"},
        }


async def test_an_assignee_hears_of_changes_over_server_sent_events(world: World) -> None:
    signed = await signed_in(world, "supervisor")
    async with serving(world) as address:
        async with listening(address, signed, ASSIGNMENTS) as events:
            assert (await events.news())["__typename"] == "StreamPosition"
            assert events.retry == 3000
            first = events.last_id
            _, id = await assign_case(world)
            news = await events.news()
            assert (news["assignment"]["id"], news["cursor"]) == (id, events.last_id)
        assert first
        async with listening(address, signed, ASSIGNMENTS, "nonsense", **{"Last-Event-ID": first}) as events:
            assert (await events.news())["__typename"] == "StreamPosition"
            assert (await events.news())["assignment"]["id"] == id


async def test_a_case_appears_with_its_assignment_and_is_lost_on_withdrawal(world: World) -> None:
    """The supervisor of a county can see a case of the city only because of the assignment."""
    case = await world.open_case("city_officer", await world.observe("city_inspector"))
    signed, other = await signed_in(world, "supervisor"), await signed_in(world, "supervisor2")
    async with (
        serving(world) as address,
        linked(address, signed) as phone,
        linked(address, other) as stranger,
    ):
        await phone.subscribe(CASES)
        await phone.subscribe(ASSIGNMENTS, id="a")
        await stranger.subscribe(CASES)
        began = [
            (await phone.receive())["type"],
            (await phone.receive())["type"],
            (await stranger.news())["__typename"],
        ]
        assert began == ["next", "next", "StreamPosition"]
        _, first = await assign_case(world, "inspector2", case["id"], "city_officer")
        _, id = await assign_case(world, "supervisor", case["id"], "city_officer")
        # The case brings the assignments that others have in it.
        shown: set[str] = set()
        while not shown >= {case["id"], first, id}:
            shown |= set(re.findall(r"(?:cas|asg)_[0-9a-f-]+", str(await phone.receive())))
        await world.ask("city_officer", WITHDRAW, input={"id": id})
        lost: set[str] = set()
        states: set[tuple[str, bool]] = set()
        while not lost >= {case["id"], first} or ("WITHDRAWN", False) not in states:
            [news] = (await phone.receive())["payload"]["data"].values()
            if news["__typename"] == "RecordLost":
                assert set(news) == {"__typename", "cursor", "id"}
                lost.add(news["id"])
            elif news["__typename"] == "AssignmentChanged":
                states.add((news["assignment"]["state"], news["assignment"]["case"] is not None))
        assert lost == {case["id"], first}, "one's own assignment stays to be seen, without its case"
        # The other phone has received nothing of it, and from now on the first receives nothing either.
        seen = (await assign_case(world, "supervisor2"))[0]
        assert (await stranger.news())["case"]["id"] == seen
        rest: list[dict[str, Any]] = []
        while seen not in str(rest):
            rest.append(await phone.receive())
        assert not any("CaseChanged" in str(each) and case["id"] in str(each) for each in rest)


async def test_a_case_is_lost_when_its_assignment_is_handed_on(world: World) -> None:
    case = await world.open_case("city_officer", await world.observe("city_inspector"))
    _, id = await assign_case(world, "supervisor", case["id"], "city_officer")
    _, other = await assign_case(world, "inspector2", case["id"], "city_officer")
    await world.ask("supervisor", ACCEPT, input={"id": id})
    onward = {"id": new_id("asg"), "assignmentId": id, "assigneeId": world.people["clerk"].id}
    signed = await signed_in(world, "supervisor")
    async with serving(world) as address, linked(address, signed) as phone:
        await phone.subscribe(CASES)
        await phone.subscribe(ASSIGNMENTS, id="a")
        await phone.receive()
        await phone.receive()
        await world.ask("supervisor", HAND_ON, input=onward)
        await world.ask("clerk", ACCEPT, input={"id": onward["id"]})
        lost: set[str] = set()
        while not lost >= {case["id"], other, onward["id"]}:
            [news] = (await phone.receive())["payload"]["data"].values()
            lost |= {news["id"]} if news["__typename"] == "RecordLost" else set()
        assert lost == {case["id"], other, onward["id"]}


async def test_streams_are_refused_by_role_and_filtered_by_scope(world: World) -> None:
    async with serving(world) as address:
        for name in ("monitor", "liaison", "admin"):
            async with linked(address, await signed_in(world, name)) as phone:
                await phone.subscribe(ASSIGNMENTS)
                message = await phone.receive()
                assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "FORBIDDEN")
        neighbour = await signed_in(world, "neighbour")
        async with linked(address, neighbour) as phone, linked(address, await signed_in(world, "officer")) as officer:
            for each in (phone, officer):
                await each.subscribe(CASES)
                assert (await each.news())["__typename"] == "StreamPosition"
            case = await world.open_case()
            assert (await officer.news())["case"]["id"] == case["id"]
            foreign = await world.open_case("neighbour", await world.observe("neighbour", unit="360783-JT-1"))
            assert (await phone.news())["case"]["id"] == foreign["id"]


async def test_a_covert_assignee_is_hidden_from_people_without_clearance(world: World) -> None:
    async with (
        serving(world) as address,
        linked(address, await signed_in(world, "clerk")) as clerk,
        linked(address, await signed_in(world, "officer")) as officer,
        linked(address, await signed_in(world, "inspector")) as inspector,
    ):
        for each in (clerk, officer, inspector):
            await each.subscribe(ASSIGNMENTS)
            await each.news()
        given = {"id": new_id("asg"), "unitId": world.units["360703-JT"].id}
        await world.ask("officer", ASSIGN, input=given | {"assigneeId": world.people["inspector"].id})
        seen = [(await each.news())["assignment"] for each in (clerk, officer, inspector)]
        assert [each["id"] for each in seen] == [given["id"]] * 3
        assert [bool(each["assignee"]) for each in seen] == [False, True, True]


async def test_a_killed_server_loses_no_event_and_another_can_resume(
    world: World, engines: Addresses, tmp_path: Path
) -> None:
    signed, (case_id, _) = await signed_in(world, "officer"), await assign_case(world)
    one, two = (Process(world, engines, tmp_path / name) for name in ("one", "two"))
    try:
        await asyncio.gather(one.start(), two.start())
        async with listening(one.address, signed, CASES) as events, linked(two.address, signed) as other:
            await other.subscribe(CASES)
            assert (await events.news())["__typename"] == (await other.news())["__typename"] == "StreamPosition"
            await world.ask("supervisor", ACCEPT, input={"id": (await assign_case(world, case_id=case_id))[1]})
            seen = [await events.news(), await other.news()]
            assert {each["case"]["id"] for each in seen} == {case_id}
            cursor = seen[0]["cursor"]
            await one.kill()
            with suppress(httpx.RemoteProtocolError):
                while await events.next():
                    pass
        missed = [(await world.open_case())["id"] for _ in range(5)]
        await one.start()
        for process in (one, two):
            async with listening(process.address, signed, CASES, cursor) as events:
                assert (await events.news())["__typename"] == "StreamPosition"
                found = []
                while missed[-1] not in found:
                    found.append((await events.news())["case"]["id"])
                assert [id for id in found if id != case_id] == missed
    finally:
        await one.close()
        await two.close()


async def test_a_cursor_that_is_another_viewers_or_forged_is_refused(world: World) -> None:
    async with serving(world) as address:
        async with listening(address, await signed_in(world, "officer"), CASES) as events:
            cursor = (await events.news())["cursor"]
        async with linked(address, await signed_in(world, "clerk")) as phone:
            for since in (cursor, "x", cursor[:-4] + "AAAA", ""):
                await phone.subscribe(CASES, since)
                message = await phone.receive()
                assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "BAD_CURSOR"), since


async def test_a_record_that_raises_does_not_end_the_stream(world: World) -> None:
    signed = await signed_in(world, "officer")
    async with serving(world) as address, linked(address, signed) as phone:
        await phone.subscribe(CASES)
        await phone.news()
        broken = await world.open_case()
        assert (await phone.news())["case"]["id"] == broken["id"]
        await world.store.mongo.collection("cases").update_one({"_id": broken["id"]}, {"$unset": {"title": ""}})
        sound = await world.open_case()
        assert (await phone.news())["case"]["id"] == sound["id"]


async def test_a_phone_of_an_outdated_contract_level_gets_no_stream(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = Levels(current=9, oldest=9)
    monkeypatch.setattr(Levels, "read", classmethod(lambda _: ended))
    signed = await signed_in(world, "officer")
    async with serving(world) as address:
        for named, outcome in (({"Mingcha-Level": 3}, "error"), ({"mingcha-level": "9"}, "next"), ({}, "next")):
            async with linked(address, signed, **named) as phone:
                await phone.subscribe(CASES)
                message = await phone.receive()
                assert message["type"] == outcome, named
                assert ("LEVEL_TOO_OLD" in str(message)) == (outcome == "error")
