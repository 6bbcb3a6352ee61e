"""Decide whether the viewer may act on a case or its evidence. To see a record is not enough to act on it."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import strawberry

from api.graphql.context import Context, check_batch_size
from schema.access.standing import Standing
from schema.casework.cases import MAX_CASES, MAX_OBSERVATIONS, Case
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode
from schema.fieldwork.observations import Observation
from storage.access.visibility import of_offices
from storage.casework.standing import Acting, StandingLostError

READ_ONLY = "You may read this, but this step is for its office, or for the person who has accepted the case."


async def visible_case(context: Context, id: str) -> Case:
    """Return a case. Raise `Refusal(NOT_FOUND)` if the viewer can't see it.

    The case is not read by a loader, because a loader would cache the case as it was before the step.
    """
    case_id = validate_id(id, "cas", field="caseId")
    cases = await context.store.cases.many([case_id], await context.visible.cases())
    if not cases:
        raise Refusal(RefusalCode.NOT_FOUND, field="caseId")
    return cases[0]


def acting_on(context: Context, office_path: str, admitted: Collection[Standing], field: str) -> Acting:
    """Return the condition under which the viewer may take a step.

    `office_path` is the path of the record's office, and `admitted` is what the step needs. The write checks whether a
    holder still holds the case, so that no hand-over can come between. Raise `Refusal(OUT_OF_SCOPE)` if the step is not
    for the viewer.
    """
    if Standing.IN_SCOPE in admitted and context.actor.covers(office_path):
        return Acting(of_offices(context.actor))
    if Standing.HOLDER in admitted:
        return Acting({}, context.actor.user_id)
    raise Refusal(RefusalCode.OUT_OF_SCOPE, READ_ONLY, field=field)


@contextmanager
def refuse_without_standing(field: str) -> Iterator[None]:
    """Raise `Refusal(OUT_OF_SCOPE)` if the block finds that the viewer may not take the step."""
    try:
        yield
    except StandingLostError:
        raise Refusal(RefusalCode.OUT_OF_SCOPE, READ_ONLY, field=field) from None


async def evidence_in_scope(context: Context, ids: Sequence[strawberry.ID]) -> list[Observation]:
    """Return the observations in the order of `ids`.

    Raise `Refusal(NOT_FOUND)` for the first that the viewer can't see, and `Refusal(OUT_OF_SCOPE)` for the first whose
    office is not in the viewer's scope. Neither the author nor a person who is given a case may base a case on them.
    """
    check_batch_size(MAX_OBSERVATIONS, ids, "observationIds")
    observation_ids = [validate_id(id, "obs", field=f"observationIds.{index}") for index, id in enumerate(ids)]
    visible = await context.visible.observations()
    observations = {
        str(observation.id): observation
        for observation in await context.store.observations.many(observation_ids, visible)
    }
    for index, id in enumerate(observation_ids):
        if id not in observations:
            raise Refusal(RefusalCode.NOT_FOUND, field=f"observationIds.{index}")
        if not context.actor.covers(observations[id].office_path):
            raise Refusal(RefusalCode.OUT_OF_SCOPE, field=f"observationIds.{index}")
    return [observations[id] for id in dict.fromkeys(observation_ids)]


def require_linkable(observations: Sequence[Observation]) -> None:
    """Raise `Refusal(LIMIT_EXCEEDED)` if one of the observations is evidence of too many cases."""
    if any(len(observation.case_ids) >= MAX_CASES for observation in observations):
        detail = f"An observation is evidence of at most {MAX_CASES} cases."
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, detail, field="observationIds")
