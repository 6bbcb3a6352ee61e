"""Errors of task groups."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collapse_exception_groups() -> Iterator[None]:
    """Raise the first error of the task group within, so that callers catch it by its type.

    Without `except*`: an error raised there stays an error on some Pythons and becomes a group of one on others (3.11.2).
    """
    failure: Exception | None = None
    try:
        yield
    except ExceptionGroup as group:
        failure = group
    while isinstance(failure, ExceptionGroup):
        failure = failure.exceptions[0]
    if failure is not None:
        raise failure from failure.__cause__  # and not from the group
