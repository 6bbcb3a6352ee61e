"""Test rectification notices: the unit answers, another person verifies, and nothing closes before."""

import asyncio
from typing import Any

import pytest

from api.casework import notice_issue, notice_steps
from schema.access.viewers import Role
from tests.support.case_steps import move_case, open_investigated_case
from tests.support.notices import NOTICES, OF_CASE, do, issued, order, stepped
from tests.support.world import CASE, OPEN, World, new_id

CLOSING = {"outcome": "SUBSTANTIATED", "reply": "已整改"}


async def of_case(world: World, id: str, person: str = "officer") -> dict[str, Any]:
    found: dict[str, Any] = (await world.ask(person, OF_CASE, id=id))["case"]
    return found


async def listed(world: World, person: str, **variables: Any) -> list[str]:
    found = (await world.ask(person, NOTICES, **variables))["notices"]["edges"]
    return [edge["node"]["id"] for edge in found]


@pytest.mark.both_drivers
async def test_a_notice_lives_from_issue_over_a_return_to_its_verification(world: World) -> None:
    case = await open_investigated_case(world)
    notice = await issued(world, case)
    assert (notice["state"], notice["sequence"], notice["returns"]) == ("ISSUED", 1, 0)
    assert notice["number"] == f"360703-XNB-督办-{notice['year']}-0001"
    assert (notice["unit"]["code"], notice["office"]["code"]) == ("360703-JT-1", "360703-XNB")
    assert (await of_case(world, case))["state"] == "RECTIFYING"

    id = notice["id"]
    assert (await stepped(world, "liaison", "acknowledgeNotice", id))["state"] == "ACKNOWLEDGED"
    assert (await stepped(world, "liaison", "replyToNotice", id, "已批评教育"))["state"] == "REPLIED"
    assert (await of_case(world, case))["state"] == "VERIFYING"
    returned = await stepped(world, "officer", "returnNotice", id, "请附值班表")
    assert (returned["state"], returned["returns"]) == ("RETURNED", 1)
    assert (await of_case(world, case))["state"] == "RECTIFYING"
    await stepped(world, "liaison", "replyToNotice", id, "值班表已公布")
    verified = await stepped(world, "clerk", "verifyNotice", id, "已到现场核查")
    assert verified["state"] == "VERIFIED"
    assert verified["endedAt"] is not None

    seen = await of_case(world, case)
    assert [each["id"] for each in seen["notices"]] == [id]
    texts = [(event["state"], event["text"]) for event in seen["notices"][0]["history"]]
    assert texts[2:4] == [("REPLIED", "已批评教育"), ("RETURNED", "请附值班表")]
    kinds = [event["kind"] for event in seen["history"] if event["kind"].startswith("NOTICE")]
    assert kinds == ["NOTICE_ISSUED", "NOTICE_REPLIED", "NOTICE_RETURNED", "NOTICE_REPLIED", "NOTICE_VERIFIED"]
    assert (await move_case(world, case, "CLOSED", **CLOSING))["case"]["state"] == "CLOSED"


@pytest.mark.both_drivers
async def test_a_case_is_not_closed_while_a_notice_of_it_is_open(world: World) -> None:
    """Rule 1. The case is VERIFYING, so that only the other notice keeps it from closing."""
    case = await open_investigated_case(world)
    first, second = await issued(world, case), await issued(world, case)
    await stepped(world, "liaison", "replyToNotice", first["id"], "已整改")
    assert (await of_case(world, case))["state"] == "RECTIFYING", "one notice still waits for its reply"
    await stepped(world, "liaison", "replyToNotice", second["id"], "已整改")
    await stepped(world, "clerk", "verifyNotice", first["id"])
    before = await world.snapshot()
    answer = await move_case(world, case, "CLOSED", **CLOSING)
    assert (answer["code"], answer["field"]) == ("WRONG_STATE", "to")
    assert await world.snapshot() == before
    await stepped(world, "officer", "withdrawNotice", second["id"], "重复下达")
    assert (await move_case(world, case, "CLOSED", **CLOSING))["case"]["state"] == "CLOSED"


