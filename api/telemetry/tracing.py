"""Keep what is known about the current request: its correlation id, its operation and the error codes of its answer."""

import re
import secrets
from contextvars import ContextVar
from dataclasses import dataclass, field

BAD_USER_INPUT = "BAD_USER_INPUT"
INTERNAL = "INTERNAL"
# No dots and no underscores, so that a token or a user name is not accepted as an id and written to the logs.
_ACCEPTABLE = re.compile(r"[A-Za-z0-9-]{8,64}")


@dataclass(slots=True)
class Trace:
    """What is known about one request.

    `operation` is query, mutation, subscription or none. `codes` are the error codes in the answer. `is_secret` means
    that the answer contains tokens.
    """

    correlation_id: str
    operation: str = "none"
    codes: list[str] = field(default_factory=list)
    is_secret: bool = False


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def correlation_id(proposed: str | None) -> str:
    """Return the caller's own id if it consists of 8 to 64 letters, digits and dashes. Otherwise return a new id."""
    if proposed is not None and _ACCEPTABLE.fullmatch(proposed):
        return proposed
    return secrets.token_hex(8)


def begin(trace: Trace) -> None:
    """Make `trace` the current trace of this task, and of all tasks that this task starts."""
    _current.set(trace)


def active() -> Trace | None:
    """Return the trace of this task, or None outside of a request."""
    return _current.get()


def current() -> Trace:
    """Return the trace of this task. If the task has no trace, as in the worker, begin a new one."""
    trace = _current.get()
    if trace is None:
        begin(trace := Trace(correlation_id(None)))
    return trace
