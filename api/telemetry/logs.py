"""Write logs without personal data and credentials: JSON lines on stderr, readable lines on a terminal.

Only the keys in `KEYS` may appear in a line. A traceback keeps files, line numbers and functions. It drops the messages
of exceptions, because these messages quote records and requests. Level DEBUG keeps the messages. It is meant for a
developer's machine.
"""

import logging
import re
import sys
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from api.telemetry import tracing

KEYS = frozenset(
    {
        "event",
        "level",
        "time",
        "logger",
        "correlation",
        "fault",
        "frames",
        "words",
        "withheld",
        # a request
        "method",
        "route",
        "status",
        "operation",
        "codes",
        "milliseconds",
        "field",
        # a part of the service
        "part",
        "up",
        "pid",
        "port",
        "version",
        "driver",
        "role",
        "signal",
        # work
        "work",
        "kind",
        "attempt",
        "outcome",
        "count",
        "code",
        "state",
        "reason",
        "bytes",
        "seconds",
        # records, by ids that mean nothing without the database
        "observation",
        "media",
        "case",
        "assignment",
    }
)
MAX_VALUE_LENGTH = 300
SILENT = ("uvicorn.access", "strawberry.execution")
"""Loggers that write nothing. Their lines would contain addresses, query strings and values from callers. Our own line
for each request replaces them."""
_SUSPICIOUS = re.compile(r"eyJ|(?i:bearer|basic)|://|\?")
_SECRETS = (
    (re.compile(r"eyJ[\w-]+\.[\w-]+(\.[\w-]*)*"), "[token]"),
    (re.compile(r"ses_[0-9a-f-]{36}\.[\w.-]+"), "[token]"),
    (re.compile(r"(?i)\b(bearer|basic)\s+\S+"), r"\1 [withheld]"),
    (re.compile(r"(\w+://)[^/\s@]*@"), r"\1[withheld]@"),
    (re.compile(r"\?[^\s\"'>)]*=[^\s\"'>)]*"), "?[withheld]"),
)


def configure_logging(level: str = "INFO", *, stream: TextIO | None = None, pretty: bool | None = None) -> None:
    """Set up structlog and the standard library's logging for this process.

    With `pretty`, lines are written for people. By default `pretty` is on if `stream` is a terminal. Libraries log only
    from level WARNING up, because below that level pymongo and botocore print documents and signatures.
    """
    target = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        _add_context,
        _ExceptionSummary(with_messages=number <= logging.DEBUG),
        only_known_keys,
    ]
    render: Processor = (
        _render_for_terminal
        if (target.isatty() if pretty is None else pretty)
        else structlog.processors.JSONRenderer(_render_json)
    )
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_LoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_keep_first_line],
            processors=[*shared, render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.asgi", *SILENT):
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()] if name in SILENT else []
        logger.propagate = name not in SILENT
        logger.setLevel(logging.NOTSET)


class _LoggerFactory:
    """Make loggers that write to one stream. The name that a module gives becomes `logger` in the log line."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __call__(self, *names: str) -> WrappedLogger:
        return _NamedLogger(self.stream, names[0] if names else "mingcha")


class _NamedLogger(structlog.WriteLogger):
    """Drops a line that can't be written. A full disk must not fail the work that the line is about."""

    def __init__(self, stream: TextIO, name: str) -> None:
        super().__init__(stream)
        self.name = name

    def msg(self, message: str) -> None:
        with suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = fatal = failure = err = error = critical = exception = msg


def _keep_first_line(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Keep only the first line of a library's message, because later lines of asyncio's messages quote exceptions."""
    lines = str(event["event"]).splitlines()
    return {**event, "event": lines[0] if lines else ""}


def _add_context(logger: WrappedLogger, _: str, event: EventDict) -> EventDict:
    record = event.get("_record")
    event["logger"] = record.name if record is not None else getattr(logger, "name", "mingcha")
    event["time"] = datetime.now(UTC).isoformat(timespec="milliseconds")
    if trace := tracing.active():
        event["correlation"] = trace.correlation_id
    return event


class _ExceptionSummary:
    """Replace an exception in a log line by the types of all exceptions in its chain and by their stack frames."""

    def __init__(self, *, with_messages: bool) -> None:
        self.with_messages = with_messages

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        error = _exception_of(event.pop("exc_info", None))
        if error is None:
            return event
        chain = _error_chain(error)
        event["fault"] = " < ".join(_error_name(link) for link in chain)
        event["frames"] = [frame for link in reversed(chain) for frame in _frames_of(link.__traceback__)]
        if self.with_messages:
            event["words"] = " < ".join(str(link) for link in chain)
        return event


def _exception_of(exc_info: Any) -> BaseException | None:
    if exc_info is True:
        return sys.exception()
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    return error if isinstance(error, BaseException) else None


def _error_chain(error: BaseException) -> list[BaseException]:
    """Return the error, the cause of the error, the cause of that cause, and so on."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain and len(chain) < 8:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return chain


def _error_name(error: BaseException) -> str:
    code = getattr(error, "code", None)
    name = type(error).__qualname__
    return f"{name}({code})" if isinstance(code, int) else name


def _frames_of(trace: TracebackType | None) -> list[str]:
    """Return the last frames as `file:line function`. They include the frames of libraries."""
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)[-12:]]


def only_known_keys(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Keep the known keys of a log line. Remove secrets from their values, and shorten the values.

    The names of all other keys are listed under `withheld`, without their values.
    """
    kept: EventDict = {key: event[key] for key in ("time", "level", "event") if key in event}
    withheld: list[str] = []
    for key, value in event.items():
        if key in KEYS:
            kept[key] = _scrub(value)
        elif not key.startswith("_"):
            withheld.append(key)
    if withheld:
        kept["withheld"] = sorted(withheld)
    return kept


def _scrub(value: Any) -> Any:
    if isinstance(value, str):
        if _SUSPICIOUS.search(value):
            for pattern, replacement in _SECRETS:
                value = pattern.sub(replacement, value)
        return value if len(value) <= MAX_VALUE_LENGTH else f"{value[:MAX_VALUE_LENGTH]}…"
    if isinstance(value, list | tuple | set | frozenset):
        return [_scrub(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else f"[{type(value).__name__}]"


def _render_json(event: EventDict, **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()


_console = structlog.dev.ConsoleRenderer(timestamp_key="time", pad_event_to=16)


def _render_for_terminal(logger: WrappedLogger, name: str, event: EventDict) -> str:
    frames = event.pop("frames", [])
    event["time"] = event["time"][11:23]
    return "\n    ".join([str(_console(logger, name, event)), *frames])
