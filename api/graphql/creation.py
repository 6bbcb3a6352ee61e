"""Create a record under the id that its sender made: the id is the idempotency key."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from schema.core.refusals import Refusal, RefusalCode
from storage.mongodb.errors import DuplicateError

T = TypeVar("T")


async def create_once(
    find: Callable[[], Awaitable[T | None]],
    create: Callable[[], Awaitable[T]],
    check: Callable[[T], None],
    *,
    attempts: int = 1,
) -> T:
    """Return the record that stands under the id, or create it; two requests at once get the same record.

    `check` raises `Refusal(CONFLICT)` for a record that isn't what is sent now. `create` raises `DuplicateError` where
    another request was faster; where that took another key than the id, it is tried again, `attempts` times in all.
    Raise `Refusal(BUSY)` after that.
    """
    if record := await find():
        check(record)
        return record
    for _ in range(attempts):
        try:
            return await create()
        except DuplicateError:
            if record := await find():
                check(record)
                return record
    raise Refusal(RefusalCode.BUSY)
