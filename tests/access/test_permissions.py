"""Test permissions: every SDL field has a row in the table, and every root and sensitive field enforces its row."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from graphql import GraphQLInterfaceType, GraphQLObjectType, is_union_type
from graphql.type import GraphQLInputObjectType, GraphQLNonNull, get_named_type, is_leaf_type, is_list_type

from api.server.areas import REGISTRY
from schema.access.guards import (
    ExaminersOnly,
    IdentityOnly,
    RequirePermission,
    RequirePermissionOrRefuse,
    UnitScoreOnly,
)
from schema.access.permissions import CLEARED, EXAMINERS, PUBLIC, SEEN, UNIT_SCORE_READERS
from schema.access.viewers import Clearance, Role, Viewer
from schema.core.refusals import Refusal
from tests.support.sdl import SDL, fields, roots
from tests.support.world import SCHEMA, World, draft, new_id

pytestmark = pytest.mark.both_drivers

PEOPLE = {
    Role.INSPECTOR: "inspector",
    Role.MONITOR: "monitor",
    Role.SUPERVISOR: "supervisor",
    Role.OFFICER: "officer",
    Role.LIAISON: "liaison",
    Role.ADMIN: "admin",
}
REFUSALS = {"FORBIDDEN", "UNAUTHENTICATED"}
NAMED = {"id", "unitId", "input", "count", "from"}
"""Names of arguments that the test operations give wherever a root field requires them."""


def test_the_permission_table_has_exactly_one_row_for_every_sdl_field() -> None:
    assert {f"{owner}.{name}" for owner, name, _ in fields()} == set(REGISTRY.permits)


def test_every_sdl_type_and_field_has_a_description() -> None:
    undescribed = [f"{owner}.{name}" for owner, name, field in fields() if not field.description]
    for type_ in SDL.type_map.values():
        if (
            not type_.name.startswith("__")
            and type_.name not in {"Query", "Mutation", "Subscription"}
            and not type_.description
        ):
            undescribed.append(type_.name)
        if isinstance(type_, GraphQLInputObjectType):
            undescribed += [f"{type_.name}.{name}" for name, field in type_.fields.items() if not field.description]
    builtin = {"String", "Int", "Float", "Boolean", "ID", "Date", "Void"}
    assert [name for name in undescribed if name not in builtin] == []


def test_every_guarded_field_has_the_extension_that_enforces_it() -> None:
    """The table alone protects nothing. The extension reads the table and refuses requests."""
    wanted = {"Query": RequirePermission, "Mutation": RequirePermissionOrRefuse, "Subscription": RequirePermission}
    for name, definition in SCHEMA.schema_converter.type_map.items():
        for field in getattr(definition.definition, "fields", ()):
            key = f"{name}.{SCHEMA.config.name_converter.get_graphql_name(field)}"
            held = {type(extension) for extension in field.extensions}
            if name in wanted:
                assert wanted[name] in held, key
            elif key in REGISTRY.permits and REGISTRY.permits[key] is CLEARED and name != "Complainant":
                # A Complainant's own fields are reached only through the guarded field that returns it.
                assert IdentityOnly in held, key
            elif key in REGISTRY.permits and REGISTRY.permits[key] is EXAMINERS:
                assert ExaminersOnly in held, key
            elif key in REGISTRY.permits and REGISTRY.permits[key] is UNIT_SCORE_READERS:
                assert UnitScoreOnly in held, key
            elif key in REGISTRY.permits:
                assert REGISTRY.permits[key] is SEEN or name == "Complainant", key


def example(type_: Any) -> Any:
    """Return a value that fits an SDL type, so that no refusal is about the input."""
    if isinstance(type_, GraphQLNonNull):
        return example(type_.of_type)
    if is_list_type(type_):
        return [example(type_.of_type)]
    if isinstance(type_, GraphQLInputObjectType):
        return {
            name: example(field.type) for name, field in type_.fields.items() if isinstance(field.type, GraphQLNonNull)
        }
    named = get_named_type(type_)
    if hasattr(named, "values"):
        return next(iter(named.values))
    examples = {"Int": 1, "Float": 1.0, "Boolean": True, "ByteCount": 1, "Date": "2026-11-01"}
    return (examples | {"DateTime": "2026-11-20T09:05:00+08:00"}).get(named.name, "x")


def operation(kind: str, name: str) -> tuple[str, dict[str, Any]]:
    """Return an operation that asks for one root field and can fail only for lack of permission."""
    field = SDL.type_map[kind].fields[name]  # type: ignore[attr-defined]
    needed = {key: arg.type for key, arg in field.args.items() if isinstance(arg.type, GraphQLNonNull)}
    needed = {key: type_ for key, type_ in needed.items() if field.args[key].default_value is None or key in NAMED}
    variables = {key: example(type_) for key, type_ in needed.items() if key in NAMED}
    head = ", ".join(f"${key}: {type_}" for key, type_ in needed.items() if key in variables)
    arguments = ", ".join(f"{key}: ${key}" for key in variables)
    result = get_named_type(field.type)
    selection = (
        ""
        if is_leaf_type(result)
        else "{ __typename ... on Refused { code } }"
        if is_union_type(result)
        else "{ __typename }"
    )
    assert isinstance(result, GraphQLObjectType | GraphQLInterfaceType) or is_union_type(result)
    opening = kind.lower() + (f"({head})" if head else "")
    return f"{opening} {{ {name}{f'({arguments})' if arguments else ''} {selection} }}", variables


async def outcome(world: World, person: str | None, kind: str, name: str) -> str | None:
    """Return the code that refuses the operation for lack of permission, or None if it is let through."""
    document, variables = operation(kind, name)
    result = await SCHEMA.execute(document, variable_values=variables, context_value=world.context(person))
    if result.errors:
        codes = {getattr(error.original_error, "code", None) for error in result.errors}
        names = {code.value for code in codes if code is not None}
        assert names, result.errors
        return next(iter(names & REFUSALS), None)
    assert result.data is not None
    answer = result.data[name]
    code = answer.get("code") if isinstance(answer, dict) else None
    return code if code in REFUSALS else None


@pytest.mark.parametrize("kind", ["Query", "Mutation"])
async def test_every_root_field_admits_the_roles_in_the_table(world: World, kind: str) -> None:
    before = await world.snapshot()
    for name in roots(kind):
        permit = REGISTRY.permits[f"{kind}.{name}"]
        for role, person in PEOPLE.items():
            refused = await outcome(world, person, kind, name)
            admitted = permit.public or role in permit.roles
            # An unknown id, or another person's, is refused too, but never for lack of permission.
            assert (refused is None) == admitted, (kind, name, role, refused)
        assert (await outcome(world, None, kind, name) is None) == permit.public, (kind, name)
        if permit is PUBLIC:
            assert name in {"signIn", "refreshSession"}
    assert await world.snapshot() == before


async def test_every_subscription_admits_the_roles_in_the_table(world: World) -> None:
    """An admitted role gets BAD_INPUT here, because a subscription needs a stream."""
    for name in roots("Subscription"):
        for role, person in [*PEOPLE.items(), (None, None)]:
            document = f"subscription {{ {name} {{ __typename }} }}"
            results = await SCHEMA.subscribe(document, context_value=world.context(person))
            [result] = [result async for result in results]
            [error] = result.errors or []
            admitted = role in REGISTRY.permits[f"Subscription.{name}"].roles
            expected = "BAD_INPUT" if admitted else "FORBIDDEN" if person else "UNAUTHENTICATED"
            assert isinstance(error.original_error, Refusal)
            assert error.original_error.code.value == expected, (name, person)


async def test_node_queries_obey_the_permission_table(world: World) -> None:
    case = await world.open_case()
    observation = await world.observe()
    asked = "query($id: ID!) { node(id: $id) { id } }"
    for id, readers in (
        (case["id"], {"supervisor", "officer"}),
        (observation, {"inspector", "supervisor", "officer"}),
        (world.units["360703"].id, set(PEOPLE.values())),
        (world.units["360783"].id, set()),
        (world.units["360700"].id, set(PEOPLE.values())),
        (world.point and world.point.id, {"inspector", "monitor", "supervisor", "officer", "admin"}),
        (world.people["inspector2"].id, {"officer"}),
        (world.people["supervisor2"].id, set(PEOPLE.values())),
        (new_id("asg"), set()),
        (new_id("ses"), set()),
    ):
        for person in PEOPLE.values():
            found = (await world.ask(person, asked, id=id))["node"]
            assert (found is not None) == (person in readers), (id, person)


async def test_only_cleared_people_see_covert_people(world: World) -> None:
    """This covers every field that leads from a record to a person."""
    observation = await world.observe()
    case = await world.open_case("officer", observation)
    asked = """
    query($case: ID!, $observation: ID!) {
      case(id: $case) {
        responsible { id } firstResponder { id } history { by { id } } assignments { assignee { id } }
        observations { author { id } }
      }
      observation(id: $observation) { author { id displayName } cases { observations { author { id } } } }
    }"""
    hidden = world.people["inspector"].id
    for name, told in (("officer", True), ("city_officer", True), ("clerk", False), ("supervisor", False)):
        answer = await world.ask(name, asked, case=case["id"], observation=observation)
        assert (hidden in str(answer)) is told, name
    everyone = (
        "{ users(first: 100) { edges { node { id roles } } } monitoringPoints { edges { node { monitors { id } } } } }"
    )
    for name, told in (("officer", True), ("clerk", False), ("supervisor", False), ("admin", False)):
        answer = await world.ask(name, everyone)
        covert = {world.people[each].id for each in ("inspector", "inspector2", "monitor")}
        assert any(id in str(answer) for id in covert) is told, name


async def test_nobody_writes_outside_their_scope(world: World) -> None:
    foreign = await world.observe("neighbour", unit="360783-JT-1")
    before = await world.snapshot()
    opening = {"id": new_id("cas"), "title": "越权", "observationIds": [foreign]}
    document = "mutation($input: OpenCaseInput!) { openCase(input: $input) { ... on Refused { code } } }"
    assert (await world.ask("officer", document, input=opening))["openCase"] == {"code": "NOT_FOUND"}
    assert await world.snapshot() == before


def test_a_person_with_several_roles_may_do_what_any_of_them_may() -> None:
    def of(*roles: Role) -> Viewer:
        clearances = frozenset({Clearance.IDENTITY})
        return Viewer("usr_1", frozenset(roles), (), None, None, clearances, None)

    for permit in set(REGISTRY.permits.values()):
        for one, other in combinations(Role, 2):
            assert permit.admits(of(one, other)) == (permit.admits(of(one)) or permit.admits(of(other))), permit


async def test_a_scope_of_two_subtrees_holds_both(world: World) -> None:
    counties = [world.units[code] for code in ("360703", "360783")]
    ids, paths = tuple(unit.id for unit in counties), tuple(unit.path for unit in counties)
    world.people["clerk"] = replace(world.people["clerk"], scope_ids=ids, scope_paths=paths)
    asked = "query($id: ID!) { observation(id: $id) { id } }"
    for author in ("inspector", "neighbour", "city_inspector"):
        id = await world.observe(author)
        found = (await world.ask("clerk", asked, id=id))["observation"]
        assert found == (None if author == "city_inspector" else {"id": id}), author


async def test_identities_need_a_clearance_not_a_role() -> None:
    assert REGISTRY.permits["Observation.complainant"].clearance is Clearance.IDENTITY
    assert REGISTRY.permits["Media.device"].clearance is Clearance.IDENTITY


async def test_a_user_without_an_office_cannot_submit_observations(world: World) -> None:
    world.people["inspector"].office_id = world.people["inspector"].office_path = None
    document = (
        "mutation($input: SubmitObservationsInput!) { submitObservations(input: $input) { ... on Refused { code } } }"
    )
    before = await world.snapshot()
    assert (await world.ask("inspector", document, input={"drafts": [draft()]}))["submitObservations"] == {
        "code": "FORBIDDEN"
    }
    assert await world.snapshot() == before
