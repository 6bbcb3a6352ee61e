"""Make a fixed deadline for the golden tests."""

from schema.casework.deadlines import Deadline, DeadlinePause
from schema.casework.limits import LimitStep, OpeningHours
from schema.casework.working_days import LimitUnit
from tests.stored.fixed import NOW, fixed_id, minutes


def whole_deadline() -> Deadline:
    """Return a deadline with every field filled."""
    pause = DeadlinePause(since=minutes(1), reason="补正材料", until=minutes(2), approved_by_id=fixed_id("usr", 4))
    return Deadline(
        step=LimitStep.HANDLING,
        started_at=NOW,
        amount=30,
        time_unit=LimitUnit.WORKING_DAYS,
        due_at=minutes(90),
        provisional=True,
        met_at=minutes(30),
        limit_id=fixed_id("lim", 1),
        remind_before=1,
        opening_hours=(OpeningHours(opens="09:00", closes="17:00"),),
        counted_at=NOW,
        waits_for=(2027,),
        pauses=(pause,),
    )
