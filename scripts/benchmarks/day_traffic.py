"""A day's bytes: what one inspector's phone and the server send each other, photos apart, counted on the real application.

Printing it and starting engines are left to `bench.py`. Everything is asked for as phones do, by the digest of its text.
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
from scripts.demo.loading import SEED, Script, settle, write
from storage.indexes import ensure_indexes
from storage.processes.task_groups import collapse_exception_groups
from storage.store import Store

INSPECTOR, OFFICER, COUNTY = "inspector001", "officer.360703", "360703"
FOLLOW_UPS = 3
"""Cases that are opened of the day's observations; each shows in its observation, which comes again."""
TEXT = "上午巡查政务服务窗口，叫号系统显示等候十二人，三个窗口只开一个，工作人员离岗二十分钟，已拍照并询问值班负责人。"
OPEN = "mutation Open($input: OpenCaseInput!) { openCase(input: $input) { __typename } }"
ASSIGN = "mutation Give($input: AssignInput!) { assign(input: $input) { __typename } }"


@dataclass
class TrafficCount:
    """Bytes of HTTP requests and answers, their headers included; `packed` as they travel, `plain` as they would."""

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
    """What was measured, and how many records the first sync of the county brought."""

    first_sync: TrafficCount = field(default_factory=TrafficCount)
    work: TrafficCount = field(default_factory=TrafficCount)
    records: int = 0

    def told(self, observations: int, photos: int) -> str:
        """In two lines."""
        return (
            f"first sync of a county, {self.records} records: {self.first_sync.line()}\n"
            f"a day, {observations} observations, {photos} photos: {self.work.line()}"
        )


class MeasuredDevice:
    """A phone: its session, its cursor, and what it has counted so far."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client, self._token = client, ""
        self._id, self._refresh = _id("dev"), ""
        self._cursor: str | None = None
        self.traffic, self.seen = TrafficCount(), 0

    async def sign_in(self, user_name: str, password: str) -> None:
        who = {"userName": user_name, "password": password, "deviceId": self._id, "deviceName": "华为 Mate 60"}
        self._keep(await self.ask("SignIn", input=who | {"deviceClock": _clock()}))

    async def renew(self) -> None:
        self._keep(
            await self.ask(
                "RefreshSession", input={"refreshToken": self._refresh, "deviceId": self._id, "deviceClock": _clock()}
            )
        )

    async def sync(self, last: int, **more: Any) -> list[dict[str, Any]]:
        """Hand in `more` and pull all there is; returns the slots of what was handed in."""
        slots: list[dict[str, Any]] = []
        while True:
            wanted = {"deviceClock": _clock(), "lastSequence": last, "since": self._cursor}
            data = await self.ask("Sync", input=wanted, **more)
            submitted = data.get("submitObservations") or {"results": []}
            slots += [slot for result in submitted["results"] for slot in result["uploads"]]
            page = data["sync"]["changes"]
            self._cursor, more = page["cursor"], {}
            self.seen += len(page["changes"])
            if not page["hasMore"]:
                return slots

    async def ask(self, operation: str, **variables: Any) -> dict[str, Any]:
        """Data of an operation of the contract; raises `RuntimeError` for anything else than success."""
        return await self.post({"documentId": f"sha256:{digest(text_of(operation))}", "variables": variables})

    async def post(self, payload: dict[str, Any]) -> dict[str, Any]:
        body = encode_body(payload, packed=True)
        headers = {"Accept": "application/graphql-response+json", "Accept-Encoding": "zstd, gzip"} | body.headers
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        response = await self._client.post("/graphql", content=body.content, headers=headers)
        said = response.json()
        data: dict[str, Any] = said.get("data") or {}
        if not data or said.get("errors") or any(each.get("__typename") == "Refused" for each in data.values()):
            raise RuntimeError(f"The application refused: {json.dumps(said, ensure_ascii=False)[:500]}")
        there = _size(response.request.headers) + len("POST /graphql HTTP/1.1\r\n")
        back = _size(response.headers) + len("HTTP/1.1 200 OK\r\n")
        self.traffic.requests += 1
        self.traffic.sent_plain += there + len(encode_body(payload, packed=False).content)
        self.traffic.sent_packed += there + len(body.content)
        self.traffic.received_plain += back + len(response.content)
        self.traffic.received_packed += back + response.num_bytes_downloaded
        return data

    def _keep(self, data: dict[str, Any]) -> None:
        [session] = data.values()
        self._token, self._refresh = session["accessToken"], session["refreshToken"]


async def measure_day(store: Store, settings: Settings, *, observations: int, photos: int, pulls: int) -> Day:
    """Load the demo's divisions and people into an empty database, then work one day there; a photo is a few bytes."""
    password = secrets.token_urlsafe(12)
    script = await settled(store, await Passwords().hash(password))
    day = Day()
    transport = httpx.ASGITransport(app=create_app(settings, store))
    async with _entering(store), httpx.AsyncClient(transport=transport, base_url="http://mingcha.example") as client:
        phone, officer = MeasuredDevice(client), MeasuredDevice(client)
        await _entered(store)
        await phone.sign_in(INSPECTOR, password)
        await officer.sign_in(OFFICER, password)
        phone.traffic = day.first_sync
        await phone.sync(0)
        day.records = phone.seen
        phone.traffic = day.work
        await phone.sign_in(INSPECTOR, password)
        windows = script.region.counters(COUNTY)
        ids = await _hand_in(phone, [unit.code for unit in windows], observations, photos)
        inspector = next(user for user in script.people.users.values() if user.user_name == INSPECTOR)
        await _follow_up(officer, ids[:FOLLOW_UPS], str(inspector.id), str(windows[0].id))
        await _entered(store)
        await phone.renew()
        for _ in range(pulls):
            await phone.sync(observations)
    return day


