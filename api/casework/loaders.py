"""Load cases, their assignments and notices, and the follow-ups of observations."""

from collections.abc import Sequence

from api.graphql.context import Context
from api.graphql.loaders import Loader, LoaderRead, ReadLoader, by_id, group_by_key
from api.graphql.viewer_filters import GRANTED
from schema.access.viewers import Role
from schema.casework.assignments import Assignment
from schema.casework.cases import Case, FollowUp
from schema.casework.notices import Notice
from schema.fieldwork.observations import Observation
from storage.access import visibility
from storage.mongodb.combined_reads import Read
from storage.mongodb.filters import NOTHING, any_of

MAX_RELATED = 21
"""Number of cases to load per unit or point: up to 20 related cases, and the case itself."""


def _granted_cases(context: Context, user_ids: list[str]) -> LoaderRead:
    async def arrange(*granted: list[str]) -> Sequence[list[str]]:
        return granted

    return LoaderRead([context.store.assignments.read_granted_cases(id) for id in user_ids], arrange)


def _cases_in_scope(context: Context, ids: list[str]) -> Read[list[Case]] | None:
    in_scope = visibility.cases(context.actor, ())
    return None if in_scope is NOTHING else context.store.cases.read_many(ids, in_scope)


async def _granted(context: Context, ids: list[str]) -> list[Case]:
    granted = set(await context.visible.granted_cases()).intersection(ids)
    return await context.store.cases.many(sorted(granted)) if granted else []


def _assignments_in_scope(context: Context, ids: list[str]) -> Read[list[Assignment]]:
    return context.store.assignments.read_many(ids, visibility.assignments(context.actor, ()))


async def _assignments_of_granted(context: Context, ids: list[str]) -> list[Assignment]:
    if not await context.visible.granted_cases():
        return []
    return await context.store.assignments.many(ids, await context.visible.assignments())


def _assignments_of_cases(context: Context, cases: list[Case]) -> LoaderRead:
    """Read, for each case, the assignments that the viewer may see.

    A viewer with the case in scope sees all of its assignments, also those that an office above has given. If all cases
    are in scope, the granted cases add nothing.
    """
    case_ids = [str(case.id) for case in cases]
    sees_cases = context.actor.has(Role.SUPERVISOR, Role.OFFICER)
    in_scope = [str(case.id) for case in cases if sees_cases and context.actor.covers(case.office_path)]

    async def arrange(found: Sequence[Assignment] | None = None) -> list[list[Assignment]]:
        if found is None:
            granted = await context.visible.assignments()
            visible = any_of(granted, {"case_id": {"$in": in_scope}} if in_scope else NOTHING)
            found = await context.store.assignments.of_cases(case_ids, visible)
        assignments = sorted(found, key=lambda assignment: assignment.offered_at)
        return group_by_key(case_ids, ((assignment.case_id, assignment) for assignment in assignments))

    is_all = len(in_scope) == len(case_ids)
    return LoaderRead([context.store.assignments.read_of_cases(case_ids)] if is_all else [], arrange)


def _notices_in_scope(context: Context, ids: list[str]) -> Read[list[Notice]]:
    return context.store.notices.read_many(ids, visibility.notices(context.actor, ()))


async def _notices_of_granted(context: Context, ids: list[str]) -> list[Notice]:
    if not await context.visible.granted_cases():
        return []
    return await context.store.notices.many(ids, await context.visible.notices())


def _notices_of_cases(context: Context, case_ids: list[str]) -> LoaderRead:
    """Read the notices of cases that the viewer sees. A viewer who sees a case sees all of its notices."""

    async def arrange(found: Sequence[Notice]) -> list[list[Notice]]:
        return group_by_key(case_ids, ((notice.case_id, notice) for notice in found))

    return LoaderRead([context.store.notices.read_of_cases(case_ids)], arrange)


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
    ReadLoader(GRANTED, ("assignee",), _granted_cases),
    by_id(Case, _cases_in_scope, _granted),
    by_id(Assignment, _assignments_in_scope, _assignments_of_granted),
    by_id(Notice, _notices_in_scope, _notices_of_granted),
    ReadLoader(Assignment, ("case",), _assignments_of_cases),
    ReadLoader(Notice, ("case",), _notices_of_cases),
    Loader(Case, ("monitoring_point", "unit"), _related_cases),
    Loader(FollowUp, ("observation",), _follow_ups),
)
