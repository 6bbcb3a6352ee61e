"""Describe background jobs: what the worker runs, how often, and what wakes it."""

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
EVERY_DAY = 24 * EVERY_HOUR


@dataclass(frozen=True)
class Resources:
    """What one worker process shares among its jobs.

    `folder` is for temporary files. `exits` is closed when the worker ends.
    """

    store: Store
    settings: Settings
    metrics: Metrics
    decoder: Decoder
    folder: Path
    exits: AsyncExitStack


@dataclass(frozen=True)
class Job:
    """Periodic work.

    `start` is called once in each worker process. It returns a function that is run again after each pause of
    `seconds`. `kind` is the label in metrics and logs. Work that `frees_space` also runs while a disk is full.
    """

    kind: str
    seconds: float
    start: Callable[[Resources], Awaitable[Run]]
    frees_space: bool = False


@dataclass(frozen=True)
class Queue:
    """Work that is done piece by piece.

    `start` is called once in each worker process. It returns a function that does one piece, or returns False if no
    piece is due. After False, the worker waits for an event of `changes`, but only for a few seconds. An event means
    that a record has changed, so that a piece may be due.
    """

    kind: str
    start: Callable[[Resources], Awaitable[Callable[[], Awaitable[bool]]]]
    changes: Callable[[Store], Callable[[], AsyncIterator[None]]]