async def test_a_notice_and_the_closing_of_its_case_never_both_happen(world: World) -> None:
    """They are sent at once. Whichever is first, no closed case has an open notice."""
    for _ in range(8):
        case = await open_investigated_case(world)
        issuing, closing = await asyncio.gather(
            do(world, "officer", "issueNotice", **order(case)),
            move_case(world, case, "CLOSED", outcome="UNFOUNDED", reply="不实"),
        )
        assert ("notice" in issuing) != ("case" in closing), (issuing, closing)
        seen = await of_case(world, case)
        assert (seen["state"], len(seen["notices"])) in {("CLOSED", 0), ("RECTIFYING", 1)}


async def test_a_withdrawn_notice_alone_leads_to_no_verification(world: World) -> None:
    """Otherwise a proved case could be closed without any rectification."""
    case = await open_investigated_case(world)
    only = await issued(world, case)
    await stepped(world, "officer", "withdrawNotice", only["id"], "下达有误")
    assert (await of_case(world, case))["state"] == "RECTIFYING"
    answered, waiting = await issued(world, case), await issued(world, case)
    await stepped(world, "liaison", "replyToNotice", answered["id"], "已整改")
    await stepped(world, "officer", "withdrawNotice", waiting["id"], "重复下达")
    assert (await of_case(world, case))["state"] == "VERIFYING"


async def test_a_person_who_has_lost_the_scope_learns_nothing_by_sending_again(world: World) -> None:
    case = await open_investigated_case(world)
    sent, opening = order(case), {"id": new_id("cas"), "title": "另一件", "observationIds": [await world.observe()]}
    await do(world, "officer", "issueNotice", **sent)
    await world.ask("officer", OPEN, input=opening)
    elsewhere = world.units["360783"]
    world.people["officer"].scope_paths = (elsewhere.path,)
    before = await world.snapshot()
    assert (await do(world, "officer", "issueNotice", **sent))["code"] == "NOT_FOUND"
    assert (await world.ask("officer", OPEN, input=opening))["openCase"]["code"] == "NOT_FOUND"
    assert await world.snapshot() == before


async def test_an_office_numbers_its_notices_without_gaps(world: World) -> None:
    case = await open_investigated_case(world)
    answers = await asyncio.gather(*(do(world, "officer", "issueNotice", **order(case)) for _ in range(4)))
    assert sorted(answer["notice"]["sequence"] for answer in answers) == [1, 2, 3, 4]


async def test_nobody_but_the_units_liaison_answers(world: World) -> None:
    notice = await issued(world, await open_investigated_case(world))
    before = await world.snapshot()
    for person in ("supervisor", "inspector", "neighbour", "clerk", "city_officer", "admin"):
        for name in ("acknowledgeNotice", "replyToNotice"):
            answer = await do(world, person, name, id=new_id("evt"), noticeId=notice["id"], text="已整改")
            assert answer["code"] == "FORBIDDEN", person
    assert await world.snapshot() == before


async def test_a_liaison_of_another_unit_neither_sees_nor_answers_the_notice(world: World) -> None:
    city = world.units["360703-XNB"]
    notice = await issued(world, await open_investigated_case(world), unitId=city.id)
    before = await world.snapshot()
    assert await listed(world, "liaison") == []
    answer = await do(world, "liaison", "replyToNotice", id=new_id("evt"), noticeId=notice["id"], text="已整改")
    assert answer["code"] == "NOT_FOUND"
    assert await world.snapshot() == before


async def test_the_unit_sees_the_notice_and_never_its_case(world: World) -> None:
    case = await open_investigated_case(world)
    notice = await issued(world, case)
    found = (await world.ask("liaison", NOTICES))["notices"]["edges"][0]["node"]
    assert found == notice | {"case": None}
    node = "query One($id: ID!) { node(id: $id) { id ... on Notice { number case { id } } } }"
    assert (await world.ask("liaison", node, id=notice["id"]))["node"]["case"] is None
    assert await world.errors("liaison", CASE, id=case) == ["FORBIDDEN"]
    assert (await world.ask("liaison", node, id=case))["node"] is None


