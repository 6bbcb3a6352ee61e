"""Isolate the items of a batch: an error in our own code fails only one item, and that item can be sent again."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from api.http import errors
from schema.core.refusals import Refusal, RefusalCode

T = TypeVar("T")


async def run_isolated(work: Callable[[], Awaitable[T]]) -> T:
    """Return the result of `work`. Raise its `Refusal`, or `Refusal(INTERNAL)` for any other error."""
    try:
        return await work()
    except Refusal:
        raise
    except Exception as error:
        raise internal_refusal(error) from error


def internal_refusal(error: BaseException) -> Refusal:
    """Log an error. Return a refusal that shows only a reference number, which the user can report."""
    return Refusal(RefusalCode.INTERNAL, str(errors.mask_error(error)["message"]))
