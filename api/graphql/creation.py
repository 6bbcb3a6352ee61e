"""Create a record under an id that the client made. The id is the idempotency key."""

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
    """Return the record that is stored under the id, or create it. Two requests at the same time get the same record.

    `find` looks the record up by its id. `check` raises `Refusal(CONFLICT)` if the record differs from what is sent
    now.

    `create` raises `DuplicateError` if another request has stored the same id or another unique value. If no record has
    the id then, `create` is tried again, `attempts` times in all. After that, raise `Refusal(BUSY)`.
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