async def test_only_those_who_see_the_case_or_answer_for_the_unit_see_the_notice(world: World) -> None:
    case = await open_investigated_case(world)
    notice = await issued(world, case)
    # The case's holder is the supervisor. The city's officer has the county in scope.
    for person in ("officer", "clerk", "supervisor", "supervisor2", "city_officer", "liaison"):
        assert await listed(world, person) == [notice["id"]], person
    for person in ("neighbour", "neighbour_supervisor", "inspector", "city_inspector"):
        assert await listed(world, person) == [], person
    assert await world.errors("monitor", NOTICES) == ["FORBIDDEN"]
    assert await listed(world, "officer", filter={"states": ["VERIFIED"]}) == []
    assert await listed(world, "officer", filter={"states": ["ISSUED"]}) == [notice["id"]]


async def test_a_person_without_standing_does_not_decide(world: World) -> None:
    notice = await issued(world, await open_investigated_case(world))
    await stepped(world, "liaison", "replyToNotice", notice["id"], "已整改")
    before = await world.snapshot()
    for person, name, code in (
        ("officer", "verifyNotice", "OUT_OF_SCOPE"),  # wrote the notice
        ("neighbour", "verifyNotice", "NOT_FOUND"),
        ("supervisor", "verifyNotice", "FORBIDDEN"),
        ("liaison", "verifyNotice", "FORBIDDEN"),
        ("liaison", "withdrawNotice", "FORBIDDEN"),
        ("neighbour", "returnNotice", "NOT_FOUND"),
    ):
        answer = await do(world, person, name, id=new_id("evt"), noticeId=notice["id"], text="理由")
        assert answer["code"] == code, (person, name)
    assert await world.snapshot() == before


async def test_a_unit_decides_nothing_about_its_own_notice(world: World) -> None:
    """The notice is to the whole county, and so to the county's own office. Only an office above decides."""
    county = world.units["360703"]
    notice = await issued(world, await open_investigated_case(world), unitId=county.id)
    world.people["liaison"].scope_paths = (county.path,)
    await stepped(world, "liaison", "replyToNotice", notice["id"], "已整改")
    before = await world.snapshot()
    for name in ("verifyNotice", "returnNotice", "withdrawNotice"):
        answer = await do(world, "clerk", name, id=new_id("evt"), noticeId=notice["id"], text="理由")
        assert answer["code"] == "OUT_OF_SCOPE", name
    assert await world.snapshot() == before
    assert (await stepped(world, "city_officer", "verifyNotice", notice["id"]))["state"] == "VERIFIED"


async def test_a_step_without_its_text_or_with_too_long_a_text_is_refused(world: World) -> None:
    notice = await issued(world, await open_investigated_case(world))
    before = await world.snapshot()
    long, longer = "字" * 2_001, "字" * 5_001
    for name, text in (("replyToNotice", None), ("replyToNotice", " \n"), ("replyToNotice", longer)):
        answer = await do(world, "liaison", name, id=new_id("evt"), noticeId=notice["id"], text=text)
        assert (answer["code"], answer["field"]) == ("BAD_INPUT", "text")
    for person, name in (("liaison", "acknowledgeNotice"), ("officer", "withdrawNotice")):
        answer = await do(world, person, name, id=new_id("evt"), noticeId=notice["id"], text=long)
        assert (answer["code"], answer["field"]) == ("BAD_INPUT", "text")
    assert await world.snapshot() == before


