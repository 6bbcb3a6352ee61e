"""Test a full disk: nothing ends for good, writes are refused, reads go on, and all recovers when there is space."""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import httpx
import pytest

from api.accounts.key_ring import KeyRing
from api.accounts.passwords import Passwords
from api.settings import Settings
from schema.core.refusals import Refusal
from storage.embedded import mongod, seaweedfs
from storage.embedded.data_folder import DataFolder
from storage.embedded.engines import Addresses
from storage.mongodb.client import Mongo
from storage.store import Store
from tests.support.phone_sessions import PASSWORD
from tests.support.process_states import wait_until
from tests.support.run_command import Run
from tests.support.small_disk import MIB, SmallDisk, small_disk
from tests.support.world import LIGHT, SUBMIT, World, draft, new_id

T = TypeVar("T")
MIN_FREE = 64 * MIB
SIGN_IN = "mutation($input: SignInInput!) { signIn(input: $input) { ... on SignedIn { accessToken } } }"
READ = "query($id: ID!) { observation(id: $id) { id } }"
PULL = "mutation { sync(input: {}) { ... on SyncPayload { serverTime } ... on Refused { code } } }"


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    with small_disk(tmp_path_factory.mktemp("machine") / "data", 1000 * MIB) as made:
        yield made


def within(disk: SmallDisk, work: Callable[[World], Awaitable[T]]) -> T:
    """Work on the embedded engines of the disk directly, without the API."""
    folder = DataFolder(disk.view)
    first = int((disk.view / "engines" / "port").read_text())
    access_key, secret_key = seaweedfs.keys(folder)
    engines = Addresses(
        mongod.url(folder, first), seaweedfs.endpoint(range(first + 1, first + 11)), access_key, secret_key
    )

    async def run() -> T:
        mongo, objects = Mongo(engines.mongo_url, "mingcha", driver="pymongo"), engines.store()
        try:
            settings = Settings(data=disk.view)
            keys = KeyRing(settings.keys_folder)
            return await work(World(Store(mongo, objects), settings, keys, passwords=Passwords(cost=LIGHT)))
        finally:
            await mongo.close()
            objects.close()

    return asyncio.run(run())


async def people(world: World) -> None:
    await world.build()
    hashed = await world.passwords.hash(PASSWORD)
    await world.store.users.set_password(world.people["inspector"].id, hashed, world.context(None).now)


async def takes_objects(world: World) -> bool:
    try:
        await world.store.objects.ping()
    except Refusal:
        return False
    return True


class Phone:
    """Asks the product with the token of one sign-in."""

    def __init__(self, address: str) -> None:
        self._address, self._headers = address, {}
        given = {"userName": "inspector", "password": PASSWORD, "deviceId": new_id("dev"), "deviceName": "phone"}
        self._headers = {"Authorization": f"Bearer {self.ask(SIGN_IN, input=given)['signIn']['accessToken']}"}

    def ask(self, operation: str, **variables: Any) -> dict[str, Any]:
        """Return the data, or the codes of the errors under the key `errors`."""
        body = {"query": operation, "variables": variables}
        answer = httpx.post(f"{self._address}/graphql", json=body, headers=self._headers, timeout=30).json()
        if "errors" in answer:
            return {"errors": [error["extensions"]["code"] for error in answer["errors"]]}
        data: dict[str, Any] = answer["data"]
        return data

    def submit(self) -> tuple[str, dict[str, Any]]:
        given = draft()
        return given["id"], self.ask(SUBMIT, input={"drafts": [given]})

    def is_accepted(self) -> bool:
        answer = self.submit()[1].get("submitObservations") or {}
        return [each["outcome"] for each in answer.get("results") or ()] == ["ACCEPTED"]

    def reads(self, id: str) -> bool:
        return self.ask(READ, id=id) == {"observation": {"id": id}}


def parts_down(address: str) -> tuple[int, list[str]]:
    answer = httpx.get(f"{address}/readyz", timeout=30)
    return answer.status_code, [part["part"] for part in answer.json()["parts"] if not part["up"]]


def mongod_pid(run: Run) -> int | None:
    return run.children().get("mongod")


def test_a_full_disk_refuses_writes_and_everything_recovers(disk: SmallDisk, started: list[Run]) -> None:
    settings = {"MINGCHA_MIN_FREE_BYTES": str(MIN_FREE)}
    run = Run(disk.folder, "--port=0", "--no-demo", prefix=disk.prefix, **settings)
    started.append(run)
    address = run.serving()
    within(disk, people)
    phone, children = Phone(address), run.children()
    kept, answer = phone.submit()
    assert answer["submitObservations"]["results"][0]["outcome"] == "ACCEPTED"
    assert parts_down(address) == (200, [])

    disk.fill(left=MIN_FREE // 2)
    refused, answer = phone.submit()
    told = {key: answer["submitObservations"][key] for key in ("code", "nextStep")}
    assert told == {"code": "UNAVAILABLE", "nextStep": "RETRY_LATER"}
    assert "disk is nearly full" in answer["submitObservations"]["message"]
    assert phone.reads(kept)
    assert phone.ask(READ, id=refused) == {"observation": None}
    assert "serverTime" in phone.ask(PULL)["sync"]
    wait_until(lambda: parts_down(address) == (200, ["disk"]))

    disk.fill()
    for _ in range(3):
        assert httpx.get(f"{address}/metrics", timeout=30).status_code == 200
        answer = phone.ask(READ, id=kept)
        assert answer in ({"observation": {"id": kept}}, {"errors": ["UNAVAILABLE"]}), "the database may end"
    own = ("api.server.serve", "api.server.worker")
    assert {name: run.children()[name] for name in own} == {name: children[name] for name in own}
    with contextlib.suppress(ProcessLookupError):
        os.kill(children["mongod"], signal.SIGKILL)
    sentence = rf"mongod died by SIG\w+, because the disk of {disk.folder} has less than 64 MiB free\."
    wait_until(lambda: re.search(sentence, run.output) is not None, 30)
    wait_until(lambda: mongod_pid(run) not in {None, children["mongod"]}, 30)

    disk.clear()
    wait_until(phone.is_accepted, 90)
    assert phone.reads(kept)
    wait_until(lambda: parts_down(address) == (200, []), 30)
    assert within(disk, takes_objects)

    run.process.send_signal(signal.SIGINT)
    assert run.ended() == 0
    disk.fill()
    again = Run(disk.folder, "--port=0", "--role=api", prefix=disk.prefix, **settings)
    started.append(again)
    wait_until(
        lambda: "The start is tried again until there is space" in again.output or "Ctrl-C\n" in again.output, 30
    )
    disk.clear()
    assert Phone(again.serving()).reads(kept)
