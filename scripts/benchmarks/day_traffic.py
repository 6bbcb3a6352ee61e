"""Count the bytes that one inspector's phone and the real application exchange in a day, except the photos' bytes.

Requests name their documents by digest, as phones do.
"""

import contextlib
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import httpx

from api.accounts.passwords import Passwords
from api.graphql.context import clock
from api.server.app import create_app
from api.settings import Settings
from api.sync.change_feed_worker import ChangeFeedWorker
from mobile_contract.documents import digest, text_of
from mobile_contract.phone.network.compression import encode_body
from schema.core.ids import compose
from scripts.demo.loading import SEED, DemoPlan, make_demo_plan, store_base_data
from storage.indexes import ensure_indexes
from storage.processes.task_groups import collapse_exception_groups
from storage.store import Store

INSPECTOR, OFFICER, COUNTY = "inspector001", "officer.360703", "360703"
FOLLOW_UPS = 3
"""Number of cases that are opened from the day's observations.

A case changes its observation, so the phone pulls the observation again.
"""
TEXT = "上午巡查政务服务窗口，叫号系统显示等候十二人，三个窗口只开一个，工作人员离岗二十分钟，已拍照并询问值班负责人。"
OPEN = "mutation Open($input: OpenCaseInput!) { openCase(input: $input) { __typename } }"
ASSIGN = "mutation Give($input: AssignInput!) { assign(input: $input) { __typename } }"


class RefusedError(RuntimeError):
    """The application refused a request. `code` is the code of the refusal, or `ERROR` if it has no code.

    `seconds` is the pause that the application asked for, or None.
    """

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__(f"The application refused: {json.dumps(result, ensure_ascii=False)[:500]}")
        refusals = [each for each in (result.get("data") or {}).values() if (each or {}).get("__typename") == "Refused"]
        errors = [error.get("extensions") or {} for error in result.get("errors") or []]
        unknown: dict[str, Any] = {"code": "ERROR"}
        refusal = next((each for each in [*refusals, *errors] if "code" in each), unknown)
        self.code = str(refusal["code"])
        self.seconds: float | None = refusal.get("retryAfterSeconds")


@dataclass
class TrafficCount:
    """Bytes of HTTP requests and responses, headers included.

    `packed` counts the bytes as sent, with compression. `plain` counts what they would be without compression.
    """

    requests: int = 0
    sent_plain: int = 0
    sent_packed: int = 0
    received_plain: int = 0
    received_packed: int = 0

    def line(self) -> str:
        return (
            f"{self.requests} requests; sent {self.sent_packed:,} bytes ({self.sent_plain:,} plain),"
            f" received {self.received_packed:,} ({self.received_plain:,} plain)"
        )


@dataclass
class Day:
    """The measured traffic of a day; `records` is the number of records in the first sync of the county."""

    first_sync: TrafficCount = field(default_factory=TrafficCount)
    work: TrafficCount = field(default_factory=TrafficCount)
    records: int = 0

    def report(self, observations: int, photos: int) -> str:
        """Return the result in two lines."""
        return (
            f"first sync of a county, {self.records} records: {self.first_sync.line()}\n"
            f"a day, {observations} observations, {photos} photos: {self.work.line()}"
        )


class MeasuredDevice:
    """A phone with its session, its cursor and its traffic counts."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client, self._token = client, ""
        self._id, self._refresh = _id("dev"), ""
        self._cursor: str | None = None
        self.traffic, self.records_pulled = TrafficCount(), 0

    async def sign_in(self, user_name: str, password: str) -> None:
        credentials = {"userName": user_name, "password": password, "deviceId": self._id, "deviceName": "华为 Mate 60"}
        self._store_session(await self.ask("SignIn", input=credentials | {"deviceClock": _clock()}))

    async def renew(self) -> None:
        self._store_session(
            await self.ask(
                "RefreshSession", input={"refreshToken": self._refresh, "deviceId": self._id, "deviceClock": _clock()}
            )
        )

    async def sync(self, last_sequence: int, **variables: Any) -> list[dict[str, Any]]:
        """Pull everything, and return the upload slots of the submitted observations.

        The first request also sends `variables`.
        """
        slots: list[dict[str, Any]] = []
        while True:
            sync_input = {"deviceClock": _clock(), "lastSequence": last_sequence, "since": self._cursor}
            data = await self.ask("Sync", input=sync_input, **variables)
            submitted = data.get("submitObservations") or {"results": []}
            slots += [slot for result in submitted["results"] for slot in result["uploads"]]
            page = data["sync"]["changes"]
            self._cursor, variables = page["cursor"], {}
            self.records_pulled += len(page["changes"])
            if not page["hasMore"]:
                return slots

    async def ask(self, operation: str, **variables: Any) -> dict[str, Any]:
        """Return the data of an operation of the contract. Raise `RefusedError` if it fails."""
        return await self.post({"documentId": f"sha256:{digest(text_of(operation))}", "variables": variables})

    async def post(self, payload: dict[str, Any]) -> dict[str, Any]:
        body = encode_body(payload, packed=True)
        headers = {"Accept": "application/graphql-response+json", "Accept-Encoding": "zstd, gzip"} | body.headers
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        response = await self._client.post("/graphql", content=body.content, headers=headers)
        result = response.json()
        data: dict[str, Any] = result.get("data") or {}
        if not data or result.get("errors") or any(item.get("__typename") == "Refused" for item in data.values()):
            raise RefusedError(result)
        request_head = _size(response.request.headers) + len("POST /graphql HTTP/1.1\r\n")
        response_head = _size(response.headers) + len("HTTP/1.1 200 OK\r\n")
        self.traffic.requests += 1
        self.traffic.sent_plain += request_head + len(encode_body(payload, packed=False).content)
        self.traffic.sent_packed += request_head + len(body.content)
        self.traffic.received_plain += response_head + len(response.content)
        self.traffic.received_packed += response_head + response.num_bytes_downloaded
        return data

    def _store_session(self, data: dict[str, Any]) -> None:
        [session] = data.values()
        self._token, self._refresh = session["accessToken"], session["refreshToken"]


async def measure_day(store: Store, settings: Settings, *, observations: int, photos: int, pulls: int) -> Day:
    """Load the demo's region and people into an empty database, then simulate a day of work on it.

    Each photo has only a few bytes.
    """
    password = secrets.token_urlsafe(12)
    plan = await load_base_data(store, await Passwords().hash(password))
    day = Day()
    transport = httpx.ASGITransport(app=create_app(settings, store))
    async with _feeding(store), httpx.AsyncClient(transport=transport, base_url="http://mingcha.example") as client:
        phone, officer = MeasuredDevice(client), MeasuredDevice(client)
        await _wait_for_feed(store)
        await phone.sign_in(INSPECTOR, password)
        await officer.sign_in(OFFICER, password)
        phone.traffic = day.first_sync
        await phone.sync(0)
        day.records = phone.records_pulled
        phone.traffic = day.work
        await phone.sign_in(INSPECTOR, password)
        windows = plan.region.windows(COUNTY)
        ids = await _submit_all(phone, [unit.code for unit in windows], observations, photos)
        inspector = next(user for user in plan.people.users.values() if user.user_name == INSPECTOR)
        await _follow_up(officer, ids[:FOLLOW_UPS], str(inspector.id), str(windows[0].id))
        await _wait_for_feed(store)
        await phone.renew()
        for _ in range(pulls):
            await phone.sync(observations)
    return day


async def load_base_data(store: Store, password_hash: str) -> DemoPlan:
    """Store the demo's region, points, catalogue and people in an empty database. All people get the same password."""
    await ensure_indexes(store.mongo)
    plan = make_demo_plan(SEED, clock(), password_hash)
    await store_base_data(store, plan)
    return plan


