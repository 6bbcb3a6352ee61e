"""Let the demo's people submit, open, assign and close through the same operations as real people.

Each acts as their own viewer and at the demo's own time. After an interruption it continues where it stopped.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import anyio
import strawberry

from api.appraisal.rating_submission import submit_ratings
from api.fieldwork.revisions import ReviseObservationInput, revise
from api.fieldwork.submission import submit
from api.graphql.context import Context
from api.server.services import open_services
from api.settings import Settings
from schema.access.viewers import Viewer
from schema.casework.assignments import AssignmentState
from schema.fieldwork.drafts import Outcome
from schema.media.media import MediaDraft
from scripts.demo.case_steps import Story
from scripts.demo.observations import Sighting
from scripts.demo.people import People
from scripts.demo.randomness import Chance
from scripts.demo.ratings import Ballot
from storage.processes.task_groups import collapse_exception_groups
from storage.store import Store

AT_ONCE = 6
STEPS_BEHIND = {AssignmentState.OFFERED: 1, AssignmentState.ACCEPTED: 2, AssignmentState.FINISHED: 3}
"""Steps of an inspection's script that lead to a state; a withdrawn inspection has ended."""


@dataclass
class _Scene(Context):
    """A request of the demo. The `entries` ids that the server makes come from the seed, too.

    A transaction that is retried gets the same ids again.
    """

    chance: Chance | None = None
    entries: int = 1
    asked: int = 0

    def new_id(self, prefix: str) -> strawberry.ID:
        if self.chance is None:
            return super().new_id(prefix)
        place, self.asked = self.asked % self.entries, self.asked + 1
        return self.chance.stream(place).id(prefix, self.now)


class DemoActions:
    def __init__(self, store: Store, settings: Settings, people: People, chance: Chance) -> None:
        self._services, self._people, self._chance = open_services(store, settings), people, chance

    def scene(self, user_name: str, at: datetime, name: str, *, entries: int = 1) -> Context:
        user = self._people.users[user_name]
        viewer = Viewer(
            user_id=user.id,
            roles=frozenset(user.roles),
            scopes=user.scope_paths,
            office_id=user.office_id,
            office_path=user.office_path,
            clearances=frozenset(user.clearances),
            device_id=self._chance.stream(f"device/{user_name}").id("dev", user.created_at or at),
        )
        return _Scene(
            services=self._services,
            viewer=viewer,
            now=at,
            chance=self._chance.stream(name),
            entries=entries,
        )

    async def submit(self, sighting: Sighting, media: Sequence[MediaDraft]) -> None:
        """Submit the observation, announce its media, and submit its correction if it has one."""
        draft = replace(sighting.draft, media=list(media))
        [result] = (await submit(self.scene(sighting.author, sighting.received_at, draft.id), [draft])).results
        if result.outcome is Outcome.REFUSED:
            raise RuntimeError(f"{draft.id} was refused: {result.refusal}")
        if correction := sighting.correction:
            corrected = replace(sighting.draft, text=correction.text)
            sent = ReviseObservationInput(id=correction.id, reason=correction.reason, content=corrected)
            await revise(self.scene(sighting.author, correction.at, correction.id), sent)

    async def rate(self, ballot: Ballot) -> None:
        """Submit a ballot. After an interruption, stored ratings come back as duplicates."""
        scene = self.scene(ballot.rater, ballot.at, ballot.drafts[0].id)
        for result in (await submit_ratings(scene, ballot.drafts)).results:
            if result.outcome is Outcome.REFUSED:
                raise RuntimeError(f"{result.id} was refused: {result.refusal}")

    async def play(self, stories: Sequence[Story]) -> None:
        """Play the stories of an office one after another, so that case numbers follow the calendar; offices in parallel."""
        limit = anyio.CapacityLimiter(AT_ONCE)

        async def play_all(own: Iterable[Story]) -> None:
            async with limit:
                for story in own:
                    await self._play(story)

        with collapse_exception_groups():
            async with anyio.create_task_group() as tasks:
                for office in dict.fromkeys(story.office for story in stories):
                    tasks.start_soon(play_all, [story for story in stories if story.office == office])

    async def _play(self, story: Story) -> None:
        behind = await self._behind(story)
        for number, step in enumerate(story.steps):
            if behind > 0:
                behind -= step.entries
                continue
            scene = self.scene(step.actor, step.at, f"{story.id}/{number}", entries=step.entries)
            await step.operation(scene, step.input)

    async def _behind(self, story: Story) -> int:
        """Return how much of a story was played before an interruption, in history entries."""
        if story.is_case:
            return sum(len(case.history) for case in await self._services.store.cases.many([story.id]))
        known = await self._services.store.assignments.many([story.id])
        return sum(STEPS_BEHIND.get(assignment.state, len(story.steps)) for assignment in known)
