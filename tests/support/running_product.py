"""Run the product for phones: `scripts/run` on the session's engines, a small world, and faulty networks in front."""

import asyncio
import os
import signal
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from api.accounts.key_ring import KeyRing
from api.accounts.passwords import Passwords
from api.settings import Settings
from schema.access.viewers import Role
from schema.media.object_keys import FOLDER
from storage.embedded.engines import Addresses
from storage.mongodb.client import Mongo
from storage.processes.supervisor import DEATHS, DEATHS_SECONDS
from storage.s3.client import ObjectStore
from storage.store import Store
from tests.support.network_faults import FaultyNetwork
from tests.support.phone_sessions import PASSWORD
from tests.support.run_command import Run
from tests.support.shared_objects import for_this_loop
from tests.support.world import LIGHT, World, new_id

T = TypeVar("T")
PARTS = {"MINGCHA_SINGLE_PUT_BYTES": str(64 * 1024), "MINGCHA_PART_BYTES": str(5 * 1024 * 1024)}
"""A part is 5 MiB, because S3 accepts a smaller part only as the last one."""


class RunningProduct:
    """A running product; `server` and `objects` are the networks in front of the API and of the object store."""

    def __init__(self, engines: Addresses, folder: Path, **environment: str) -> None:
        name = f"test-{uuid.uuid4().hex}"
        self._engines = replace(engines, s3_bucket=name)
        self._settings = Settings(data=folder / "world")
        self._database = name.replace("-", "_")
        self._store = self._engines.store()
        parts = urlsplit(engines.s3_endpoint)
        assert parts.hostname
        assert parts.port
        self.objects = FaultyNetwork((parts.hostname, parts.port))
        self.server = FaultyNetwork()
        self.within(self._prepare)
        own = self._engines.environment() | {
            "MINGCHA_MONGO_DATABASE": self._database,
            "MINGCHA_S3_PUBLIC_ENDPOINT": self.objects.address,
        }
        self._deaths: list[float] = []
        self._run = Run(folder / "data", "--port=0", "--no-demo", **own | environment)
        address = urlsplit(self._run.serving())
        assert address.port
        self.server.upstream = "127.0.0.1", address.port

    @property
    def address(self) -> str:
        return self.server.address

    @property
    def output(self) -> str:
        """What `scripts/run` has printed."""
        return self._run.output

    @property
    def own_address(self) -> str:
        """The address without the network in front, for requests that phones don't send."""
        assert self.server.upstream
        return "http://{}:{}".format(*self.server.upstream)

    def calm(self) -> None:
        self.server.calm()
        self.objects.calm()

    def kill(self, name: str) -> None:
        """Kill `api.server.serve` or `api.server.worker`, unless its supervisor would give up then."""
        recent = [at for at in self._deaths if at > time.monotonic() - DEATHS_SECONDS]
        if len(recent) < DEATHS - 2 and (pid := self._run.children().get(name)):
            os.kill(pid, signal.SIGKILL)
            self._deaths = [*recent, time.monotonic()]

    def close(self) -> None:
        self._run.process.terminate()
        self._run.ended()
        self.server.close()
        self.objects.close()
        self.within(self._clear)
        self._store.close()

    def within(self, work: Callable[[World], Awaitable[T]]) -> T:
        """Work on the world's store directly, without the API."""

        async def run() -> T:
            mongo = Mongo(self._engines.mongo_url, self._database, driver="pymongo")
            try:
                return await work(self._world(mongo, for_this_loop(self._store)))
            finally:
                await mongo.close()

        return asyncio.run(run())

    def _world(self, mongo: Mongo, objects: ObjectStore) -> World:
        keys = KeyRing(self._settings.keys_folder)
        return World(Store(mongo, objects), self._settings, keys, passwords=Passwords(cost=LIGHT))

    @staticmethod
    async def _prepare(world: World) -> None:
        await world.store.objects.make_bucket()
        await world.build()

    @staticmethod
    async def _clear(world: World) -> None:
        await world.store.mongo.drop()
        await world.store.objects.drop_bucket()

    def person(self, like: str = "inspector") -> str:
        """Add a person with the rights of `like` and the password `PASSWORD`, and return the user name."""
        return self.people(like)[0]

    def people(self, *likes: str) -> list[str]:
        """Add a person for each of `likes`, as `person` does."""

        async def admit(world: World) -> list[str]:
            return await asyncio.gather(*(self._admit(world, like) for like in likes))

        return self.within(admit)

    @staticmethod
    async def _admit(world: World, like: str) -> str:
        known = await world.store.users.by_user_name(like)
        assert known
        name = f"{like}-{uuid.uuid4().hex[:12]}"
        await world.store.users.put_all([replace(known, id=new_id("usr"), user_name=name, devices=())])
        made = await world.store.users.by_user_name(name)
        assert made
        hashed = await world.passwords.hash(PASSWORD)
        await world.store.users.set_password(made.id, hashed, world.context(None).now)
        if Role.MONITOR in made.roles:
            points = world.store.mongo.collection("monitoring_points")
            await points.update_many({"monitor_ids": known.id}, {"$addToSet": {"monitor_ids": made.id}})
        return name

    def end_sessions(self, user: str) -> None:
        """Let the user's sessions expire. Access tokens stay valid until their own expiry."""

        async def end(world: World) -> None:
            found = await world.store.users.by_user_name(user)
            assert found
            long_ago = {"$set": {"expires_at": datetime(2000, 1, 1, tzinfo=UTC)}}
            await world.store.mongo.collection("sessions").update_many({"user_id": found.id}, long_ago)

        self.within(end)

    def originals(self, ids: Iterable[str]) -> dict[str, int]:
        """Return how many objects the store has of each medium, keyed by the medium's id."""

        async def count(world: World) -> dict[str, int]:
            listed = {id: await world.store.objects.ask("list_objects_v2", Prefix=f"{FOLDER}{id}") for id in ids}
            return {id: int(found["KeyCount"]) for id, found in listed.items()}

        return self.within(count)

    def kept(self, user: str) -> dict[str, dict[str, dict[str, Any]]]:
        """Return the documents of the person's observations and media, keyed by collection and id."""

        async def read(world: World) -> dict[str, dict[str, dict[str, Any]]]:
            found = await world.store.users.by_user_name(user)
            assert found
            of = {"observations": "author_id", "media": "uploader_id"}
            return {
                name: {each["_id"]: each for each in await world.store.mongo.collection(name).find({field: found.id})}
                for name, field in of.items()
            }

        return self.within(read)


def ask(address: str, user: str, operation: str, *, password: str = PASSWORD, **variables: Any) -> dict[str, Any]:
    """Sign in as a user, ask an operation, and return its data."""
    sign_in = "mutation($input: SignInInput!) { signIn(input: $input) { ... on SignedIn { accessToken } } }"
    given = {"userName": user, "password": password, "deviceId": new_id("dev"), "deviceName": "desk"}
    with httpx.Client(base_url=address, timeout=30) as client:
        answer = client.post("/graphql", json={"query": sign_in, "variables": {"input": given}}).json()
        token = answer["data"]["signIn"]["accessToken"]
        body = client.post(
            "/graphql", json={"query": operation, "variables": variables}, headers={"Authorization": f"Bearer {token}"}
        ).json()
    assert "errors" not in body, body
    data: dict[str, Any] = body["data"]
    return data
