"""Follow-ups (办理情况): what whoever sent an observation may know of the case it led to, and no more.

The case itself, which only its followers see, is in `cases.py`.
"""

import enum
from datetime import datetime

import strawberry


@strawberry.enum(description="How far a case has come (办理状态).")
class CaseState(enum.Enum):
    RECEIVED = strawberry.enum_value("RECEIVED", description="已接收")
    ACCEPTED = strawberry.enum_value("ACCEPTED", description="已受理")
    DECLINED = strawberry.enum_value("DECLINED", description="不予受理, with a reason and a reply.")
    ASSIGNED = strawberry.enum_value("ASSIGNED", description="已交办")
    INVESTIGATING = strawberry.enum_value("INVESTIGATING", description="调查中")
    RECTIFYING = strawberry.enum_value("RECTIFYING", description="整改中")
    VERIFYING = strawberry.enum_value("VERIFYING", description="核查中")
    CLOSED = strawberry.enum_value("CLOSED", description="已办结, with an outcome and a reply.")
    REOPENED = strawberry.enum_value("REOPENED", description="重新办理, with a reason.")


@strawberry.enum(description="What a closed case came to (办理结果).")
class CaseOutcome(enum.Enum):
    SUBSTANTIATED = strawberry.enum_value("SUBSTANTIATED", description="属实")
    PARTLY = strawberry.enum_value("PARTLY", description="部分属实")
    UNFOUNDED = strawberry.enum_value("UNFOUNDED", description="不属实")
    TRANSFERRED = strawberry.enum_value("TRANSFERRED", description="移送")
    WITHDRAWN = strawberry.enum_value("WITHDRAWN", description="撤回")


@strawberry.type(description="What became of an observation: number, state, outcome and reply of its case (办理情况).")
class FollowUp:
    case_number: str = strawberry.field(description="Number to ask by (编号).")
    state: CaseState = strawberry.field(description="How far it has come (办理状态).")
    outcome: CaseOutcome | None = strawberry.field(description="What it came to (办理结果).", default=None)
    reply: str | None = strawberry.field(description="The reply (答复).", default=None)
    closed_at: datetime | None = strawberry.field(description="When it was closed.", default=None)
