"""Submit observations, and open, assign and close cases, as the demo's people. The operations are those of real people.

The viewer of each operation is the person who acts, and the clock shows the demo's time. After an interruption, work
continues where it stopped.
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
from schema.media.media_drafts import MediaDraft
from scripts.demo.case_steps import CaseScript
from scripts.demo.observations import PlannedObservation
from scripts.demo.people import People
from scripts.demo.randomness import SeededRandom
from scripts.demo.ratings import RatingBatch
from storage.processes.task_groups import collapse_exception_groups
from storage.store import Store

AT_ONCE = 6
DONE_STEPS = {AssignmentState.OFFERED: 1, AssignmentState.ACCEPTED: 2, AssignmentState.FINISHED: 3}
"""How many steps of an inspection's script are done if its assignment is in this state.

WITHDRAWN is missing because a withdrawn inspection has ended, so all its steps are done.
"""


@dataclass
class _DemoContext(Context):
    """A request of the demo. The seed also determines the ids that the server makes.

    `entries` is the number of ids that one attempt takes. If a transaction is retried, it gets the same ids again.
    """

    random: SeededRandom | None = None
    entries: int = 1
    ids_made: int = 0

    def new_id(self, prefix: str, at: datetime | None = None) -> strawberry.ID:
        if self.random is None:
            return super().new_id(prefix, at)
        place, self.ids_made = self.ids_made % self.entries, self.ids_made + 1
        return self.random.stream(place).id(prefix, at or self.now)


class DemoActions:
    def __init__(self, store: Store, settings: Settings, people: People, random: SeededRandom) -> None:
        self._services, self._people, self._random = open_services(store, settings), people, random

    def context(self, user_name: str, at: datetime, name: str, *, entries: int = 1) -> Context:
        """Return the context of a person's request at a given time.

        `name` is the name of the request's random stream.
        """
        user = self._people.users[user_name]
        viewer = Viewer(
            user_id=user.id,
            roles=frozenset(user.roles),
            scopes=user.scope_paths,
            office_id=user.office_id,
            office_path=user.office_path,
            clearances=frozenset(user.clearances),
            device_id=self._random.stream(f"device/{user_name}").id("dev", user.created_at or at),
        )
        return _DemoContext(
            services=self._services,
            viewer=viewer,
            now=at,
            random=self._random.stream(name),
            entries=entries,
        )

    async def submit(self, observation: PlannedObservation, media: Sequence[MediaDraft]) -> None:
        """Submit the observation, announce its media, and submit its correction if it has one."""
        draft = replace(observation.draft, media=list(media))
        [result] = (await submit(self.context(observation.author, observation.received_at, draft.id), [draft])).results
        if result.outcome is Outcome.REFUSED:
            raise RuntimeError(f"{draft.id} was refused: {result.refusal}")
        if correction := observation.correction:
            corrected = replace(observation.draft, text=correction.text)
            sent = ReviseObservationInput(id=correction.id, reason=correction.reason, content=corrected)
            await revise(self.context(observation.author, correction.at, correction.id), sent)

    async def rate(self, batch: RatingBatch) -> None:
        """Submit a batch of ratings. Ratings that were stored before an interruption come back as duplicates."""
        context = self.context(batch.rater, batch.at, batch.drafts[0].id)
        for result in (await submit_ratings(context, batch.drafts)).results:
            if result.outcome is Outcome.REFUSED:
                raise RuntimeError(f"{result.id} was refused: {result.refusal}")

    async def run_scripts(self, case_scripts: Sequence[CaseScript]) -> None:
        """Run the scripts of each office in sequence, so that case numbers are in the order of dates.

        Offices run in parallel.
        """
        limit = anyio.CapacityLimiter(AT_ONCE)

        async def run_in_sequence(scripts: Iterable[CaseScript]) -> None:
            async with limit:
                for script in scripts:
                    await self._run_script(script)

        with collapse_exception_groups():
            async with anyio.create_task_group() as tasks:
                for office in dict.fromkeys(script.office for script in case_scripts):
                    tasks.start_soon(run_in_sequence, [script for script in case_scripts if script.office == office])

    async def _run_script(self, script: CaseScript) -> None:
        done = await self._count_done_entries(script)
        for number, step in enumerate(script.steps):
            if done > 0:
                done -= step.entries
                continue
            context = self.context(step.actor, step.at, f"{script.id}/{number}", entries=step.entries)
            await step.operation(context, step.input)

    async def _count_done_entries(self, script: CaseScript) -> int:
        """Count the history entries that a script had made before the demo was interrupted."""
        if script.is_case:
            return sum(len(case.history) for case in await self._services.store.cases.many([script.id]))
        assignments = await self._services.store.assignments.many([script.id])
        return sum(DONE_STEPS.get(assignment.state, len(script.steps)) for assignment in assignments)
