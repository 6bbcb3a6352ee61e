"""Keep what is known about the current request: its correlation id, its operation and the codes it answered."""

import re
import secrets
from contextvars import ContextVar
from dataclasses import dataclass, field

BAD_USER_INPUT = "BAD_USER_INPUT"
INTERNAL = "INTERNAL"
# No dots and no underscores: a token or a user name must not pass as an id, and so into the logs.
_ACCEPTABLE = re.compile(r"[A-Za-z0-9-]{8,64}")


@dataclass(slots=True)
class Trace:
    """One request: `operation` is query, mutation, subscription or none; `codes` are those that the caller got.

    `is_secret` means that the answer holds tokens.
    """

    correlation_id: str
    operation: str = "none"
    codes: list[str] = field(default_factory=list)
    is_secret: bool = False


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def correlation_id(proposed: str | None) -> str:
    """Return the caller's own id if it is well formed (8-64 letters, digits, dashes), else a new one."""
    if proposed is not None and _ACCEPTABLE.fullmatch(proposed):
        return proposed
    return secrets.token_hex(8)


def begin(trace: Trace) -> None:
    """Make `trace` the current one of this task, and of the tasks that it starts."""
    _current.set(trace)


def active() -> Trace | None:
    """Return the trace of this task, or None outside of a request."""
    return _current.get()


def current() -> Trace:
    """Return the trace of this task; outside of a request, as in the worker, begin a new one."""
    trace = _current.get()
    if trace is None:
        begin(trace := Trace(correlation_id(None)))
    return trace