async def _submit_all(phone: MeasuredDevice, units: Sequence[str], observations: int, photos: int) -> list[str]:
    """Submit observations one by one. Return the observations' ids.

    Each request also confirms the media of the previous observation.
    """
    arrived: list[str] = []
    ids: list[str] = []
    async with httpx.AsyncClient() as client:
        for number in range(observations):
            count = photos * (number + 1) // observations - photos * number // observations
            bodies = {str(_id("med")): secrets.token_bytes(64) for _ in range(count)}
            draft = make_draft(number, units[number % len(units)], bodies)
            ids.append(draft["id"])
            confirms = {"confirms": bool(arrived), "media": {"mediaIds": arrived}}
            for slot in await phone.sync(number + 1, submits=True, drafts={"drafts": [draft]}, **confirms):
                headers = {header["name"]: header["value"] for header in slot["headers"]}
                (await client.put(slot["url"], content=bodies[slot["mediaId"]], headers=headers)).raise_for_status()
            arrived = list(bodies)
    await phone.sync(observations, confirms=bool(arrived), media={"mediaIds": arrived})
    return ids


async def _follow_up(officer: MeasuredDevice, observation_ids: Sequence[str], assignee_id: str, unit_id: str) -> None:
    """Open cases from the observations, and assign the inspector to inspect a unit again."""
    for id in observation_ids:
        case = {"id": _id("cas"), "title": "窗口排队过长", "observationIds": [id]}
        await officer.post({"query": OPEN, "variables": {"input": case}})
    assignment = {"id": _id("asg"), "assigneeId": assignee_id, "unitId": unit_id, "note": "请复查窗口在岗情况"}
    await officer.post({"query": ASSIGN, "variables": {"input": assignment}})


def make_draft(number: int, unit: str, bodies: dict[str, bytes]) -> dict[str, Any]:
    """Return the draft of an observation of that unit, with a photo for each of `bodies`, keyed by the photos' ids."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {
        "id": _id("obs"),
        "method": "PATROL",
        "category": "SLOW",
        "severity": "MINOR",
        "text": f"{TEXT}第{number + 1}处。",
        "capturedAt": now,
        "unit": unit,
        "deviceSequence": number + 1,
        "position": {"latitude": 25.65 + number / 1000, "longitude": 114.75, "accuracyMetres": 8.5, "fixedAt": now},
        "media": [
            {
                "id": id,
                "sha256": hashlib.sha256(body).hexdigest(),
                "byteSize": len(body),
                "contentType": "image/jpeg",
                "capturedAt": now,
            }
            for id, body in bodies.items()
        ],
    }


@contextlib.asynccontextmanager
async def _feeding(store: Store) -> AsyncIterator[None]:
    """Run the worker's change feed until the `with` block ends."""
    worker = ChangeFeedWorker(store, str(_id("ses")), clock, save_interval=timedelta())

    async def follow() -> None:
        while True:
            await worker.follow()
            await anyio.sleep(0.05)

    with collapse_exception_groups():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            yield
            tasks.cancel_scope.cancel()


async def _wait_for_feed(store: Store) -> None:
    """Wait until the change feed contains everything written so far."""
    now = clock()
    with anyio.fail_after(60):
        while True:
            sequence = await store.changes.sequence()
            if sequence and sequence.as_of and sequence.as_of > now:
                return
            await anyio.sleep(0.05)


def _clock() -> dict[str, Any]:
    return {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "roundTripMilliseconds": 180}


def _size(headers: httpx.Headers) -> int:
    return sum(len(name) + len(value) + len(": \r\n") for name, value in headers.raw) + len("\r\n")


def _id(prefix: str) -> str:
    return compose(prefix, clock(), secrets.token_bytes(10))
