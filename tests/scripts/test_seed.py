"""Test loading the demo.

The same seed gives the same demo. A load that was killed is completed by the next one. An installation with data of its
own is left unchanged.
"""

import asyncio
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.accounts.passwords import Passwords
from api.imports.runner import Noun, import_file
from api.server.graphql_schema import build_schema
from schema.access.viewers import Role
from schema.casework.cases import CaseState
from schema.core.times import to_millis
from scripts.demo import loading
from scripts.demo.actions import DemoActions
from scripts.demo.due import Demo
from scripts.demo.loading import SEED, NotEmptyError, make_demo_plan, seed
from scripts.demo.photos import draw_photo
from scripts.demo.randomness import SeededRandom
from scripts.demo.signins import signins
from storage.demo import Demos
from storage.embedded.data_folder import DataFolder
from storage.embedded.engines import Addresses
from storage.processes.fork_server import MODULE_COMMAND
from tests.support.forked_commands import ROOT, CommandProcess, command_server
from tests.support.loaded_demo import LoadedDemo, installation, whole
from tests.support.process_states import wait_until_async
from tests.support.run_command import Run
from tests.support.short_demo import make_short_plan


@pytest.fixture(scope="module")
async def demo(engines: Addresses) -> AsyncIterator[LoadedDemo]:
    async with whole(engines) as found:
        yield found


async def test_demo_users_can_sign_in_and_see_every_case_state(demo: LoadedDemo) -> None:
    found = await signins(demo.store, demo.settings)
    assert found
    assert found.password
    assert {role for _, role, _ in found.people} == set(Role)
    kept = demo.settings.data / "demo-password"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert found.password in "\n".join(found.lines())
    for _, role, user_name in found.people:
        user = await demo.store.users.by_user_name(user_name)
        assert user
        assert user.roles == [role]
        assert (await Passwords().verify(user.password_hash, found.password)).is_right
    people = make_demo_plan(SEED, demo.now, "hash").people
    actions = DemoActions(demo.store, demo.settings, people, SeededRandom(SEED, "stage"))
    schema = build_schema(demo.settings)
    for user_name in ("supervisor001", "officer.360703"):
        answer = await schema.execute(
            "{ all: cases(first: 50) { edges { node { state } } }"
            " cases(first: 15) { edges { node { observations { content { media { link { url } } } } } } } }",
            context_value=actions.context(user_name, datetime.now(UTC), "reading"),
        )
        assert not answer.errors, answer.errors
        states = {edge["node"]["state"] for edge in answer.data["all"]["edges"]}  # type: ignore[index]
        assert states == {state.value for state in CaseState}
        nodes = [edge["node"] for edge in answer.data["cases"]["edges"]]  # type: ignore[index]
        links = [media["link"] for node in nodes for each in node["observations"] for media in each["content"]["media"]]
        assert links
        assert all(links)


async def test_loading_the_demo_again_changes_nothing(demo: LoadedDemo) -> None:
    before = await demo.snapshot()
    first = await signins(demo.store, demo.settings)
    assert await seed(demo.store, demo.settings, seed=7, now=demo.now + timedelta(days=3)) == first
    assert await demo.snapshot() == before


async def test_each_seed_makes_its_own_reproducible_demo() -> None:
    now = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
    first, second, other = (make_demo_plan(number, now, "hash") for number in (SEED, SEED, SEED + 1))
    assert first == second
    assert {unit.id for unit in first.region.units.values()}.isdisjoint(u.id for u in other.region.units.values())
    shots = [shot for observation in first.observations for shot in observation.shots]
    assert len(shots) == 160
    assert [draw_photo(shot) for shot in shots[:3]] == [draw_photo(shot) for shot in shots[:3]]
    assert len({draw_photo(shot) for shot in shots[:12]}) == 12
    # Around New Year: on a day with no earlier working day in its year, and on a Monday.
    for day in (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 5, tzinfo=UTC)):
        assert len(make_demo_plan(SEED, day, "hash").case_scripts) == 45 + 12


async def test_loads_that_are_killed_end_in_the_same_demo(
    engines: Addresses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "make_demo_plan", make_short_plan)
    now = to_millis(datetime.now(UTC))
    async with installation(engines, tmp_path / "one") as one, installation(engines, tmp_path / "other") as other:
        await seed(one.store, one.settings, now=now)
        for name, count in (("observations", 3), ("cases", 1)):
            process = short_load(other, now)
            await wait_until_filled(other, name, count, process)
            process.kill()
            process.wait()
            found = await Demos(other.store.mongo).find()
            assert found
            assert not found.is_whole, "it was killed too late"
        assert short_load(other, now).wait(120) == 0
        assert await other.snapshot() == await one.snapshot()


def short_load(installed: LoadedDemo, now: datetime) -> CommandProcess:
    """Start a process that loads a part of the demo into the installation."""
    command = [*MODULE_COMMAND, "tests.support.short_demo", now.isoformat()]
    environment = {**installed.environment, "MINGCHA_DATA": str(installed.settings.data), "PYTHONPATH": str(ROOT)}
    installed.settings.data.mkdir(exist_ok=True)
    with (installed.settings.data / "load.log").open("ab") as output:
        return command_server().start(command, environment, ROOT, output.fileno())


async def wait_until_filled(installed: LoadedDemo, name: str, count: int, process: CommandProcess) -> None:
    while await installed.store.mongo.collection(name).count({}) < count:
        assert process.poll() is None, (installed.settings.data / "load.log").read_text()
        await asyncio.sleep(0.005)


async def test_the_demo_of_a_start_that_is_killed_stays_due(started: list[Run], tmp_path: Path) -> None:
    folder = DataFolder.open(tmp_path / "data")
    Demo(folder).order()
    run = Run(folder.root, "--port=0", "--role=api")
    started.append(run)
    await wait_until_async(lambda: "loading the demo" in run.output, 120)
    run.process.kill()
    run.process.wait()
    assert Demo(folder).is_due


async def test_an_installation_with_units_of_its_own_is_left_unchanged(engines: Addresses, tmp_path: Path) -> None:
    path = tmp_path / "units.csv"
    path.write_text("code,name,level\n110000,北京市,PROVINCE\n", encoding="utf-8")
    async with installation(engines, tmp_path) as office:
        await import_file(office.store, Noun.UNITS, path, now=office.now)
        before = await office.snapshot()
        with pytest.raises(NotEmptyError):
            await seed(office.store, office.settings, now=office.now)
        assert await office.snapshot() == before
        assert await Demos(office.store.mongo).find() is None
        assert not (tmp_path / "demo-password").exists()
