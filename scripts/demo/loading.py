"""Load the demo into an empty installation; the same seed and time give the same demo.

Loading may be interrupted at any moment. Started again, it completes the demo.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import anyio

from api.accounts.passwords import Passwords
from api.settings import Settings
from schema.access.viewers import Role
from schema.catalogue.entries import CatalogueEntry
from schema.core.times import to_millis
from schema.media.media import MediaState
from schema.organisation.monitoring_points import MonitoringPoint
from scripts.demo.actions import DemoActions
from scripts.demo.case_scripts import STAGE, Stories
from scripts.demo.case_steps import Story
from scripts.demo.catalogue import build_catalogue
from scripts.demo.observations import Sighting, Witnesses
from scripts.demo.people import People, build_people
from scripts.demo.photos import PhotoFactory, announced, darkroom
from scripts.demo.randomness import Chance
from scripts.demo.ratings import Ballot, fill_in
from scripts.demo.region import Region, build_points, build_region, monitored
from storage.demo import Demos
from storage.embedded.data_folder import write_private
from storage.processes.task_groups import collapse_exception_groups
from storage.store import Store

SEED = 2009
AT_ONCE = 8
ESTABLISHED = timedelta(days=300)
"""Age of the demo's units and people when the demo starts."""
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
SHOWN = (
    ("巡查员", Role.INSPECTOR, "inspector001"),
    ("监测员", Role.MONITOR, "monitor001"),
    ("监督员", Role.SUPERVISOR, "supervisor001"),
    ("效能办，可见身份", Role.OFFICER, "officer.360703"),
    ("效能办", Role.OFFICER, "clerk.360703"),
    ("市投诉中心", Role.OFFICER, "complaints1"),
    ("联络员", Role.LIAISON, "liaison.360703-jt"),
    ("管理员", Role.ADMIN, "admin"),
)
"""One person for each role. All but two work in Nankang (360703), which has a case in every state."""


class NotEmptyError(Exception):
    """The installation holds an office's own data, which the demo must not touch."""


@dataclass(frozen=True)
class Signins:
    """People to sign in as: title, role and user name. `password` is the same for all, None if unknown on this machine."""

    people: tuple[tuple[str, Role, str], ...]
    password: str | None

    def lines(self) -> Iterator[str]:
        yield f"Password for all: {self.password or 'not known on this machine'}"
        for shown, role, user_name in self.people:
            yield f"{role.value:<11}{user_name:<20}{shown}"


@dataclass(frozen=True)
class Script:
    """The whole demo before it is stored."""

    region: Region
    points: Sequence[MonitoringPoint]
    people: People
    sightings: Sequence[Sighting]
    stories: Sequence[Story]
    catalogue: Sequence[CatalogueEntry]
    ballots: Sequence[Ballot]


async def seed(store: Store, settings: Settings, *, seed: int = SEED, now: datetime) -> Signins:
    """Load the demo, or what is missing of it. The indexes must exist.

    Raise `NotEmptyError`, or `Refusal(UNAVAILABLE)` if a part of the service is down.
    """
    demos = Demos(store.mongo)
    if await demos.find() is None and not await demos.is_empty():
        raise NotEmptyError("This installation holds units or users of its own: the demo is only for an empty one.")
    begun = await demos.begin(seed, to_millis(now))
    if not begun.is_whole:
        password = _password(settings.data) or _new_password(settings.data)
        script = write_script(begun.seed, begun.began_at, await Passwords().hash(password))
        await _perform(store, settings, script, Chance(begun.seed, "stage"))
        await demos.finish(to_millis(now))
    return _signins(settings)


async def signins(store: Store, settings: Settings) -> Signins | None:
    """Return the people to sign in as, or None if the demo isn't loaded whole."""
    known = await Demos(store.mongo).find()
    return _signins(settings) if known and known.is_whole else None


def write_script(seed: int, now: datetime, password_hash: str) -> Script:
    """Make the whole demo except its photos; the same arguments give the same demo."""
    at = to_millis(now - ESTABLISHED)
    region = build_region(Chance(seed, "region"), at)
    firms = build_points(Chance(seed, "points"), region, at)
    people = build_people(Chance(seed, "people"), region, firms, at, password_hash)
    monitors = [str(user.id) for user in people.users.values() if Role.MONITOR in user.roles]
    points = monitored(firms, monitors)
    witnesses = Witnesses(Chance(seed, "sightings"), region, people, points)
    stories = Stories(Chance(seed, "stories"), now, region, people, witnesses).write()
    catalogue = build_catalogue(Chance(seed, "catalogue"), region, at)
    ballots = fill_in(Chance(seed, "ballots"), now, STAGE, people, points)
    return Script(region, points, people, witnesses.made, stories, catalogue, ballots)


async def store_base_data(store: Store, script: Script) -> None:
    """Store units, people, points and catalogue, as an import would."""
    await store.units.put_all(list(script.region.units.values()))
    await store.users.put_all(list(script.people.users.values()))
    await store.monitoring_points.put_all(script.points)
    await store.catalogue.put_all(script.catalogue)


async def _perform(store: Store, settings: Settings, script: Script, chance: Chance) -> None:
    """Store the base data, then let the people act."""
    await store_base_data(store, script)
    stage = DemoActions(store, settings, script.people, chance)
    async with darkroom(store) as room:
        await _submit_all(stage, room, await _unfinished(store, script.sightings))
    await stage.play(script.stories)
    for ballot in script.ballots:
        await stage.rate(ballot)


async def _unfinished(store: Store, sightings: Sequence[Sighting]) -> list[Sighting]:
    """Return the sightings that lack their observation, their correction or a verified photo."""
    observations = await store.observations.many([sighting.draft.id for sighting in sightings])
    revisions = {observation.id: observation.revision for observation in observations}
    media = await store.media.many([shot.id for sighting in sightings for shot in sighting.shots])
    ready = {medium.id for medium in media if medium.state is MediaState.READY}
    return [
        sighting
        for sighting in sightings
        if revisions.get(sighting.draft.id) != (2 if sighting.correction else 1)
        or not ready.issuperset(shot.id for shot in sighting.shots)
    ]


async def _submit_all(stage: DemoActions, room: PhotoFactory, sightings: Sequence[Sighting]) -> None:
    limit = anyio.CapacityLimiter(AT_ONCE)

    async def submit(sighting: Sighting) -> None:
        async with limit:
            photos = await room.draw(sighting.shots)
            media = [announced(shot, photo) for shot, photo in zip(sighting.shots, photos, strict=True)]
            await stage.submit(sighting, media)
            await room.deliver(sighting.shots, photos, sighting.received_at)

    with collapse_exception_groups():
        async with anyio.create_task_group() as tasks:
            for sighting in sightings:
                tasks.start_soon(submit, sighting)


def _signins(settings: Settings) -> Signins:
    return Signins(SHOWN, _password(settings.data))


def _password(data: Path) -> str | None:
    """Read the demo's password. Each installation has its own: attackers would try a common one everywhere."""
    try:
        return (data / "demo-password").read_text().strip() or None
    except FileNotFoundError:
        return None


def _new_password(data: Path) -> str:
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    words = ["".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(4)]
    return write_private(data / "demo-password", "-".join(words))
