"""Tell a replay from a conflict when an id is used again. The id is the idempotency key."""

from schema.core.refusals import Refusal, RefusalCode


def check_replay(stored: object, sent: object, *, field: str = "id") -> None:
    """Raise `Refusal(CONFLICT)` if `stored` and `sent` differ.

    Both hold the digest of the content. Where another person could send the same id, both also hold the sender.
    """
    if stored != sent:
        raise Refusal(RefusalCode.CONFLICT, field=field)
