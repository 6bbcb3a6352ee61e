"""Test health against the real engines: outages are reported in time and to the right people."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from api.server.bucket_setup import BucketSetup
from api.server.health import PartDownError, Probe, Readiness, database, free_space, object_store, signing_key
from api.server.routes import build_web_app
from api.settings import Settings
from api.telemetry.metrics import Metrics
from storage.embedded.engines import Addresses
from storage.mongodb.client import Mongo
from storage.processes.free_space import FreeSpace
from storage.s3.client import ObjectStore
from tests.support.small_schema import SECRET, Context, schema_of


async def _context(_: object) -> Context:
    return Context()


def client_of(*probes: Probe, address: str = "127.0.0.1", seconds: float = 2, kept: float = 0) -> httpx.AsyncClient:
    readiness = Readiness(probes, seconds=seconds, cache_seconds=kept)
    app = build_web_app(Settings(), schema_of(), _context, metrics=Metrics(), readiness=readiness)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(address, 1)), base_url="http://small")


def up(part: str = "a", *, needed: bool = True) -> Probe:
    async def ask() -> str:
        return f"{part} works."

    return Probe(part, ask, needed)


def down(part: str = "b", *, needed: bool = True, error: Exception = PartDownError("It sleeps.")) -> Probe:  # noqa: B008
    async def ask() -> str:
        raise error

    return Probe(part, ask, needed)


async def test_the_server_is_alive_whatever_is_down() -> None:
    async with client_of(down()) as client:
        answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"alive": True})


async def test_the_server_is_ready_when_all_needed_parts_are_up() -> None:
    async with client_of(up("a"), down("b", needed=False)) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "parts": [
            {"part": "a", "up": True, "needed": True, "says": "a works."},
            {"part": "b", "up": False, "needed": False, "says": "It sleeps."},
        ],
    }


async def test_parts_that_are_down_are_named_but_strangers_get_no_details() -> None:
    async with client_of(up("a"), down("b")) as client:
        told = await client.get("/readyz")
    async with client_of(up("a"), down("b"), address="10.0.0.8") as client:
        stranger = await client.get("/readyz")
    assert told.status_code == stranger.status_code == 503
    assert told.headers["retry-after"] == "2"
    assert [part["says"] for part in told.json()["parts"]] == ["a works.", "It sleeps."]
    assert stranger.json() == {
        "ready": False,
        "parts": [
            {"part": "a", "up": True, "needed": True, "says": "Up."},
            {"part": "b", "up": False, "needed": True, "says": "Down."},
        ],
    }


async def test_error_messages_are_not_exposed() -> None:
    async with client_of(down(error=ConnectionError(f"mongodb://root:{SECRET}@host"))) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert SECRET not in answer.text


async def test_hanging_parts_take_one_time_limit_together() -> None:
    async def hang() -> str:
        await asyncio.sleep(3600)
        return "never"

    started = time.monotonic()
    async with client_of(*(Probe(f"p{n}", hang) for n in range(5)), seconds=0.1) as client:
        answer = await client.get("/readyz")
    assert time.monotonic() - started < 60, "an hour is what each of them would take"
    assert {part["says"] for part in answer.json()["parts"]} == {"No answer within 0.1 s."}


async def test_concurrent_requests_share_one_probe() -> None:
    asked = 0

    async def ask() -> str:
        nonlocal asked
        asked += 1
        return "Up."

    async with client_of(Probe("a", ask), kept=60) as client:
        answers = await asyncio.gather(*(client.get("/readyz") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert asked == 1


@pytest.mark.both_drivers
async def test_the_real_engines_are_ready(mongo: Mongo, store: ObjectStore, tmp_path: Path) -> None:
    probes = [
        database(mongo.command),
        object_store(store.ping),
        free_space(FreeSpace([tmp_path], 1)),
        signing_key(lambda: None),
    ]
    async with client_of(*probes) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 200, answer.text
    says = {part["part"]: part["says"] for part in answer.json()["parts"]}
    assert says["database"].startswith("MongoDB 6.0.5, replica set ")
    assert "fine on loopback only" in says["database"]
    assert says["objectStore"] == "The bucket answers signed requests."
    assert says["disk"].endswith(f" MiB free on the disk of {tmp_path}.")


async def test_only_operators_see_the_features_of_the_store(store: ObjectStore) -> None:
    care = BucketSetup(store, Settings(cors_origins=("https://web.example.org",)))
    readiness = Readiness([], store=lambda: care.findings)
    app = build_web_app(Settings(), schema_of(), _context, metrics=Metrics(), readiness=readiness)
    seen = []
    for address in ("127.0.0.1", "10.0.0.8"):
        transport = httpx.ASGITransport(app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://small") as client:
            before = (await client.get("/readyz")).json()
            await care.run()
            seen.append((before, (await client.get("/readyz")).json()))
    (unlooked, told), stranger = seen
    assert unlooked["store"] == []
    assert {each["feature"]: each["state"] for each in told["store"]} == {
        "versioning": "off",
        "objectLock": "off",
        "lifecycle": "on",
        "cors": "on",
        "firstWriteWins": "on",
    }
    assert all(each["says"].endswith(".") for each in told["store"])
    assert stranger == ({"ready": True, "parts": []}, {"ready": True, "parts": []})


async def test_unusable_engines_are_down_and_reveal_no_secrets(engines: Addresses, tmp_path: Path) -> None:
    """Each of the five parts is down for its own reason.

    The database and one store can't be reached, another store rejects the access key, the disk has too little space,
    and the file of the signing key is missing.
    """

    def no_key() -> None:
        raise FileNotFoundError("/secret/place/key.pem")

    # Motor, as PyMongo's own client leaks the socket of a connection in progress when it is closed (PYTHON-5867).
    mongo = Mongo(f"mongodb://root:{SECRET}@127.0.0.1:1/?replicaSet=x", "x", driver="motor", timeout_seconds=0.2)
    strange = replace(engines, s3_access_key="key", s3_secret_key=SECRET)
    stranger, nowhere = strange.store(), replace(strange, s3_endpoint="http://127.0.0.1:1").store()
    probes = [
        database(mongo.command),
        object_store(nowhere.ping),
        object_store(stranger.ping),
        free_space(FreeSpace([tmp_path], 2**62)),
        signing_key(no_key),
    ]
    async with client_of(*probes) as client:
        answer = await client.get("/readyz")
    await mongo.close()
    stranger.close()
    nowhere.close()
    assert answer.status_code == 503
    assert [part["up"] for part in answer.json()["parts"]] == [False] * 5
    assert SECRET not in answer.text
    assert "/secret/place" not in answer.text


async def test_a_full_disk_is_down_and_the_service_stays_ready(tmp_path: Path) -> None:
    async with client_of(free_space(FreeSpace([tmp_path], 2**62))) as client:
        answer = await client.get("/readyz")
    [part] = answer.json()["parts"]
    assert (answer.status_code, part["up"], part["needed"]) == (200, False, False)
    assert part["says"].startswith(f"The disk of {tmp_path} has less than ")


async def test_a_mongod_without_a_replica_set_or_primary_is_down() -> None:
    async def alone(command: str) -> dict[str, object]:
        return {"version": "7.0.1", "versionArray": [7, 0, 1, 0], "isWritablePrimary": True}

    async def headless(command: str) -> dict[str, object]:
        return {"version": "7.0.1", "setName": "rs", "isWritablePrimary": False}

    readiness = Readiness([database(alone), database(headless)])
    first, second = await readiness.results()
    assert not first.up
    assert "replica set" in first.says
    assert not second.up
    assert "primary" in second.says
