"""Put load on one product while its database fails over: phones hand in photos, and an office works on cases.

The product is one API process and one worker on one MongoDB driver, with a database and a bucket of their own. Nobody
starts these processes again: a process that ends or stands still is a fault.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import httpx
from PIL import Image

from api.accounts.key_ring import KeyRing
from api.graphql.context import clock
from api.settings import Settings
from storage.embedded.data_folder import DataFolder
from storage.embedded.engines import Addresses
from storage.mongodb.client import Mongo
from storage.processes.fork_server import MODULE_COMMAND
from storage.store import Store
from tests.support.forked_commands import ROOT, ForkedCommand, command_server
from tests.support.picture_files import saved
from tests.support.process_states import wait_until_async
from tests.support.retrying_phone import Photo, RetryingPhone
from tests.support.storm_checks import READY_SECONDS, all_pulled, all_ready, records_are_those
from tests.support.subscription_clients import ASSIGNMENTS, Process, Signed, signed_in
from tests.support.world import ACCEPT, ASSIGN, OPEN, World, new_id

PASSWORD = "正确的马电池订书钉"
PHONES = 2
RETRIES = frozenset({"UNAVAILABLE", "BUSY"})
"""The only reasons for which a client may have to try again."""
ANSWER_SECONDS = 60.0
"""Longer than the API may take for any answer, so that no answer is missed."""
OPERATIONS = {
    name: text.replace("mutation Step", f"mutation {name}").replace("(input: $input) {", "(input: $input) { __typename")
    for name, text in (("Open", OPEN), ("Assign", ASSIGN), ("Accept", ACCEPT))
}
STEPS = ["OPENED", "MOVED", "ASSIGNED", "HAND_OVER_ACCEPTED"]


@dataclass
class StreamFollower:
    """Follows a person's assignments, and resumes after the last cursor whenever the stream ends.

    `seen` has the ids of the assignments that came. `odd` has the answers that are neither an assignment nor a position.
    """

    address: str
    signed: Signed
    seen: set[str] = field(default_factory=set)
    odd: list[str] = field(default_factory=list)
    cursor: str | None = None

    async def run(self, http: httpx.AsyncClient) -> None:
        headers = {"authorization": self.signed.header, "accept": "text/event-stream"}
        while True:
            body = {"query": ASSIGNMENTS, "variables": {"since": self.cursor}}
            async with http.stream("POST", f"{self.address}/graphql/stream", json=body, headers=headers) as response:
                async for line in response.aiter_lines():
                    if response.status_code != 200:
                        self.odd.append(f"{response.status_code} {line}")
                    elif line.startswith("data: {"):
                        self._read(json.loads(line.removeprefix("data: ")))
            await asyncio.sleep(0.2)

    def _read(self, event: dict[str, Any]) -> None:
        news = (event.get("data") or {}).get("assignmentChanged") or {}
        self.cursor = news.get("cursor", self.cursor)
        if news.get("__typename") == "AssignmentChanged":
            self.seen.add(news["assignment"]["id"])
        elif news.get("__typename") != "StreamPosition":
            self.odd.append(json.dumps(event))


@dataclass
class FailoverLoad:
    """The product under load on one driver, and those who use it. `photos` and `cases` were acknowledged."""

    world: World
    api: Process
    worker: ForkedCommand
    log: Path
    http: httpx.AsyncClient
    random: Random
    follower: StreamFollower
    phones: list[RetryingPhone] = field(default_factory=list)
    photos: list[Photo] = field(default_factory=list)
    cases: dict[str, str] = field(default_factory=dict)
    offers: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.phones = [self._client("inspector") for _ in range(PHONES)]
        self.officer, self.supervisor = self._client("officer"), self._client("supervisor")

    @property
    def clients(self) -> list[RetryingPhone]:
        return [*self.phones, self.officer, self.supervisor]

    def _client(self, name: str) -> RetryingPhone:
        address = f"http://{self.api.address}"
        return RetryingPhone(address, name, PASSWORD, self.random, self.http, others=OPERATIONS)

    async def begin(self) -> None:
        """Sign everybody in, and do one piece of each work."""
        for phone in self.phones:
            await self._hand_in(phone)
        await self._open_case()

    async def run(self, calm: asyncio.Event) -> None:
        """Work until it is calm, and finish what was begun."""
        async with asyncio.TaskGroup() as tasks:
            for phone in self.phones:
                tasks.create_task(self._repeat(lambda phone=phone: self._hand_in(phone), calm))
            tasks.create_task(self._repeat(self._open_case, calm))

    async def _repeat(self, step: Any, calm: asyncio.Event) -> None:
        while not calm.is_set():
            await step()
            await asyncio.sleep(self.random.uniform(0.1, 0.5))

    async def _hand_in(self, phone: RetryingPhone) -> None:
        picture = Image.frombytes("RGB", (8, 6), self.random.randbytes(8 * 6 * 3)).resize((80, 60))
        photo = Photo.of(saved(picture), 0)
        await phone.hand_in(photo)
        self.photos.append(photo)
        await phone.pull()

    async def _open_case(self) -> None:
        """Open a case over an acknowledged observation, assign it, and accept the assignment."""
        if not self.photos:
            return
        case_id, offer_id = new_id("cas"), new_id("asg")
        observation_ids = [self.random.choice(self.photos).id]
        given = {"id": case_id, "title": "窗口无人在岗", "observationIds": observation_ids}
        opened = await self.officer.ask("Open", input=given)
        offer = {"id": offer_id, "caseId": case_id, "assigneeId": self.world.people["supervisor"].id}
        await self.officer.ask("Assign", input=offer)
        await self.supervisor.ask("Accept", input={"id": offer_id})
        self.cases[case_id] = opened["case"]["number"]
        self.offers.add(offer_id)

    async def check(self) -> None:
        """Check that nothing acknowledged is lost or doubled, and that the product goes on with new work."""
        await self._hand_in(self.phones[0])
        await self._open_case()
        await all_ready(self.phones[0], self.photos)
        await asyncio.gather(*(all_pulled(phone, self.photos) for phone in self.phones))
        await records_are_those(self.world.store, self.phones, self.photos)
        cases = await self.world.store.cases.many(list(self.cases))
        assert {str(case.id): case.number for case in cases} == self.cases
        assert sorted(case.sequence for case in cases) == list(range(1, len(cases) + 1))
        assert await self.world.store.mongo.collection("cases").count({}) == len(cases)
        assert await self.world.store.mongo.collection("assignments").count({}) == len(cases)
        histories = {str(case.id): [str(event.kind.value) for event in case.history] for case in cases}
        assert histories == dict.fromkeys(self.cases, STEPS), histories
        await wait_until_async(lambda: self.follower.seen >= self.offers, READY_SECONDS)
        untyped = [answer for answer in self.follower.odd if not any(code in answer for code in RETRIES)]
        assert untyped == [], untyped
        assert [denial for client in self.clients for denial in client.denials] == []
        assert (self.api.process.poll(), self.worker.poll()) == (None, None), self.log.read_text()[-4000:]


@asynccontextmanager
async def loaded(engines: Addresses, driver: str, folder: Path, random: Random) -> AsyncIterator[FailoverLoad]:
    """Serve a world with one API process and one worker on that driver, and with a database and a bucket of its own."""
    DataFolder.open(folder)
    name = f"failover-{driver}-{random.randrange(10**9)}"
    mongo = Mongo(engines.mongo_url, name, driver="pymongo")
    objects = replace(engines, s3_bucket=name).store()
    await objects.make_bucket()
    settings = Settings(data=folder)
    world = await World(Store(mongo, objects), settings, KeyRing(settings.keys_folder)).build()
    hashed = await world.passwords.hash(PASSWORD)
    for person in ("inspector", "officer", "supervisor"):
        await world.store.users.set_password(world.people[person].id, hashed, clock())
    log = folder / "log"
    async with AsyncExitStack() as exits:
        exits.callback(objects.close)
        exits.push_async_callback(objects.drop_bucket)
        exits.push_async_callback(mongo.close)
        output = exits.enter_context(log.open("wb"))
        api = Process(world, engines, folder, MINGCHA_MONGO_DRIVER=driver)
        api.output = output.fileno()
        exits.push_async_callback(api.close)
        command = (*MODULE_COMMAND, "api.server.worker")
        worker = command_server().start(command, api.environment, ROOT, output.fileno())
        exits.callback(worker.wait)
        exits.callback(worker.kill)
        await api.start()
        http = await exits.enter_async_context(httpx.AsyncClient(timeout=ANSWER_SECONDS))
        follower = StreamFollower(f"http://{api.address}", await signed_in(world, "supervisor", seconds=3600))
        following = asyncio.create_task(follower.run(http))
        exits.callback(following.cancel)
        yield FailoverLoad(world, api, worker, log, http, random, follower)