async def settled(store: Store, password_hash: str) -> Script:
    """The demo's divisions, points, catalogue and people, all with one password, stored in an empty database."""
    await ensure_indexes(store.mongo)
    script = write(SEED, clock(), password_hash)
    await settle(store, script)
    return script


async def _hand_in(phone: MeasuredDevice, units: Sequence[str], observations: int, photos: int) -> list[str]:
    """One by one, each with what has arrived of the one before; returns their ids."""
    arrived: list[str] = []
    ids: list[str] = []
    async with httpx.AsyncClient() as client:
        for number in range(observations):
            count = photos * (number + 1) // observations - photos * number // observations
            bodies = {str(_id("med")): secrets.token_bytes(64) for _ in range(count)}
            draft = _draft(number, units[number % len(units)], bodies)
            ids.append(draft["id"])
            confirms = {"confirms": bool(arrived), "media": {"mediaIds": arrived}}
            for slot in await phone.sync(number + 1, submits=True, drafts={"drafts": [draft]}, **confirms):
                headers = {each["name"]: each["value"] for each in slot["headers"]}
                (await client.put(slot["url"], content=bodies[slot["mediaId"]], headers=headers)).raise_for_status()
            arrived = list(bodies)
    await phone.sync(observations, confirms=bool(arrived), media={"mediaIds": arrived})
    return ids


async def _follow_up(officer: MeasuredDevice, observation_ids: Sequence[str], assignee_id: str, unit_id: str) -> None:
    """Some become cases, and a place is given to be looked at again."""
    for id in observation_ids:
        opened = {"id": _id("cas"), "title": "窗口排队过长", "observationIds": [id]}
        await officer.post({"query": OPEN, "variables": {"input": opened}})
    given = {"id": _id("asg"), "assigneeId": assignee_id, "unitId": unit_id, "note": "请复查窗口在岗情况"}
    await officer.post({"query": ASSIGN, "variables": {"input": given}})


def _draft(number: int, unit: str, bodies: dict[str, bytes]) -> dict[str, Any]:
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
async def _entering(store: Store) -> AsyncIterator[None]:
    """The worker's part: what is written is entered for phones, as long as the block lasts."""
    work = ChangeFeedWorker(store, str(_id("ses")), clock, save_interval=timedelta())

    async def follow() -> None:
        while True:
            await work.follow()
            await anyio.sleep(0.05)

    with collapse_exception_groups():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            yield
            tasks.cancel_scope.cancel()


async def _entered(store: Store) -> None:
    written = clock()
    with anyio.fail_after(60):
        while True:
            sequence = await store.changes.sequence()
            if sequence and sequence.as_of and sequence.as_of > written:
                return
            await anyio.sleep(0.05)


def _clock() -> dict[str, Any]:
    return {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "roundTripMilliseconds": 180}


def _size(headers: httpx.Headers) -> int:
    return sum(len(name) + len(value) + len(": \r\n") for name, value in headers.raw) + len("\r\n")


def _id(prefix: str) -> str:
    return compose(prefix, clock(), secrets.token_bytes(10))
