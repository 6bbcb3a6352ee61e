"""Load observations by id and by case, and their revisions."""

from api.graphql.context import Context
from api.graphql.loaders import Loader, by_id, group_by_key
from schema.casework.cases import MAX_OBSERVATIONS
from schema.core.refusals import Refusal, RefusalCode
from schema.fieldwork.observations import Observation, ObservationRevision

MAX_REVISIONS_AT_ONCE = 1_000
"""Maximum number of revisions of corrected observations that one request may load. A revision may have 60 KB of text."""


async def _observations(context: Context, ids: list[str]) -> list[Observation]:
    return await context.store.observations.many(ids, await context.visible.observations())


async def _observations_of_cases(context: Context, case_ids: list[str]) -> list[list[Observation]]:
    """Return, for each case, the observations that the viewer may see, on their own or because of a case given now."""
    visible = await context.visible.observations()
    observations = await context.store.observations.of_cases(case_ids, visible, MAX_OBSERVATIONS * len(case_ids))
    return group_by_key(case_ids, ((id, observation) for observation in observations for id in observation.case_ids))


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
    by_id(Observation, _observations),
    Loader(Observation, ("case",), _observations_of_cases),
    Loader(ObservationRevision, ("observation",), _revisions),
)
