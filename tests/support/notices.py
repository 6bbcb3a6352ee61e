"""Issue rectification notices and take their steps, for tests."""

from datetime import datetime
from typing import Any

from schema.access.viewers import Capacity
from schema.casework.notices import Notice, NoticeEvent, NoticeState, notice_number
from schema.core.times import BEIJING
from storage.mongodb.codecs import to_document
from tests.support.world import REFUSED, World, new_id

NOTICE_FIELDS = """
id number year sequence title requirements dueOn state issuedAt endedAt returns
unit { code } office { code } case { id } history { id state at text by { id } }
"""


def operation(name: str) -> str:
    kind = "IssueNoticeInput" if name == "issueNotice" else "NoticeStepInput"
    return f"""
mutation Notice($input: {kind}!) {{
  {name}(input: $input) {{
    ... on NoticePayload {{ notice {{ {NOTICE_FIELDS} }} uploads {{ mediaId url headers {{ name value }} }} }} {REFUSED}
  }}
}}"""


NOTICES = f"""
query Notices($filter: NoticeFilter, $first: Int! = 20, $after: String) {{
  notices(filter: $filter, first: $first, after: $after) {{
    edges {{ node {{ {NOTICE_FIELDS} }} }} pageInfo {{ hasNextPage endCursor }}
  }}
}}"""
OF_CASE = (
    f"query OfCase($id: ID!) {{ case(id: $id) {{ state notices {{ {NOTICE_FIELDS} }} history {{ kind state }} }} }}"
)


async def do(world: World, person: str, name: str, **input: Any) -> dict[str, Any]:
    """Call a mutation of notices as that person, and return its answer."""
    answer: dict[str, Any] = (await world.ask(person, operation(name), input=input))[name]
    return answer


def order(case_id: str, **more: Any) -> dict[str, Any]:
    """Return the input that issues a notice, due today."""
    return {
        "id": new_id("ntc"),
        "caseId": case_id,
        "title": "关于窗口无人在岗的整改督办通知书",
        "requirements": "请在期限内补齐值班安排，并书面说明原因。",
        "dueOn": str(datetime.now(BEIJING).date()),
    } | more


async def issued(world: World, case_id: str, **more: Any) -> dict[str, Any]:
    """Issue a notice as the county's officer, and return it."""
    answer = await do(world, "officer", "issueNotice", **order(case_id, **more))
    assert "notice" in answer, answer
    notice: dict[str, Any] = answer["notice"]
    return notice


async def ended_notice(world: World, case_id: str) -> str:
    """Store a notice of a case of the city that has been verified, and return its id."""
    unit, [case] = world.units["360703-JT"], await world.store.cases.many([case_id])
    now, id = datetime.now(BEIJING), new_id("ntc")
    notice = Notice(
        id=id,
        number=notice_number("360700-XNB", now.year, 9_999),
        year=now.year,
        sequence=int(case_id[-4:], 16),
        title="整改督办通知书",
        requirements="补齐值班安排",
        due_on=now.date(),
        state=NoticeState.VERIFIED,
        issued_at=now,
        ended_at=now,
        history=[
            NoticeEvent(
                id=new_id("evt"),
                state=NoticeState.VERIFIED,
                at=now,
                by_id=case.responsible_id,
                by_capacity=Capacity(is_covert=False, office_path=None),
                sent_sha256="0" * 64,
            )
        ],
        case_id=case_id,
        office_id=case.office_id,
        office_path=case.office_path,
        unit_id=unit.id,
        unit_path=unit.path,
        opening_sha256="0" * 64,
    )
    await world.store.mongo.collection("notices").insert_one(to_document(notice))
    return id


async def stepped(world: World, person: str, name: str, notice_id: str, text: str | None = None) -> dict[str, Any]:
    """Take a step that must succeed, and return the notice as it is then."""
    answer = await do(world, person, name, id=new_id("evt"), noticeId=notice_id, text=text)
    assert "notice" in answer, answer
    notice: dict[str, Any] = answer["notice"]
    return notice
