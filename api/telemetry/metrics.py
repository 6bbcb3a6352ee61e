"""Count requests, refusals, MongoDB commands and background work for Prometheus.

Each label has a fixed set of values, so nothing that a client sends becomes a label. With PROMETHEUS_MULTIPROC_DIR set,
the metrics of all processes are added up.
"""

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

from api.telemetry.shared_metrics import share_metrics
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


def known_or_other(value: str, known: frozenset[str]) -> str:
    """Return `value` if it is known, otherwise `other`, so that input never makes new labels."""
    return value if value in known else "other"


class Metrics:
    """The metrics of one process, in a registry of their own. Other processes may share their metrics with it."""

    def __init__(self) -> None:
        self._is_shared = share_metrics()
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
    def track_in_progress(self) -> Iterator[None]:
        with self._under_way.track_inprogress():
            yield

    def count_request(self, trace: Trace, status: int, seconds: float) -> None:
        """Count an answered request by the type of its operation and by its outcome."""
        operation = known_or_other(trace.operation, OPERATIONS)
        self._requests.labels(operation, outcome_of(trace, status)).inc()
        self._seconds.labels(operation).observe(seconds)
        for code in trace.codes:
            self.count_refusal(code)

    def count_refusal(self, code: str) -> None:
        """Count a refusal by its code."""
        self._refusals.labels(known_or_other(code, CODES)).inc()

    def observe_command(self, name: str, outcome: str, seconds: float) -> None:
        self._commands.labels(known_or_other(name, COMMANDS), outcome).observe(seconds)

    @contextmanager
    def measure_work(self, kind: str) -> Iterator[None]:
        """Count one piece of background work, and measure its time.

        `kind` must come from the code, never from data.
        """
        started, outcome = time.perf_counter(), "failed"
        try:
            yield
            outcome = "done"
        finally:
            self._work.labels(kind, outcome).inc()
            self._work_seconds.labels(kind).observe(time.perf_counter() - started)

    def mongo_listener(self) -> "MongoListener":
        """Return a listener that measures the commands of a MongoDB client."""
        return MongoListener(self)

    def render(self) -> tuple[bytes, str]:
        """Return the metrics in Prometheus's text format, and the content type of this format."""
        registry = self.registry
        if self._is_shared:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry), CONTENT_TYPE_LATEST


class MongoListener(CommandListener):
    """Measure MongoDB commands. The driver calls this listener from the thread that runs the command."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics

    def started(self, event: object) -> None:
        """Do nothing, because commands are counted when they end."""

    def succeeded(self, event: object) -> None:
        self._observe(event, "ok")

    def failed(self, event: object) -> None:
        self._observe(event, "failed")

    def _observe(self, event: object, outcome: str) -> None:
        self.metrics.observe_command(event.command_name, outcome, event.duration_micros / 1e6)  # type: ignore[attr-defined]


def outcome_of(trace: Trace, status: int) -> str:
    """Return `ok`, `refused`, `caller_fault` or `fault`. The gravest code of the request decides."""
    if INTERNAL in trace.codes or not status or (status >= 500 and not trace.codes):
        return "fault"
    if BAD_USER_INPUT in trace.codes or (status >= 400 and not trace.codes):
        return "caller_fault"
    return "refused" if trace.codes else "ok"
