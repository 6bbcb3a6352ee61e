"""Raise the error of a task group itself instead of an exception group."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collapse_exception_groups() -> Iterator[None]:
    """If the block raises an exception group, raise the group's first error instead. Callers can catch it by its type.

    This does not use `except*`, because some versions of Python (3.11.2) wrap an error that is raised there in a group
    again.
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
