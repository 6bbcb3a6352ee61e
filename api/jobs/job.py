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
    """What one worker process holds for its jobs: `folder` is for temporary files, `exits` closes with the worker."""

    store: Store
    settings: Settings
    metrics: Metrics
    decoder: Decoder
    folder: Path
    exits: AsyncExitStack


@dataclass(frozen=True)
class Job:
    """Periodic work: `start` is called once in each worker process and returns a function that runs every `seconds`.

    `kind` is the label in metrics and logs.
    """

    kind: str
    seconds: float
    start: Callable[[Resources], Awaitable[Run]]


@dataclass(frozen=True)
class Queue:
    """Work that is done piece by piece: `start` returns a function that does one piece, and False if no piece is due.

    After False the worker waits for an event of `changes`, which reports records that may be due, or for a few seconds.
    """

    kind: str
    start: Callable[[Resources], Awaitable[Callable[[], Awaitable[bool]]]]
    changes: Callable[[Store], Callable[[], AsyncIterator[None]]]
