"""Load the demo into an empty installation. The same seed and time give the same demo.

Loading may be interrupted at any moment. Started again, it completes the demo.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio

from api.accounts.passwords import Passwords
from api.settings import Settings
from schema.access.viewers import Role
from schema.catalogue.entries import CatalogueEntry
from schema.core.times import to_millis
from schema.media.media import MediaState
from schema.organisation.monitoring_points import MonitoringPoint
from scripts.demo.actions import DemoActions
from scripts.demo.case_scripts import MAIN_COUNTY, CaseScripts
from scripts.demo.case_steps import CaseScript
from scripts.demo.catalogue import build_catalogue
from scripts.demo.observations import ObservationPlan, PlannedObservation
from scripts.demo.people import People, build_people
from scripts.demo.photos import PhotoFactory, media_draft, open_photo_factory
from scripts.demo.randomness import SeededRandom
from scripts.demo.ratings import RatingBatch, plan_ratings
from scripts.demo.region import Region, assign_monitors, build_points, build_region
from scripts.demo.signins import Signins, new_password, read_password, signins_of
from storage.demo import Demos
from storage.processes.task_groups import collapse_exception_groups
from storage.store import Store

SEED = 2009
AT_ONCE = 8
ESTABLISHED = timedelta(days=300)
"""Age of the demo's units and people when the demo starts."""


class NotEmptyError(Exception):
    """The installation holds an office's own data, which the demo must not touch."""


@dataclass(frozen=True)
class DemoPlan:
    """The whole demo before it is stored."""

    region: Region
    points: Sequence[MonitoringPoint]
    people: People
    observations: Sequence[PlannedObservation]
    case_scripts: Sequence[CaseScript]
    catalogue: Sequence[CatalogueEntry]
    rating_batches: Sequence[RatingBatch]


async def seed(store: Store, settings: Settings, *, seed: int = SEED, now: datetime) -> Signins:
    """Load the demo, or the part that is missing. The indexes must exist.

    Raise `NotEmptyError`, or `Refusal(UNAVAILABLE)` if a part of the service is down.
    """
    demos = Demos(store.mongo)
    if await demos.find() is None and not await demos.is_empty():
        raise NotEmptyError("This installation holds units or users of its own: the demo is only for an empty one.")
    begun = await demos.begin(seed, to_millis(now))
    if not begun.is_whole:
        password = read_password(settings.data) or new_password(settings.data)
        plan = make_demo_plan(begun.seed, begun.began_at, await Passwords().hash(password))
        await _carry_out(store, settings, plan, SeededRandom(begun.seed, "stage"))
        await demos.finish(to_millis(now))
    return signins_of(settings)


def make_demo_plan(seed: int, now: datetime, password_hash: str) -> DemoPlan:
    """Plan the whole demo except its photos. The same arguments give the same plan."""
    at = to_millis(now - ESTABLISHED)
    region = build_region(SeededRandom(seed, "region"), at)
    firms = build_points(SeededRandom(seed, "points"), region, at)
    people = build_people(SeededRandom(seed, "people"), region, firms, at, password_hash)
    monitors = [str(user.id) for user in people.users.values() if Role.MONITOR in user.roles]
    points = assign_monitors(firms, monitors)
    observation_plan = ObservationPlan(SeededRandom(seed, "sightings"), region, people, points)
    case_scripts = CaseScripts(SeededRandom(seed, "stories"), now, region, people, observation_plan).write()
    catalogue = build_catalogue(SeededRandom(seed, "catalogue"), region, at)
    rating_batches = plan_ratings(SeededRandom(seed, "ballots"), now, MAIN_COUNTY, people, points)
    return DemoPlan(region, points, people, observation_plan.observations, case_scripts, catalogue, rating_batches)


async def store_base_data(store: Store, plan: DemoPlan) -> None:
    """Store units, people, points and catalogue, as an import would."""
    await store.units.put_all(list(plan.region.units.values()))
    await store.users.put_all(list(plan.people.users.values()))
    await store.monitoring_points.put_all(plan.points)
    await store.catalogue.put_all(plan.catalogue)


async def _carry_out(store: Store, settings: Settings, plan: DemoPlan, random: SeededRandom) -> None:
    """Store the base data, then let the people act."""
    await store_base_data(store, plan)
    actions = DemoActions(store, settings, plan.people, random)
    async with open_photo_factory(store) as photo_factory:
        await _submit_all(actions, photo_factory, await _find_unfinished(store, plan.observations))
    await actions.run_scripts(plan.case_scripts)
    for batch in plan.rating_batches:
        await actions.rate(batch)


async def _find_unfinished(store: Store, planned: Sequence[PlannedObservation]) -> list[PlannedObservation]:
    """Return the planned observations that are not stored, or lack their correction or a verified photo."""
    stored = await store.observations.many([observation.draft.id for observation in planned])
    revisions = {observation.id: observation.revision for observation in stored}
    media = await store.media.many([shot.id for observation in planned for shot in observation.shots])
    ready = {medium.id for medium in media if medium.state is MediaState.READY}
    return [
        observation
        for observation in planned
        if revisions.get(observation.draft.id) != (2 if observation.correction else 1)
        or not ready.issuperset(shot.id for shot in observation.shots)
    ]


async def _submit_all(
    actions: DemoActions, photo_factory: PhotoFactory, observations: Sequence[PlannedObservation]
) -> None:
    limit = anyio.CapacityLimiter(AT_ONCE)

    async def submit(observation: PlannedObservation) -> None:
        async with limit:
            photos = await photo_factory.draw(observation.shots)
            media = [media_draft(shot, photo) for shot, photo in zip(observation.shots, photos, strict=True)]
            await actions.submit(observation, media)
            await photo_factory.deliver(observation.shots, photos, observation.received_at)

    with collapse_exception_groups():
        async with anyio.create_task_group() as tasks:
            for observation in observations:
                tasks.start_soon(submit, observation)