async def test_a_bad_notice_is_refused(world: World) -> None:
    case = await open_investigated_case(world)
    before = await world.snapshot()
    for field, value in (
        ("title", " "),
        ("requirements", "字" * 5_001),
        ("dueOn", "2020-01-01"),
        ("id", "cas_01a2052a-d447-7c9e-a9bb-daf81c4ea8bf"),
    ):
        answer = await do(world, "officer", "issueNotice", **order(case, **{field: value}))
        assert answer["field"] == field, answer
    assert await world.snapshot() == before


async def test_a_notice_to_a_unit_outside_the_scope_or_of_an_unlooked_case_is_refused(world: World) -> None:
    case, accepted = await open_investigated_case(world), await world.open_case()
    before = await world.snapshot()
    outside = await do(world, "officer", "issueNotice", **order(case, unitId=world.units["360783-JT"].id))
    early = await do(world, "officer", "issueNotice", **order(accepted["id"]))
    assert (outside["code"], early["code"]) == ("NOT_FOUND", "WRONG_STATE")
    assert await world.snapshot() == before


async def test_a_step_of_a_covert_person_is_told_to_the_minute(world: World) -> None:
    """An officer who inspects too is not named without the clearance, and the steps don't tie to others by their time."""
    world.people["officer"].roles = [Role.OFFICER, Role.INSPECTOR]
    notice = await issued(world, await open_investigated_case(world))
    ended = await stepped(world, "officer", "withdrawNotice", notice["id"], "下达有误")
    [seen] = (await world.ask("liaison", NOTICES))["notices"]["edges"]
    told = [seen["node"]["issuedAt"], seen["node"]["endedAt"], *(event["at"] for event in seen["node"]["history"])]
    assert all(at.endswith(":00.000Z") for at in told), told
    assert [event["by"] for event in seen["node"]["history"]] == [None, None]
    exact = [ended["issuedAt"], ended["endedAt"]]
    assert exact == [event["at"] for event in ended["history"]]
    assert not all(at.endswith(":00.000Z") for at in exact)


async def test_a_case_has_a_bounded_number_of_notices(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notice_issue, "MAX_NOTICES", 1)
    case = await open_investigated_case(world)
    await issued(world, case)
    before = await world.snapshot()
    assert (await do(world, "officer", "issueNotice", **order(case)))["code"] == "LIMIT_EXCEEDED"
    assert await world.snapshot() == before


async def test_a_notice_is_not_returned_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notice_steps, "MAX_HISTORY", 2)
    notice = await issued(world, await open_investigated_case(world))
    await stepped(world, "liaison", "replyToNotice", notice["id"], "已整改")
    before = await world.snapshot()
    answer = await do(world, "officer", "returnNotice", id=new_id("evt"), noticeId=notice["id"], text="再报")
    assert answer["code"] == "LIMIT_EXCEEDED"
    assert await world.snapshot() == before


@pytest.mark.both_drivers
async def test_a_repeated_step_changes_nothing_and_another_under_its_id_is_a_conflict(world: World) -> None:
    case = await open_investigated_case(world)
    sent = order(case)
    await do(world, "officer", "issueNotice", **sent)
    reply = {"id": new_id("evt"), "noticeId": sent["id"], "text": "已整改"}
    await do(world, "liaison", "replyToNotice", **reply)
    before = await world.snapshot()
    assert (await do(world, "officer", "issueNotice", **sent))["notice"]["state"] == "REPLIED"
    assert (await do(world, "officer", "issueNotice", **sent | {"title": "另一标题"}))["code"] == "CONFLICT"
    assert (await do(world, "clerk", "issueNotice", **sent))["code"] == "CONFLICT"
    assert (await do(world, "liaison", "replyToNotice", **reply))["notice"]["state"] == "REPLIED"
    assert (await do(world, "liaison", "replyToNotice", **reply | {"text": "别的"}))["code"] == "CONFLICT"
    assert (await do(world, "liaison", "acknowledgeNotice", **reply))["code"] == "CONFLICT"
    another = await do(world, "liaison", "acknowledgeNotice", id=new_id("evt"), noticeId=sent["id"])
    assert another["code"] == "WRONG_STATE"
    assert await world.snapshot() == before
