"""Metrics for Prometheus, with closed label sets: nothing that a client sends becomes a label.

Who may read them is left to `operators`. With PROMETHEUS_MULTIPROC_DIR set, all processes are added up.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

from api.telemetry.tracing import BAD_USER_INPUT, INTERNAL, Trace
from schema.core.refusals import RefusalCode
from storage.mongodb.client import CommandListener

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
OPERATIONS = frozenset({"query", "mutation", "subscription", "none"})
COMMANDS = frozenset(
    {
        "abortTransaction",
        "aggregate",
        "commitTransaction",
        "createIndexes",
        "delete",
        "endSessions",
        "find",
        "findAndModify",
        "getMore",
        "insert",
        "killCursors",
        "ping",
        "update",
    }
)
CODES = frozenset({code.value for code in RefusalCode} | {BAD_USER_INPUT, INTERNAL})


def within(value: str, known: frozenset[str]) -> str:
    """Return `value` where it is a known one, else `other`: a label never grows with what comes in."""
    return value if value in known else "other"


class Metrics:
    """All counts of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "mingcha_requests_total", "HTTP requests.", ("operation", "outcome"), registry=self.registry
        )
        self._seconds = Histogram(
            "mingcha_request_seconds",
            "Time to answer.",
            ("operation",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._under_way = Gauge(
            "mingcha_requests_under_way",
            "HTTP requests under way.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self._refusals = Counter(
            "mingcha_refusals_total",
            "Refusals, in errors and in payloads, by code.",
            ("code",),
            registry=self.registry,
        )
        self._commands = Histogram(
            "mingcha_mongo_command_seconds",
            "Time of MongoDB commands, as the driver sees it.",
            ("command", "outcome"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._work = Counter("mingcha_work_total", "Background work done.", ("kind", "outcome"), registry=self.registry)
        self._work_seconds = Histogram(
            "mingcha_work_seconds",
            "Time that background work took.",
            ("kind",),
            buckets=SECONDS,
            registry=self.registry,
        )

    @contextmanager
    def in_progress(self) -> Iterator[None]:
        with self._under_way.track_inprogress():
            yield

    def request(self, trace: Trace, status: int, seconds: float) -> None:
        """Count an answered request: by operation type, and how it ended as a whole."""
        operation = within(trace.operation, OPERATIONS)
        self._requests.labels(operation, outcome_of(trace, status)).inc()
        self._seconds.labels(operation).observe(seconds)
        for code in trace.codes:
            self.refusal(code)

    def refusal(self, code: str) -> None:
        """Count a refusal; operations call this for those that travel as union members or in batches."""
        self._refusals.labels(within(code, CODES)).inc()

    def command(self, name: str, outcome: str, seconds: float) -> None:
        self._commands.labels(within(name, COMMANDS), outcome).observe(seconds)

    @contextmanager
    def work(self, kind: str) -> Iterator[None]:
        """Count one piece of background work and its time; `kind` is a name from the code, never from data."""
        started, outcome = time.perf_counter(), "failed"
        try:
            yield
            outcome = "done"
        finally:
            self._work.labels(kind, outcome).inc()
            self._work_seconds.labels(kind).observe(time.perf_counter() - started)

    def listener(self) -> "MongoListener":
        """Return a listener for `storage.mongodb.client.Mongo` that feeds these metrics."""
        return MongoListener(self)

    def printed(self) -> tuple[bytes, str]:
        """Return Prometheus's text and its content type; of all processes in multi-process mode."""
        registry = self.registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry), CONTENT_TYPE_LATEST


class MongoListener(CommandListener):
    """Times MongoDB commands; the driver calls it from whatever thread runs the command."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics

    def started(self, event: object) -> None:
        """Commands are counted when they end."""

    def succeeded(self, event: object) -> None:
        self._note(event, "ok")

    def failed(self, event: object) -> None:
        self._note(event, "failed")

    def _note(self, event: object, outcome: str) -> None:
        self.metrics.command(event.command_name, outcome, event.duration_micros / 1e6)  # type: ignore[attr-defined]


def outcome_of(trace: Trace, status: int) -> str:
    """How a request ended: `ok`, `refused`, `caller_fault` or `fault`; the gravest of what was reported counts."""
    if INTERNAL in trace.codes or not status or (status >= 500 and not trace.codes):
        return "fault"
    if BAD_USER_INPUT in trace.codes or (status >= 400 and not trace.codes):
        return "caller_fault"
    return "refused" if trace.codes else "ok"
