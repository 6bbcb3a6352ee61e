"""Load observations by id and by case, and their revisions."""

from collections.abc import Sequence

from api.graphql.context import Context
from api.graphql.loaders import Loader, LoaderRead, ReadLoader, by_id, group_by_key
from schema.casework.cases import MAX_OBSERVATIONS
from schema.core.refusals import Refusal, RefusalCode
from schema.fieldwork.observations import Observation, ObservationRevision
from storage.access import visibility
from storage.access.visibility import of_offices
from storage.mongodb.combined_reads import Read
from storage.mongodb.filters import NOTHING

MAX_REVISIONS_AT_ONCE = 1_000
"""Maximum number of revisions of corrected observations that one request may load. A revision may have 60 KB of text."""


def _observations_in_scope(context: Context, ids: list[str]) -> Read[list[Observation]]:
    return context.store.observations.read_many(ids, visibility.observations(context.actor, ()))


async def _observations_of_granted(context: Context, ids: list[str]) -> list[Observation]:
    if not await context.visible.granted_cases():
        return []
    return await context.store.observations.many(ids, await context.visible.observations())


def _observations_of_cases(context: Context, case_ids: list[str]) -> LoaderRead:
    """Read, for each case, the observations that the viewer may see, on their own or because of a case given now.

    If all observations of the cases are the viewer's own or in scope, the granted cases add nothing, and are not read.
    """
    in_scope, most = visibility.observations(context.actor, ()), MAX_OBSERVATIONS * len(case_ids)
    store = context.store.observations

    async def arrange(
        found: Sequence[Observation] | None = None, others: Sequence[str] = ()
    ) -> list[list[Observation]]:
        if found is None or others:
            found = await store.of_cases(case_ids, await context.visible.observations(), most)
        observations = sorted(found, key=lambda observation: observation.received_at)
        return group_by_key(case_ids, ((id, one) for one in observations for id in one.case_ids))

    if of_offices(context.actor) is NOTHING:
        return LoaderRead([], arrange)
    own = store.read_of_cases(case_ids, in_scope, most), store.read_other_of_cases(case_ids, in_scope)
    return LoaderRead(own, arrange)


async def _revisions(context: Context, observations: list[Observation]) -> list[list[ObservationRevision]]:
    """Return all revisions of each observation. Only those that an observation lacks are read."""
    cut = [observation for observation in observations if len(observation.revisions) < observation.revision]
    if sum(observation.revision for observation in cut) > MAX_REVISIONS_AT_ONCE:
        detail = f"More than {MAX_REVISIONS_AT_ONCE} revisions. Request the revisions of fewer observations."
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, detail)
    found = await context.store.observations.revisions([observation.id for observation in cut]) if cut else {}
    # A revision that was stored after the observation was read is left out.
    return [found.get(each.id, each.revisions)[: each.revision] for each in observations]


LOADERS = (
    by_id(Observation, _observations_in_scope, _observations_of_granted),
    ReadLoader(Observation, ("case",), _observations_of_cases),
    Loader(ObservationRevision, ("observation",), _revisions),
)
