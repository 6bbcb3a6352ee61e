"""Describe background work: what the worker runs, how often, and what wakes it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from api.settings import Settings
from api.telemetry.metrics import Metrics
from storage.formats.sandbox import Decoder
from storage.store import Store

Run = Callable[[], Awaitable[object]]
EVERY_SECOND = 1.0
EVERY_FEW_SECONDS = 5.0
EVERY_MINUTE = 60.0
EVERY_HOUR = 3600.0


@dataclass(frozen=True)
class Resources:
    """What one worker process holds for its jobs: `folder` for files in work, `exits` for what closes with the worker."""

    store: Store
    settings: Settings
    metrics: Metrics
    decoder: Decoder
    folder: Path
    exits: AsyncExitStack


@dataclass(frozen=True)
class Job:
    """Work that is run every `seconds`; `kind` is its label in metrics and logs.

    `start` is called once in each worker process and returns what is run.
    """

    kind: str
    seconds: float
    start: Callable[[Resources], Awaitable[Run]]


@dataclass(frozen=True)
class Queue:
    """Pieces of work that are done one after another until `run` returns False; then a change or time wakes it.

    `changes` tells of records that may be due.
    """

    kind: str
    start: Callable[[Resources], Awaitable[Callable[[], Awaitable[bool]]]]
    changes: Callable[[Store], Callable[[], AsyncIterator[None]]]
