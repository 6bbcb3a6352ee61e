"""Tell a replay from a conflict: the id is the idempotency key."""

from schema.core.refusals import Refusal, RefusalCode


def check_replay(stored: object, sent: object, *, field: str = "id") -> None:
    """Raise `Refusal(CONFLICT)` unless what is stored under the id equals what is sent: digests, and who sends."""
    if stored != sent:
        raise Refusal(RefusalCode.CONFLICT, field=field)
