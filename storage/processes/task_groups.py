"""Raise the errors of task groups by their own type."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collapse_exception_groups() -> Iterator[None]:
    """Raise the first error of a task group, so that callers catch it by its type.

    This does not use `except*`: an error raised there becomes a group of one on some Pythons (3.11.2).
    """
    failure: Exception | None = None
    try:
        yield
    except ExceptionGroup as group:
        failure = group
    while isinstance(failure, ExceptionGroup):
        failure = failure.exceptions[0]
    if failure is not None:
        raise failure from failure.__cause__  # not from the group
