"""Test user queries: lists contain only people the viewer may know, and `me` is the viewer's own account."""

from datetime import UTC, datetime, timedelta

from schema.accounts.users import Device
from tests.support.world import World, new_id

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
USERS = "query Q($role: Role, $unitId: ID, $first: Int! = 100, $after: String) { users(role: $role, unitId: $unitId, \
first: $first, after: $after) { edges { cursor node { id displayName roles } } pageInfo { hasNextPage endCursor } } }"


def device(at: datetime) -> Device:
    return Device(id=new_id("dev"), name="手机", signed_in_at=at, seen_at=at)


async def found(world: World, asker: str, **variables: object) -> set[str]:
    answer = await world.ask(asker, USERS, **variables)
    names = {edge["node"]["displayName"] for edge in answer["users"]["edges"]}
    return {name.removeprefix("甲") for name in names}


async def test_viewers_find_only_people_they_may_know(world: World) -> None:
    open_roles = {"supervisor", "supervisor2", "officer", "clerk"}
    assert await found(world, "supervisor") == open_roles
    assert await found(world, "clerk") == open_roles | {"liaison", "admin"}
    assert await found(world, "admin") == open_roles | {"liaison", "admin"}
    covert = {"inspector", "inspector2", "monitor"}
    assert await found(world, "officer") == open_roles | {"liaison", "admin"} | covert
    assert await found(world, "neighbour") == {"neighbour", "neighbour_supervisor"}
    everybody = set(world.people)
    assert await found(world, "city_officer") == everybody
    assert await found(world, "clerk", role="INSPECTOR") == set()
    assert await found(world, "officer", role="INSPECTOR") == {"inspector", "inspector2"}
    county = world.units["360783"].id
    assert await found(world, "city_officer", unitId=county) == {"neighbour", "neighbour_supervisor"}
    assert await found(world, "officer", unitId=county) == set(), "out of scope is empty"


async def test_other_roles_and_bad_arguments_are_refused(world: World) -> None:
    for asker in ("inspector", "monitor", "liaison"):
        assert await world.errors(asker, USERS) == ["FORBIDDEN"]
    assert await world.errors(None, USERS) == ["UNAUTHENTICATED"]
    assert await world.errors("officer", USERS, unitId="unt_1") == ["BAD_ID"]
    assert await world.errors("officer", USERS, unitId=new_id("unt")) == ["NOT_FOUND"]
    assert await world.errors("officer", USERS, first=101) == ["LIMIT_EXCEEDED"]


async def test_pages_are_in_order_and_cursors_are_bound_to_viewer_and_filter(world: World) -> None:
    seen: list[str] = []
    after = None
    while True:
        answer = (await world.ask("city_officer", USERS, first=5, after=after))["users"]
        seen += [edge["node"]["displayName"] for edge in answer["edges"]]
        after = answer["pageInfo"]["endCursor"]
        if not answer["pageInfo"]["hasNextPage"]:
            break
    assert seen == sorted(f"甲{name}" for name in world.people)
    assert await world.errors("officer", USERS, first=5, after=after) == ["BAD_CURSOR"]
    assert await world.errors("city_officer", USERS, first=5, after=after, role="OFFICER") == ["BAD_CURSOR"]


async def test_me_returns_the_viewers_account_and_devices(world: World) -> None:
    made = world.people["inspector"]
    old, new = device(NOW), device(NOW + timedelta(days=1))
    await world.store.users.add_device(made.id, new, new_id("ses"))
    await world.store.users.add_device(made.id, old, new_id("ses"))
    await world.store.users.revoke_device(made.id, old.id, NOW)
    asked = "{ me { user { id displayName roles office { code } scopes { code } } userName clearances \
devices { id name signedInAt seenAt revokedAt } thisDeviceId } }"
    me = (await world.ask("inspector", asked))["me"]
    assert me["user"] == {
        "id": made.id,
        "displayName": "甲inspector",
        "roles": ["INSPECTOR"],
        "office": {"code": "360703-XNB"},
        "scopes": [{"code": "360703"}],
    }
    assert (me["userName"], me["clearances"]) == ("inspector", [])
    assert me["thisDeviceId"] == world.devices["inspector"]
    assert [(each["id"], each["revokedAt"] is None) for each in me["devices"]] == [(new.id, True), (old.id, False)]
