"""Test that, after any writes and pulls in any order, a phone has exactly what its user may see."""

import random
from dataclasses import replace

import pytest

from api.sync.changes import admitted_pulls
from schema.sync.changes import ChangeKind
from tests.support.case_steps import offer_case
from tests.support.pulling import Puller, followed, point_of
from tests.support.world import WITHDRAW, World

pytestmark = pytest.mark.both_drivers


class ChangeStorm:
    """Random writes by everybody, drawn from a seed."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world, self.chance = world, chance
        self.people = dict(world.people)
        self.given: list[str] = []

    async def blow(self) -> None:
        doings = (self.observe, self.give, self.take_back, self.rename, self.hand_point_over, self.transfer)
        await self.chance.choice(doings)()

    async def observe(self) -> None:
        who, method = self.chance.choice([("inspector", "PATROL"), ("monitor", "MONITOR_REPORT")])
        await self.world.observe(who, method=method)

    async def give(self) -> None:
        _, id = await offer_case(self.world, self.chance.choice(["inspector", "supervisor"]))
        self.given.append(id)

    async def take_back(self) -> None:
        if self.given:
            id = self.given.pop(self.chance.randrange(len(self.given)))
            await self.world.ask("officer", WITHDRAW, input={"id": id})

    async def rename(self) -> None:
        unit = self.world.units[self.chance.choice(list(self.world.units))]
        await self.world.store.units.put_all([replace(unit, name=f"{unit.name}{self.chance.randrange(9)}")])

    async def hand_point_over(self) -> None:
        county = self.world.units[self.chance.choice(["360703", "360783"])]
        monitors = self.chance.choice([(), (self.people["monitor"].id,)])
        point = replace(point_of(self.world), unit_id=county.id, path=county.path, monitor_ids=monitors)
        await self.world.store.monitoring_points.put_all([point])

    async def transfer(self) -> None:
        name = self.chance.choice(["inspector", "supervisor"])
        county = self.world.units[self.chance.choice(["360703", "360783"])]
        self.world.people[name] = replace(self.people[name], scope_ids=(county.id,), scope_paths=(county.path,))


async def visible(world: World, name: str) -> set[str]:
    """Return the ids of all records that a pull may show to this person. They are read directly from the database."""
    context = world.context(name)
    found: set[str] = set()
    for kind, pull in admitted_pulls(context, list(ChangeKind)).items():
        ids = await world.store.change_sources.ids(kind, "", 10_000)
        found |= {str(record.id) for record in await pull.read(context, ids)}
    return found


@pytest.mark.parametrize("seed", range(3))
async def test_a_phone_ends_with_exactly_what_its_user_may_see(world: World, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  a reproducible storm
    storm = ChangeStorm(world, chance)
    phones = [Puller(world, name) for name in ("inspector", "supervisor", "monitor", "city_officer")]
    async with followed(world.store):
        for _ in range(20):
            await storm.blow()
            phone = chance.choice(phones)
            page = await phone.page(first=chance.choice([1, 3, 100]))
            if page["__typename"] == "ChangePage":
                phone.take(page)
        for phone in phones:
            await phone.pull(first=7)
            assert set(phone.records) == await visible(world, phone.name), phone.name
            assert await phone.pull() == []
