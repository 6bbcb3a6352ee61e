"""Open cases (立案).

One transaction takes the office's next case number, stores the case, and links the observations to it.
"""

from collections.abc import Sequence

import strawberry

from api.casework.case_transitions import event
from api.casework.deadlines import Terms, office_and_terms
from api.casework.standing import evidence_in_scope, refuse_without_standing, require_linkable
from api.graphql.context import Context
from api.graphql.creation import create_once
from api.graphql.nodes import first_or_none
from schema.casework.cases import MAX_SUMMARY, MAX_TITLE, Case, CaseEventKind, CaseState, case_number
from schema.core.digests import digest_of
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode
from schema.core.replays import check_replay
from schema.core.texts import check_length, check_text
from schema.core.times import BEIJING
from schema.fieldwork.observations import Category, Observation
from storage.access.visibility import of_offices

ATTEMPTS = 5


@strawberry.input(description="A new case (立案).")
class OpenCaseInput:
    id: strawberry.ID = strawberry.field(description="Id of the new case, created by the caller: cas_ and a UUIDv7.")
    title: str = strawberry.field(description="Title, 1 to 200 characters (标题).")
    summary: str = strawberry.field(description="Summary, up to 20,000 characters (摘要).", default="")
    category: Category | None = strawberry.field(
        description="Category. Default: the category of the first observation.", default=None
    )
    observation_ids: list[strawberry.ID] = strawberry.field(
        description="1 to 500 observations that the case is based on: patrols, reports of monitors, complaints."
    )
    accept: bool = strawberry.field(
        description="If true, the case is accepted at once (受理). If false, it stays RECEIVED.", default=True
    )


async def open_case(context: Context, input: OpenCaseInput) -> Case:
    """Open a case. A repeated request returns the case as it is now.

    Raise `Refusal(CONFLICT)` if the id is taken by a request with other content or of another person, and
    `Refusal(NOT_FOUND)` if the caller has opened the case and lost the scope since.
    """
    validate_id(input.id, "cas", field="id")
    check_text(input.title, MAX_TITLE, "title")
    check_length(input.summary, MAX_SUMMARY, "summary")
    digest = digest_of(input)

    async def create() -> Case:
        observations = await evidence_in_scope(context, input.observation_ids)
        require_linkable(observations)
        office_id = context.actor.office_id
        office, terms = await office_and_terms(context, office_id or "", context.actor.office_path or "")
        if office is None:
            raise Refusal(RefusalCode.FORBIDDEN, "Your account belongs to no office, so the case can't be numbered.")
        year = context.now.astimezone(BEIJING).year

        def build_case(sequence: int) -> Case:
            number = case_number(office.code, year, sequence)
            return _new_case(context, input, observations, number, year, sequence, digest, terms)

        ids = [observation.id for observation in observations]
        with refuse_without_standing("observationIds"):
            return await context.store.cases.open(office.id, year, build_case, ids, of_offices(context.actor))

    async def find() -> Case | None:
        return first_or_none(await context.store.cases.many([input.id]))

    def check(known: Case) -> None:
        check_replay((known.opening_sha256, known.first_responder_id), (digest, context.actor.user_id))
        if not context.actor.covers(known.office_path):
            raise Refusal(RefusalCode.NOT_FOUND, field="id")

    # If two requests create the office's counter of a new year at the same moment, one of them fails and tries again.
    return await create_once(find, create, check, attempts=ATTEMPTS)


def _new_case(
    context: Context,
    input: OpenCaseInput,
    observations: Sequence[Observation],
    number: str,
    year: int,
    sequence: int,
    digest: str,
    terms: Terms,
) -> Case:
    first = observations[0]
    actor = context.actor
    ids = tuple(str(observation.id) for observation in observations)
    history = [event(context, CaseEventKind.OPENED, CaseState.RECEIVED, about=ids)]
    if input.accept:
        history.append(event(context, CaseEventKind.MOVED, CaseState.ACCEPTED))
    category = input.category or first.content.category
    known = terms.after([], CaseState.RECEIVED, category)
    return Case(
        id=input.id,
        number=number,
        year=year,
        sequence=sequence,
        title=input.title.strip(),
        summary=input.summary,
        category=category,
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
        deadlines=terms.after(known, CaseState.ACCEPTED, category) if input.accept else known,
    )
