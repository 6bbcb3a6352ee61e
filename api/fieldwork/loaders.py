"""Load observations by id and by case."""

from api.graphql.context import Context
from api.graphql.loaders import Loader, by_id, group_by_key
from schema.casework.cases import MAX_OBSERVATIONS
from schema.fieldwork.observations import Observation


async def _observations(context: Context, ids: list[str]) -> list[Observation]:
    return await context.store.observations.many(ids, await context.visible.observations())


async def _observations_of_cases(context: Context, case_ids: list[str]) -> list[list[Observation]]:
    """Return, for each case, the observations that the viewer may see, on their own or because of a case given now."""
    visible = await context.visible.observations()
    observations = await context.store.observations.of_cases(case_ids, visible, MAX_OBSERVATIONS * len(case_ids))
    return group_by_key(case_ids, ((id, observation) for observation in observations for id in observation.case_ids))


LOADERS = (
    by_id(Observation, _observations),
    Loader(Observation, ("case",), _observations_of_cases),
)
