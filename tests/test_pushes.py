"""Pushes: who hears of what, in which order, on after a gap, and until when; over both transports, on a real server."""

import asyncio
import re
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from api import notice_board, streams, subscribers
from mobile_contract.levels import Levels
from storage.engines import Addresses
from tests.streaming import ASSIGNMENTS, CASES, Process, linked, listening, serving, signed_in
from tests.world import ACCEPT, ASSIGN, WITHDRAW, World, new_id


@pytest.fixture
def driver() -> str:
    return "motor"


async def give(
    world: World, to: str = "supervisor", case_id: str | None = None, by: str = "officer"
) -> tuple[str, str]:
    """Ids of a case and of its assignment to that person."""
    case_id = case_id or (await world.open_case())["id"]
    id = new_id("asg")
    given = {"id": id, "caseId": case_id, "assigneeId": world.people[to].id}
    answer = await world.ask(by, ASSIGN, input=given)
    assert "assignment" in answer["assign"], answer
    return case_id, id


async def test_an_assignment_is_told_as_it_changes(world: World) -> None:
    signed = await signed_in(world, "supervisor")
    async with serving(world) as address, linked(address, signed) as phone:
        await phone.subscribe(ASSIGNMENTS)
        assert (await phone.news())["__typename"] == "StreamPosition"
        case_id, id = await give(world)
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


async def test_the_same_over_server_sent_events(world: World) -> None:
    signed = await signed_in(world, "supervisor")
    async with serving(world) as address:
        async with listening(address, signed, ASSIGNMENTS) as events:
            assert (await events.news())["__typename"] == "StreamPosition"
            assert events.retry == 3000
            first = events.last_id
            _, id = await give(world)
            news = await events.news()
            assert (news["assignment"]["id"], news["cursor"]) == (id, events.last_id)
        assert first
        async with listening(address, signed, ASSIGNMENTS, "nonsense", **{"Last-Event-ID": first}) as events:
            assert (await events.news())["__typename"] == "StreamPosition"
            assert (await events.news())["assignment"]["id"] == id


async def test_a_case_comes_into_view_and_is_lost_again(world: World) -> None:
    """A city's case is shown to the county's supervisor by assignment alone."""
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
        _, first = await give(world, "inspector2", case["id"], "city_officer")
        _, id = await give(world, "supervisor", case["id"], "city_officer")
        # With the case come the assignments of it that others have.
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
        # Nothing of it came to the other one; and from now on nothing comes to the first.
        seen = (await give(world, "supervisor2"))[0]
        assert (await stranger.news())["case"]["id"] == seen
        rest: list[dict[str, Any]] = []
        while seen not in str(rest):
            rest.append(await phone.receive())
        assert not any("CaseChanged" in str(each) and case["id"] in str(each) for each in rest)


async def test_whom_the_table_does_not_admit_gets_no_stream_and_others_scopes_are_silent(world: World) -> None:
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


async def test_a_covert_assignee_stays_unknown_to_the_uncleared(world: World) -> None:
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


async def test_a_server_that_is_killed_loses_no_event_and_neither_does_another_process(
    world: World, engines: Addresses, tmp_path: Path
) -> None:
    signed, (case_id, _) = await signed_in(world, "officer"), await give(world)
    one, two = (Process(world, engines, tmp_path / name) for name in ("one", "two"))
    try:
        await asyncio.gather(one.start(), two.start())
        async with listening(one.address, signed, CASES) as events, linked(two.address, signed) as other:
            await other.subscribe(CASES)
            assert (await events.news())["__typename"] == (await other.news())["__typename"] == "StreamPosition"
            await world.ask("supervisor", ACCEPT, input={"id": (await give(world, case_id=case_id))[1]})
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


async def test_a_slow_reader_is_told_to_pull_and_nobody_waits_for_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscribers, "MOST_WAITING", 3)
    slow, quick = await signed_in(world, "officer"), await signed_in(world, "clerk")
    async with serving(world) as address, listening(address, slow, CASES) as held, linked(address, quick) as phone:
        await phone.subscribe(CASES)
        await phone.news()
        await held.news()
        gate = asyncio.Event()
        told = streams.Stream._told

        async def gated(self: Any, own: Any, notice: Any) -> Any:
            if own.viewer.user_id == slow.user_id:
                await gate.wait()
            async for event in told(self, own, notice):
                yield event

        monkeypatch.setattr(streams.Stream, "_told", gated)
        opened = []
        for _ in range(7):
            opened.append((await world.open_case())["id"])
            assert (await phone.news())["case"]["id"] == opened[-1]
        gate.set()
        first = await held.news()
        assert first["case"]["id"] == opened[0]
        resync = await held.news()
        assert (resync["__typename"], resync["reason"]) == ("Resync", "TOO_SLOW")
        last = await world.open_case()
        assert (await held.news())["case"]["id"] == last["id"]


