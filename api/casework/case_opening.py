"""Open cases (立案): store the case, its office's next number and its observation links in one transaction."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import strawberry

from api.casework.case_transitions import event, visible_observations
from api.graphql.context import Context
from schema.casework.cases import MAX_SUMMARY, MAX_TITLE, Case, CaseEventKind, CaseState, case_number
from schema.core.digests import digest_of
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode
from schema.fieldwork.observations import Category, Observation
from storage.mongodb.errors import DuplicateError

BEIJING = ZoneInfo("Asia/Shanghai")
ATTEMPTS = 5


@strawberry.input(description="A new case (立案).")
class OpenCaseInput:
    id: strawberry.ID = strawberry.field(description="Created by the caller: cas_ and a UUIDv7.")
    title: str = strawberry.field(description="1 to 200 characters (标题).")
    summary: str = strawberry.field(description="Up to 20,000 characters (摘要).", default="")
    category: Category | None = strawberry.field(
        description="Category. Default: that of the first observation.", default=None
    )
    observation_ids: list[strawberry.ID] = strawberry.field(
        description="1 to 500 observations that it is based on: patrols, reports of monitors, complaints."
    )
    accept: bool = strawberry.field(description="Accept it at once (受理). Otherwise it stays RECEIVED.", default=True)


async def open_case(context: Context, input: OpenCaseInput) -> Case:
    """Open a case. A repeated request returns the case as it is now. Raise `Refusal(CONFLICT)` if the content differs."""
    validate_id(input.id, "cas", field="id")
    if not 1 <= len(input.title.strip()) <= MAX_TITLE:
        raise Refusal(RefusalCode.BAD_INPUT, f"A title has 1 to {MAX_TITLE} characters.", field="title")
    if len(input.summary) > MAX_SUMMARY:
        raise Refusal(RefusalCode.BAD_INPUT, f"A summary has at most {MAX_SUMMARY} characters.", field="summary")
    digest = digest_of(input)
    if known := await context.store.cases.many([input.id]):
        return _same(context, known[0], digest)
    observations = await visible_observations(context, input.observation_ids)
    office_id = context.actor.office_id
    offices = await context.store.units.many([office_id]) if office_id else []
    if not offices:
        raise Refusal(RefusalCode.FORBIDDEN, "Your account belongs to no office, so the case can't be numbered.")
    [office], year = offices, context.now.astimezone(BEIJING).year

    def numbered(sequence: int) -> Case:
        return _new_case(context, input, observations, case_number(office.code, year, sequence), year, sequence, digest)

    for _ in range(ATTEMPTS):
        try:
            return await context.store.cases.open(office.id, year, numbered, [each.id for each in observations])
        except DuplicateError:
            # Another request with this id was first, and both get its case; or two requests created the year's counter
            # at the same moment, and this one tries again.
            if stored := await context.store.cases.many([input.id]):
                return _same(context, stored[0], digest)
    raise Refusal(RefusalCode.BUSY)


def _same(context: Context, known: Case, digest: str) -> Case:
    if known.opening_sha256 != digest or known.first_responder_id != context.actor.user_id:
        raise Refusal(RefusalCode.CONFLICT, field="id")
    return known


def _new_case(
    context: Context,
    input: OpenCaseInput,
    observations: Sequence[Observation],
    number: str,
    year: int,
    sequence: int,
    digest: str,
) -> Case:
    first = observations[0]
    actor = context.actor
    ids = tuple(str(each.id) for each in observations)
    history = [event(context, CaseEventKind.OPENED, CaseState.RECEIVED, about=ids)]
    if input.accept:
        history.append(event(context, CaseEventKind.MOVED, CaseState.ACCEPTED))
    return Case(
        id=input.id,
        number=number,
        year=year,
        sequence=sequence,
        title=input.title.strip(),
        summary=input.summary,
        category=input.category or first.content.category,
        state=history[-1].state,
        opened_at=context.now,
        history=history,
        office_id=actor.office_id or "",
        office_path=actor.office_path or "",
        first_responder_id=actor.user_id,
        responsible_id=actor.user_id,
        opening_sha256=digest,
        unit_id=first.unit_id,
        unit_path=first.unit_path,
        monitoring_point_id=first.monitoring_point_id,
    )
