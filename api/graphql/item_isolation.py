"""Isolation of a batch's items: what goes wrong in our own code for one takes no other along, and is worth another try."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from api.http import errors
from schema.core.refusals import Refusal, RefusalCode

T = TypeVar("T")


async def isolated(work: Callable[[], Awaitable[T]]) -> T:
    """What `work` answers; raises its `Refusal`, or `Refusal(INTERNAL)` in place of anything else that went wrong."""
    try:
        return await work()
    except Refusal:
        raise
    except Exception as error:
        raise internal(error) from error


def internal(error: BaseException) -> Refusal:
    """Log it, and say no more of it than the number to quote."""
    return Refusal(RefusalCode.INTERNAL, str(errors.mask_error(error)["message"]))
