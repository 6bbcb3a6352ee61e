"""Issue rectification notices. One transaction takes the office's next number, and moves the case."""

from datetime import date

import strawberry

from api.casework.case_transitions import noted, require_room
from api.casework.standing import acting_on, visible_case
from api.graphql.context import Context
from api.graphql.creation import create_once
from api.graphql.nodes import first_or_none
from api.graphql.scoped_units import unit_in_scope
from schema.casework import standing
from schema.casework.cases import Case, CaseEventKind
from schema.casework.notices import (
    MAX_NOTICES,
    MAX_REQUIREMENTS,
    MAX_TITLE,
    Notice,
    NoticeEvent,
    NoticeState,
    notice_number,
)
from schema.core.digests import digest_of
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode
from schema.core.replays import check_replay
from schema.core.texts import check_text
from schema.core.times import BEIJING, to_minute
from storage.casework.notices import ISSUABLE

ATTEMPTS = 5


@strawberry.input(description="A new rectification notice (整改督办通知书).")
class IssueNoticeInput:
    id: strawberry.ID = strawberry.field(description="Id of the new notice, created by the caller: ntc_ and a UUIDv7.")
    case_id: strawberry.ID = strawberry.field(description="The case. It is being investigated, rectified or verified.")
    unit_id: strawberry.ID | None = strawberry.field(
        description="The unit that must put the fault right. Default: the unit that the case is about.", default=None
    )
    title: str = strawberry.field(description="Title, 1 to 200 characters (标题).")
    requirements: str = strawberry.field(
        description="What the unit must put right, 1 to 5,000 characters. The unit reads this: do not name the source "
        "(整改要求)."
    )
    due_on: date = strawberry.field(description="Last day for the unit's reply, Beijing date. Today or later.")


async def issue(context: Context, input: IssueNoticeInput) -> Notice:
    """Issue a notice. A repeated request returns the notice as it is now.

    Raise `Refusal(NOT_FOUND)` if the caller has lost the scope, `Refusal(WRONG_STATE)` if the case's state allows no
    notice, and `Refusal(LIMIT_EXCEEDED)` if it has too many.
    """
    validate_id(input.id, "ntc", field="id")
    title = check_text(input.title, MAX_TITLE, "title")
    requirements = check_text(input.requirements, MAX_REQUIREMENTS, "requirements")
    digest = digest_of(input)

    async def create() -> Notice:
        if input.due_on < context.now.astimezone(BEIJING).date():
            raise Refusal(RefusalCode.BAD_INPUT, "The last day for the reply has passed.", field="dueOn")
        case = await visible_case(context, input.case_id)
        acting = acting_on(context, case.office_path, standing.NOTICE, "caseId")
        require_room(case)
        unit_id = input.unit_id or case.unit_id
        if unit_id is None:
            raise Refusal(RefusalCode.BAD_INPUT, "The case is about no unit, so name the unit.", field="unitId")
        unit = await unit_in_scope(context, unit_id)
        office = first_or_none(await context.store.units.many([case.office_id]))
        office_code = office.code if office else case.number.rsplit("-", 2)[0]
        year = context.now.astimezone(BEIJING).year

        def build_notice(sequence: int) -> Notice:
            return Notice(
                id=input.id,
                number=notice_number(office_code, year, sequence),
                year=year,
                sequence=sequence,
                title=title,
                requirements=requirements,
                due_on=input.due_on,
                state=NoticeState.ISSUED,
                issued_at=context.now,
                history=[
                    notice_event(
                        context, context.new_id("evt", to_minute(context.now)), NoticeState.ISSUED, None, digest
                    )
                ],
                case_id=case.id,
                office_id=case.office_id,
                office_path=case.office_path,
                unit_id=unit.id,
                unit_path=unit.path,
                opening_sha256=digest,
            )

        event = noted(context, CaseEventKind.NOTICE_ISSUED, note=title, about=[str(input.id)])
        issued = await context.store.notices.issue(
            case.office_id, year, build_notice, event, acting.office, MAX_NOTICES
        )
        if issued is None:
            raise await _no_notice(context, case)
        return issued

    async def find() -> Notice | None:
        return first_or_none(await context.store.notices.many([input.id]))

    def check(known: Notice) -> None:
        check_replay((known.opening_sha256, known.history[0].by_id), (digest, context.actor.user_id))
        if not context.actor.covers(known.office_path):
            raise Refusal(RefusalCode.NOT_FOUND, field="id")

    # If two requests create the office's counter of a new year at the same moment, one of them fails and tries again.
    return await create_once(find, create, check, attempts=ATTEMPTS)


async def _no_notice(context: Context, case: Case) -> Refusal:
    """Return why no notice of the case was issued."""
    [now] = await context.store.cases.many([case.id])
    if now.state not in ISSUABLE:
        return Refusal(RefusalCode.WRONG_STATE, f"A case that is {now.state.value} gets no notice.", field="caseId")
    return Refusal(RefusalCode.LIMIT_EXCEEDED, f"A case has at most {MAX_NOTICES} notices.", field="caseId")


def notice_event(
    context: Context, id: str, state: NoticeState, text: str | None, digest: str, media_ids: tuple[str, ...] = ()
) -> NoticeEvent:
    return NoticeEvent(
        id=strawberry.ID(id),
        state=state,
        at=context.now,
        text=text,
        by_id=context.actor.user_id,
        by_capacity=context.actor.capacity,
        sent_sha256=digest,
        media_ids=media_ids,
    )
