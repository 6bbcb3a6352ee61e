"""Open cases, offer them to people and move them, for tests of casework."""

from typing import Any

from tests.support.world import ACCEPT, ASSIGN, CASE_FIELDS, REFUSED, World, new_id

LINKING = f"""
($input: LinkObservationsInput!) {{
  %s(input: $input) {{ ... on CasePayload {{ case {{ {CASE_FIELDS} }} }} {REFUSED} }}
}}"""
LINK = "mutation Link" + LINKING % "linkObservations"
UNLINK = "mutation Unlink" + LINKING % "unlinkObservations"
MOVE = f"""
mutation Move($input: MoveCaseInput!) {{
  moveCase(input: $input) {{ ... on CasePayload {{ case {{ {CASE_FIELDS} }} }} {REFUSED} }}
}}"""


async def move_case(world: World, case_id: str, to: str, **more: Any) -> dict[str, Any]:
    step = {"id": new_id("evt"), "caseId": case_id, "to": to} | more
    answer: dict[str, Any] = (await world.ask("officer", MOVE, input=step))["moveCase"]
    return answer


async def open_investigated_case(world: World) -> str:
    """Open a case, assign it to the supervisor, who accepts it, and return the case's id."""
    case = await world.open_case()
    offer = {"id": new_id("asg"), "caseId": case["id"], "assigneeId": world.people["supervisor"].id}
    await world.ask("officer", ASSIGN, input=offer)
    await world.ask("supervisor", ACCEPT, input={"id": offer["id"]})
    id: str = case["id"]
    return id


async def offer_case(world: World, to: str = "supervisor", **fields: Any) -> tuple[str, str]:
    """Open a case, offer it to a person, check its state, and return the ids of the case and the assignment."""
    case = await world.open_case()
    given = {"id": new_id("asg"), "caseId": case["id"], "assigneeId": world.people[to].id, "note": "请核实"} | fields
    answer = (await world.ask("officer", ASSIGN, input=given))["assign"]
    assert answer["assignment"]["state"] == "OFFERED", answer
    assert (answer["case"]["state"], answer["assignment"]["case"]["state"]) == ("ASSIGNED", "ASSIGNED")
    return case["id"], given["id"]


async def assign_case(
    world: World, to: str = "supervisor", case_id: str | None = None, by: str = "officer"
) -> tuple[str, str]:
    """Offer a case to a person, and return the ids of the case and the assignment. By default the case is new."""
    case_id = case_id or (await world.open_case())["id"]
    id = new_id("asg")
    given = {"id": id, "caseId": case_id, "assigneeId": world.people[to].id}
    answer = await world.ask(by, ASSIGN, input=given)
    assert "assignment" in answer["assign"], answer
    return case_id, id
