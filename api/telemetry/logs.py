"""Logs: one JSON line an event on stderr, readable lines on a terminal; nothing that could name a person or open a door.

What may stand in a line is a closed list of keys. Tracebacks keep files, lines and functions, and drop the exceptions'
own words, which quote records and requests; at level DEBUG, for a developer's machine, the words are kept.
"""

import logging
import re
import sys
import traceback
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
        # records, by ids that only the database can turn into something
        "observation",
        "media",
        "case",
        "assignment",
    }
)
MAX_VALUE_LENGTH = 300
SILENT = ("uvicorn.access", "strawberry.execution")
"""Their lines hold addresses, query strings and callers' values; `middleware` and `errors` write what is needed."""
_SUSPICIOUS = re.compile(r"eyJ|(?i:bearer|basic)|://|\?")
_SECRETS = (
    (re.compile(r"eyJ[\w-]+\.[\w-]+(\.[\w-]*)*"), "[token]"),
    (re.compile(r"ses_[0-9a-f-]{36}\.[\w.-]+"), "[token]"),
    (re.compile(r"(?i)\b(bearer|basic)\s+\S+"), r"\1 [withheld]"),
    (re.compile(r"(\w+://)[^/\s@]*@"), r"\1[withheld]@"),
    (re.compile(r"\?[^\s\"'>)]*=[^\s\"'>)]*"), "?[withheld]"),
)


def configure(level: str = "INFO", *, stream: TextIO | None = None, pretty: bool | None = None) -> None:
    """Set up structlog and the standard library's logging for this process.

    `pretty` is for people; unless given, it follows whether `stream` is a terminal. Loggers of libraries pass from
    WARNING on: pymongo and botocore, asked for more, print documents and signatures.
    """
    target = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        _stamp,
        _Faults(words=number <= logging.DEBUG),
        only_known_keys,
    ]
    render: Processor = (
        _readable if (target.isatty() if pretty is None else pretty) else structlog.processors.JSONRenderer(_json)
    )
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_Loggers(target),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_first_line],
            processors=[*shared, render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.asgi", *SILENT):
        taken = logging.getLogger(name)
        taken.handlers = [logging.NullHandler()] if name in SILENT else []
        taken.propagate = name not in SILENT
        taken.setLevel(logging.NOTSET)


class _Loggers:
    """Makes loggers that write to one stream; the name a module gives becomes the line's `logger`."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __call__(self, *names: str) -> WrappedLogger:
        return _NamedLogger(self.stream, names[0] if names else "mingcha")


class _NamedLogger(structlog.WriteLogger):
    def __init__(self, stream: TextIO, name: str) -> None:
        super().__init__(stream)
        self.name = name


def _first_line(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Of a library's message only the first line: asyncio's following ones quote exceptions."""
    lines = str(event["event"]).splitlines()
    return {**event, "event": lines[0] if lines else ""}


def _stamp(logger: WrappedLogger, _: str, event: EventDict) -> EventDict:
    record = event.get("_record")
    event["logger"] = record.name if record is not None else getattr(logger, "name", "mingcha")
    event["time"] = datetime.now(UTC).isoformat(timespec="milliseconds")
    if trace := tracing.active():
        event["correlation"] = trace.correlation_id
    return event


class _Faults:
    """Turn an exception into the types of its chain and the frames that it passed."""

    def __init__(self, *, words: bool) -> None:
        self.words = words

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        error = _exception(event.pop("exc_info", None))
        if error is None:
            return event
        chain = _chain(error)
        event["fault"] = " < ".join(_named(each) for each in chain)
        event["frames"] = [frame for each in reversed(chain) for frame in _frames(each.__traceback__)]
        if self.words:
            event["words"] = " < ".join(str(each) for each in chain)
        return event


def _exception(given: Any) -> BaseException | None:
    if given is True:
        return sys.exception()
    if isinstance(given, tuple):
        return given[1] if isinstance(given[1], BaseException) else None
    return given if isinstance(given, BaseException) else None


def _chain(error: BaseException) -> list[BaseException]:
    """The error, then what it arose from."""
    found: list[BaseException] = []
    rest: BaseException | None = error
    while rest is not None and rest not in found and len(found) < 8:
        found.append(rest)
        rest = rest.__cause__ or (None if rest.__suppress_context__ else rest.__context__)
    return found


def _named(error: BaseException) -> str:
    code = getattr(error, "code", None)
    name = type(error).__qualname__
    return f"{name}({code})" if isinstance(code, int) else name


def _frames(trace: TracebackType | None) -> list[str]:
    """The last frames, as file:line function: those of ours tell where, those of libraries what was asked of them."""
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)[-12:]]


def only_known_keys(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Keep what is on the list, scrubbed and short; of everything else only that it was there."""
    kept: EventDict = {key: event[key] for key in ("time", "level", "event") if key in event}
    withheld: list[str] = []
    for key, value in event.items():
        if key in KEYS:
            kept[key] = _scrubbed(value)
        elif not key.startswith("_"):
            withheld.append(key)
    if withheld:
        kept["withheld"] = sorted(withheld)
    return kept


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        if _SUSPICIOUS.search(value):
            for pattern, instead in _SECRETS:
                value = pattern.sub(instead, value)
        return value if len(value) <= MAX_VALUE_LENGTH else f"{value[:MAX_VALUE_LENGTH]}…"
    if isinstance(value, list | tuple | set | frozenset):
        return [_scrubbed(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float) else f"[{type(value).__name__}]"


def _json(event: EventDict, **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()


_console = structlog.dev.ConsoleRenderer(timestamp_key="time", pad_event_to=16)


def _readable(logger: WrappedLogger, name: str, event: EventDict) -> str:
    frames = event.pop("frames", [])
    event["time"] = event["time"][11:23]
    return "\n    ".join([str(_console(logger, name, event)), *frames])
