"""Load cases, their assignments and the follow-ups of observations."""

from api.graphql.context import Context
from api.graphql.loaders import Loader, by_id, group_by_key
from schema.access.viewers import Role
from schema.casework.assignments import Assignment
from schema.casework.cases import Case, FollowUp
from schema.fieldwork.observations import Observation
from storage.access import visibility
from storage.mongodb.filters import NOTHING, any_of

MAX_RELATED = 21
"""Number of cases to load per unit or point: up to 20 related cases, and the case itself."""


async def _cases(context: Context, ids: list[str]) -> list[Case]:
    return await context.store.cases.many(ids, await context.visible.cases())


async def _assignments(context: Context, ids: list[str]) -> list[Assignment]:
    return await context.store.assignments.many(ids, await context.visible.assignments())


async def _assignments_of_cases(context: Context, cases: list[Case]) -> list[list[Assignment]]:
    """Return, for each case, the assignments that the viewer may see.

    A viewer with the case in scope sees all of its assignments, also those that an office above has given.
    """
    case_ids = [str(case.id) for case in cases]
    sees_cases = context.actor.has(Role.SUPERVISOR, Role.OFFICER)
    in_scope = [str(case.id) for case in cases if sees_cases and context.actor.covers(case.office_path)]
    visible = any_of(await context.visible.assignments(), {"case_id": {"$in": in_scope}} if in_scope else NOTHING)
    assignments = await context.store.assignments.of_cases(case_ids, visible)
    return group_by_key(case_ids, ((assignment.case_id, assignment) for assignment in assignments))


async def _related_cases(context: Context, subjects: list[tuple[str | None, str | None]]) -> list[list[Case]]:
    """Return, for each subject, the cases about the same point or unit. A subject is a pair of point id and unit id."""
    point_ids = [point_id for point_id, _ in subjects if point_id]
    unit_ids = [unit_id for _, unit_id in subjects if unit_id]
    if not (unit_ids or point_ids):
        return [[] for _ in subjects]
    in_scope, granted = visibility.cases(context.actor, ()), await context.visible.granted_cases()
    cases = await context.store.cases.about(unit_ids, point_ids, in_scope, granted, MAX_RELATED)
    return [[case for case in cases if case.is_about(unit_id, point_id)] for point_id, unit_id in subjects]


async def _follow_ups(context: Context, observations: list[Observation]) -> list[list[FollowUp]]:
    """Return the follow-ups of each observation's cases.

    The author of the observation gets all of them, because the office owes the author an answer. Other viewers get the
    follow-ups of cases that they may see.
    """

    def is_own(observation: Observation) -> bool:
        return observation.author_id == context.actor.user_id

    own = list(dict.fromkeys(id for one in observations if is_own(one) for id in one.case_ids))
    others = list(dict.fromkeys(id for one in observations if not is_own(one) for id in one.case_ids))
    owed = {str(case.id): case for case in await context.store.cases.many(own)} if own else {}
    visible = {str(case.id): case for case in await context.load.many(Case, others)} if others else {}
    return [
        [cases[id].follow_up() for id in one.case_ids if id in cases]
        for one, cases in ((one, owed if is_own(one) else visible) for one in observations)
    ]


LOADERS = (
    by_id(Case, _cases),
    by_id(Assignment, _assignments),
    Loader(Assignment, ("case",), _assignments_of_cases),
    Loader(Case, ("monitoring_point", "unit"), _related_cases),
    Loader(FollowUp, ("observation",), _follow_ups),
)
