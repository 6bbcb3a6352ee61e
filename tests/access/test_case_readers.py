"""Test who reads a case and what hangs on it: the office's people, and those to whom the case is given now."""

from typing import Any

import pytest

from api.evidence.pack_content import content_of
from tests.support.case_steps import LINK, assign_case
from tests.support.ways_of_seeing import WAYS, see
from tests.support.world import SCHEMA, World, new_id

CASE = "query($id: ID!) { case(id: $id) { observations { id } assignments { id } } }"
OBSERVATION = "query($id: ID!) { observation(id: $id) { cases { observations { id } } } }"
ASSIGNMENT = "query($id: ID!) { node(id: $id) { ... on Assignment { state case { id observations { id } } } } }"
OPEN_TO = {"offered", "accepted", "finished", "scope"}
"""Ways of seeing a case that let a person read it."""


@pytest.mark.parametrize("way", WAYS)
async def test_a_case_is_read_by_its_office_and_by_those_to_whom_an_assignment_opens_it(world: World, way: str) -> None:
    seen = await see(world, way)
    case = (await world.ask(seen.person, CASE, id=seen.case))["case"]
    observation = (await world.ask(seen.person, OBSERVATION, id=seen.evidence[0]))["observation"]
    if way in OPEN_TO:
        assert [each["id"] for each in case["observations"]] == list(seen.evidence)
        assert seen.offer in {each["id"] for each in case["assignments"]}
        assert observation == {"cases": [{"observations": [{"id": id} for id in seen.evidence]}]}
    else:
        assert case is None
        assert observation == ({"cases": []} if way in {"author", "ex-covert"} else None)
    own = (await world.ask(seen.person, ASSIGNMENT, id=seen.assignment))["node"]
    if way in {"handed on", "withdrawn"}:
        assert own == {"state": way.replace(" ", "_").upper(), "case": None}


async def linked_by_the_city(world: World) -> tuple[dict[str, Any], str]:
    """Return a case of the county, and an observation of the city that an officer of the city linked to it."""
    case, evidence = await world.open_case(), await world.observe("city_inspector")
    given = {"id": new_id("evt"), "caseId": case["id"], "observationIds": [evidence]}
    assert "case" in (await world.ask("city_officer", LINK, input=given))["linkObservations"]
    return case, evidence


async def test_a_county_does_not_read_evidence_of_the_city_through_its_own_case(world: World) -> None:
    case, evidence = await linked_by_the_city(world)
    own = case["observations"][0]["id"]
    for name, expected in (("clerk", [own]), ("supervisor", [own]), ("city_officer", [own, evidence])):
        found = (await world.ask(name, CASE, id=case["id"]))["case"]
        assert [each["id"] for each in found["observations"]] == expected, name
        through = (await world.ask(name, OBSERVATION, id=own))["observation"]["cases"]
        assert [each["id"] for each in through[0]["observations"]] == expected, name
        [record] = await world.store.cases.many([case["id"]])
        pack = await content_of(SCHEMA._schema, world.context(name), record, identities=False)
        assert [each.id for each in pack.observations] == expected, name
        assert [each["id"] for each in pack.data["observations"]] == expected, name


async def test_a_person_who_is_given_a_case_reads_all_of_its_evidence(world: World) -> None:
    case, evidence = await linked_by_the_city(world)
    await assign_case(world, "supervisor", case["id"], by="city_officer")
    found = (await world.ask("supervisor", CASE, id=case["id"]))["case"]
    assert evidence in {each["id"] for each in found["observations"]}


async def test_an_office_sees_to_whom_an_office_above_has_given_its_case(world: World) -> None:
    case = await world.open_case()
    _, id = await assign_case(world, "supervisor", case["id"], by="city_officer")
    for name in ("officer", "supervisor2", "city_officer"):
        assert (await world.ask(name, CASE, id=case["id"]))["case"]["assignments"] == [{"id": id}], name


async def test_the_unit_of_a_record_is_named_outside_ones_scope_too(world: World) -> None:
    case = await world.open_case("city_officer")
    await assign_case(world, "neighbour_supervisor", case["id"], by="city_officer")
    unit = world.units["360703-JT-1"]
    asked = "query($case: ID!, $unit: ID!) { case(id: $case) { unit { code name } } unit(id: $unit) { code } }"
    found = await world.ask("neighbour_supervisor", asked, case=case["id"], unit=unit.id)
    assert found == {"case": {"unit": {"code": unit.code, "name": unit.name}}, "unit": None}


async def test_evidence_is_read_through_another_case_that_is_given(world: World) -> None:
    case, evidence = await linked_by_the_city(world)
    own = case["observations"][0]["id"]
    other = await world.open_case("city_officer", evidence)
    await assign_case(world, "supervisor", other["id"], by="city_officer")
    for name, expected in (("officer", {own}), ("supervisor", {own, evidence})):
        found = (await world.ask(name, CASE, id=case["id"]))["case"]
        assert {each["id"] for each in found["observations"]} == expected, name
        seen = (await world.ask(name, OBSERVATION, id=evidence))["observation"]
        assert (seen is not None) == (evidence in expected), name
