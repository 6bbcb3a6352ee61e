"""Test metrics: what is counted, who may read it, that clients can't create labels, and the sum over processes."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.server.health import Readiness
from api.server.routes import build_web_app
from api.settings import Settings
from api.telemetry.metrics import Metrics, outcome_of
from api.telemetry.shared_metrics import FILE_BYTES
from api.telemetry.tracing import Trace
from storage.mongodb.client import Mongo
from tests.support.small_schema import Context, schema_of

ROOT = Path(__file__).parents[2]


async def _context(_: object) -> Context:
    return Context()


def client_of(metrics: Metrics, settings: Settings = Settings(), address: str = "127.0.0.1") -> httpx.AsyncClient:  # noqa: B008  frozen
    app = build_web_app(settings, schema_of(), _context, metrics=metrics, readiness=Readiness([]))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(address, 1)), base_url="http://small")


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Return all values except zeros, keyed by (name, label values). The label values are sorted by label name."""
    text = metrics.render()[0].decode()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.value and not sample.name.endswith("_created")
    }


async def test_requests_are_counted_by_operation_and_outcome() -> None:
    metrics = Metrics()
    async with client_of(metrics) as client:
        for query in ("{ hello }", "{ hello }", "{ refused }", "{ fails }", "{ nothing }", "mutation { __typename }"):
            await client.post("/graphql", json={"query": query})
        await client.post("/graphql", content=b"x" * 300_000)
        await client.get("/nowhere")
    found = samples(metrics)
    assert {key[1:]: value for key, value in found.items() if key[0] == "mingcha_requests_total"} == {
        ("query", "ok"): 2,
        ("query", "refused"): 1,
        ("query", "fault"): 1,
        ("query", "caller_fault"): 1,
        ("mutation", "ok"): 1,
        ("none", "refused"): 1,
        ("none", "caller_fault"): 1,
    }
    assert found["mingcha_refusals_total", "NOT_FOUND"] == 1
    assert found["mingcha_refusals_total", "LIMIT_EXCEEDED"] == 1
    assert found["mingcha_refusals_total", "INTERNAL"] == 1
    assert found["mingcha_request_seconds_count", "query"] == 5
    assert not any(key[0] == "mingcha_requests_under_way" for key in found), "back to zero"


async def test_clients_cannot_create_labels() -> None:
    metrics = Metrics()
    async with client_of(metrics) as client:
        for name in ("Alice", "Bob"):
            await client.post("/graphql", json={"query": f"query {name} {{ hello }}", "operationName": name})
            await client.request(name.upper(), f"/{name}", headers={"x-request-id": f"{name}-12345678"})
    metrics.count_refusal("Alice")
    metrics.observe_command("Bob", "ok", 0.1)
    text = metrics.render()[0].decode().lower()
    assert "alice" not in text
    assert "bob" not in text
    assert samples(metrics)["mingcha_refusals_total", "other"] == 1


@pytest.mark.parametrize(
    ("codes", "status", "outcome"),
    [
        ([], 200, "ok"),
        ([], 404, "caller_fault"),
        ([], 500, "fault"),
        ([], 0, "fault"),
        (["NOT_FOUND"], 200, "refused"),
        (["BUSY"], 503, "refused"),
        (["BAD_USER_INPUT", "NOT_FOUND"], 400, "caller_fault"),
        (["INTERNAL", "NOT_FOUND"], 200, "fault"),
    ],
)
def test_the_outcome_follows_from_codes_and_status(codes: list[str], status: int, outcome: str) -> None:
    assert outcome_of(Trace("x", codes=codes), status) == outcome


def test_work_is_counted_as_done_or_failed() -> None:
    metrics = Metrics()
    with metrics.measure_work("verify"):
        pass
    with pytest.raises(KeyError), metrics.measure_work("verify"):
        raise KeyError
    found = samples(metrics)
    assert found["mingcha_work_total", "verify", "done"] == found["mingcha_work_total", "verify", "failed"] == 1
    assert found["mingcha_work_seconds_count", "verify"] == 2


@pytest.mark.both_drivers
async def test_database_commands_are_measured(engines: object, driver: str, mongo: Mongo) -> None:
    metrics = Metrics()
    watched = Mongo(engines.mongo_url, "test_metrics", driver=driver, listeners=[metrics.mongo_listener()])  # type: ignore[attr-defined]
    await watched.command("ping")
    await watched.collection("nothing").find({})
    await watched.close()
    found = samples(metrics)
    assert found["mingcha_mongo_command_seconds_count", "ping", "ok"] == 1
    assert found["mingcha_mongo_command_seconds_count", "find", "ok"] == 1


@pytest.mark.parametrize(
    ("token", "address", "headers", "status"),
    [
        (None, "127.0.0.1", {}, 200),
        (None, "::1", {}, 200),
        (None, "10.0.0.8", {}, 403),
        (None, "unix", {}, 403),
        (None, "127.0.0.1", {"x-forwarded-for": "127.0.0.1"}, 403),
        (None, "127.0.0.1", {"forwarded": "for=1.2.3.4"}, 403),
        ("s3cret", "127.0.0.1", {}, 403),
        ("s3cret", "127.0.0.1", {"authorization": "Bearer wrong"}, 403),
        ("s3cret", "127.0.0.1", {"authorization": "Basic s3cret"}, 403),
        ("s3cret", "10.0.0.8", {"authorization": "Bearer s3cret"}, 200),
        ("s3cret", "10.0.0.8", {"authorization": "bearer s3cret", "x-forwarded-for": "1.2.3.4"}, 200),
    ],
)
async def test_only_operators_can_read_metrics(
    token: str | None, address: str, headers: dict[str, str], status: int
) -> None:
    async with client_of(Metrics(), Settings(metrics_token=token), address) as client:
        answer = await client.get("/metrics", headers=headers)
    assert answer.status_code == status
    assert ("mingcha_requests_total" in answer.text) == (status == 200)
    assert "s3cret" not in answer.text


COUNT = (
    "from api.telemetry.metrics import Metrics; from api.telemetry.tracing import Trace; m = Metrics();"
    "m.count_request(Trace('x', 'query'), 200, 0.1); print(m.render()[0].decode())"
)


def counted(folder: Path, **more: str) -> str:
    """Count one request in a process of its own, because Prometheus's client keeps files per process."""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder), "PYTHONPATH": str(ROOT), **more}
    done = subprocess.run([sys.executable, "-c", COUNT], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_metrics_of_several_processes_are_added_up_in_files_without_holes(tmp_path: Path) -> None:
    """The kernel ends a process that writes to a mapped hole on a full disk. A process of the same name goes on."""
    for count, name in ((1.0, "api-1"), (2.0, "worker"), (3.0, "worker")):
        shown = counted(tmp_path, MINGCHA_PROCESS_NAME=name)
        assert f'mingcha_requests_total{{operation="query",outcome="ok"}} {count}' in shown
    files = list(tmp_path.iterdir())
    assert {file.name.rpartition("_")[2] for file in files} == {"api-1.db", "worker.db"}
    for file in files:
        assert file.stat().st_blocks * 512 >= file.stat().st_size == FILE_BYTES


def test_a_process_without_space_for_shared_metrics_counts_for_itself(tmp_path: Path) -> None:
    for kind in ("counter", "histogram", "gauge_livesum"):
        (tmp_path / f"{kind}_api-1.db").symlink_to("/dev/full")
    shown = counted(tmp_path, MINGCHA_PROCESS_NAME="api-1")
    assert 'mingcha_requests_total{operation="query",outcome="ok"} 1.0' in shown