async def test_a_session_that_ends_ends_its_streams_and_no_other(world: World) -> None:
    gone, kept = await signed_in(world, "supervisor"), await signed_in(world, "supervisor")
    async with (
        serving(world) as address,
        linked(address, gone) as lost,
        linked(address, kept) as phone,
        listening(address, gone, CASES) as events,
    ):
        for each in (lost, phone):
            await each.subscribe(CASES)
            await each.news()
        await events.news()
        await world.store.users.revoke_device(gone.user_id, gone.device_id, world.context(None).now)
        assert (await lost.news())["ended"] == "SESSION_ENDED"
        assert await lost.closed() == (4403, "SESSION_ENDED")
        assert (await events.news())["ended"] == "SESSION_ENDED"
        assert await events.next() is None
        case_id, _ = await give(world)
        assert (await phone.news())["case"]["id"] == case_id


async def test_a_closed_account_and_other_rights_end_a_stream_and_the_cursor_says_so(world: World) -> None:
    signed, closed = await signed_in(world, "clerk"), await signed_in(world, "supervisor")
    async with serving(world) as address:
        async with listening(address, closed, CASES) as events:
            await events.news()
            await world.store.users.close([closed.user_id], world.context(None).now)
            assert (await events.news())["ended"] == "SESSION_ENDED"
        async with linked(address, signed) as phone:
            await phone.subscribe(CASES)
            cursor = (await phone.news())["cursor"]
            county = world.units["360783"]
            moved = {"scope_ids": [county.id], "scope_paths": [county.path]}
            await world.store.mongo.collection("users").update_one({"_id": signed.user_id}, {"$set": moved})
            assert (await phone.news())["ended"] == "ACCESS_CHANGED"
            assert await phone.receive() == {"id": "1", "type": "complete"}
            case = await world.open_case()
            await phone.subscribe(CASES, cursor)
            resync = await phone.news()
            assert (resync["__typename"], resync["reason"]) == ("Resync", "ACCESS_CHANGED")
            foreign = await world.open_case("neighbour", await world.observe("neighbour", unit="360783-JT-1"))
            assert (await phone.news())["case"]["id"] == foreign["id"] != case["id"]


async def test_a_cursor_is_its_viewers_own(world: World) -> None:
    async with serving(world) as address:
        async with listening(address, await signed_in(world, "officer"), CASES) as events:
            cursor = (await events.news())["cursor"]
        async with linked(address, await signed_in(world, "clerk")) as phone:
            for since in (cursor, "x", cursor[:-4] + "AAAA", ""):
                await phone.subscribe(CASES, since)
                message = await phone.receive()
                assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "BAD_CURSOR"), since


async def test_a_history_that_is_gone_is_told_and_the_stream_goes_on(
    world: World, engines: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = await signed_in(world, "officer")
    async with serving(world) as address, listening(address, signed, CASES) as events:
        cursor = (await events.news())["cursor"]
    monkeypatch.setattr(notice_board, "MOST_KEPT", 3)
    for _ in range(8):
        await world.open_case()
    async with serving(world) as address, listening(address, signed, CASES, cursor) as events:
        resync = await events.news()
        assert (resync["__typename"], resync["reason"]) == ("Resync", "HISTORY_LOST")
        case = await world.open_case()
        assert (await events.news())["case"]["id"] == case["id"]


async def test_a_server_that_stops_says_so_and_hangs_on_nobody(
    world: World, engines: Addresses, tmp_path: Path
) -> None:
    signed = await signed_in(world, "officer")
    process = Process(world, engines, tmp_path / "api")
    try:
        await process.start()
        async with (
            linked(process.address, signed) as phone,
            linked(process.address, signed) as idle,
            listening(process.address, signed, CASES) as events,
        ):
            await phone.subscribe(CASES)
            await phone.news()
            await events.news()
            began = time.monotonic()
            ending = asyncio.ensure_future(process.stop())
            assert (await phone.news())["ended"] == "SERVER_STOPPING"
            assert await phone.closed() == await idle.closed() == (1001, "SERVER_STOPPING")
            assert (await events.news())["ended"] == "SERVER_STOPPING"
            assert await events.next() is None
            assert await ending == -signal.SIGTERM, "as uvicorn ends once all is done"
            assert time.monotonic() - began < 5
    finally:
        await process.close()


async def test_a_record_that_trips_our_code_ends_no_stream(world: World) -> None:
    signed = await signed_in(world, "officer")
    async with serving(world) as address, linked(address, signed) as phone:
        await phone.subscribe(CASES)
        await phone.news()
        broken = await world.open_case()
        assert (await phone.news())["case"]["id"] == broken["id"]
        await world.store.mongo.collection("cases").update_one({"_id": broken["id"]}, {"$unset": {"title": ""}})
        sound = await world.open_case()
        assert (await phone.news())["case"]["id"] == sound["id"]


async def test_a_phone_of_a_level_that_has_ended_gets_no_stream(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
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
