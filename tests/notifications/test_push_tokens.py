"""Waking phones: whose, when, by which call, and with nothing on the lock screen; against a local receiver."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import anyio
import pytest

from api.graphql.context import clock
from api.notifications.push_gateways import PushGateway, Woken
from api.notifications.push_worker import LEASE, MAX_ATTEMPTS, EventWorker, PushWorker
from mobile_contract.documents import text_of
from schema.notifications.push_tokens import PushService
from tests.notifications.test_subscriptions import give
from tests.support.http_receiver import Receiver, receiving
from tests.support.phone_sessions import PASSWORD, Phone, with_passwords
from tests.support.subscription_clients import Signed, signed_in
from tests.support.world import World

FCM, APNS = "fcm:token_1", "ab" * 32


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


class Bell(PushGateway):
    """Keeps whom it woke."""

    def __init__(self, *outcomes: Woken) -> None:
        self.rung: list[str] = []
        self.outcomes = list(outcomes)

    async def wake(self, token: str) -> Woken:
        self.rung.append(token)
        return self.outcomes.pop(0) if self.outcomes else Woken.SENT


async def register(world: World, name: str, service: str = "FCM", token: str = FCM) -> dict[str, Any]:
    given = {"service": service, "token": token}
    answer: dict[str, Any] = (await world.ask(name, text_of("RegisterPushToken"), input=given))["registerPushToken"]
    return answer


async def at_home(world: World, name: str) -> Signed:
    """A device of that person is signed in; the world asks in its name from now on."""
    signed = await signed_in(world, name)
    world.devices[name] = signed.device_id
    return signed


async def kept(world: World) -> list[dict[str, Any]]:
    return await world.store.mongo.collection("push_tokens").find({}, sort=[("_id", 1)])


async def due(world: World) -> list[str]:
    return [each["user_id"] for each in await kept(world) if each["due_at"] is not None]


async def hear(world: World, *, until: str) -> None:
    """Run the hearing part of a worker until that person's devices are marked."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(EventWorker(world.store, clock).run)
        with anyio.fail_after(15):
            while world.people[until].id not in await due(world):  # noqa: ASYNC110  the database has no event to wait for
                await anyio.sleep(0.02)
        tasks.cancel_scope.cancel()


def at(later: timedelta) -> Any:
    def now() -> datetime:
        return clock() + later

    return now


async def started(world: World) -> str:
    """A worker has run before: what happens from here on is heard by the next."""
    async with world.store.notices.reading(None) as reader:
        position = (await reader.next()).position
    await world.store.notices.keep("waking", position)
    return position


async def test_a_device_is_known_once_and_forgotten(world: World) -> None:
    await at_home(world, "inspector")
    first = await register(world, "inspector")
    assert (first["deviceId"], first["service"]) == (world.devices["inspector"], "FCM")
    assert await register(world, "inspector") == first
    assert len(await kept(world)) == 1
    other = await register(world, "inspector", "APNS", APNS.upper())
    assert [(each["service"], each["token"]) for each in await kept(world)] == [("APNS", APNS)]
    assert other["service"] == "APNS"
    for _ in range(2):
        answer = await world.ask("inspector", text_of("ForgetPushToken"))
        assert answer["forgetPushToken"]["deviceId"] == world.devices["inspector"]
    assert await kept(world) == []


@pytest.mark.parametrize(("service", "token"), [("FCM", ""), ("FCM", "a b"), ("APNS", "xyz"), ("FCM", "a" * 5000)])
async def test_what_is_no_token_is_refused(world: World, service: str, token: str) -> None:
    assert (await register(world, "inspector", service, token))["code"] == "BAD_INPUT"
    assert await kept(world) == []


async def test_whom_a_change_concerns_is_woken_once_and_nobody_else(world: World) -> None:
    for name in ("supervisor", "supervisor2", "officer"):
        await at_home(world, name)
        await register(world, name, token=f"of:{name}")
    start = await started(world)
    await give(world)  # while no worker runs
    await hear(world, until="supervisor")
    assert await due(world) == [world.people["supervisor"].id]
    bell = Bell()
    worker = PushWorker(world.store, {PushService.FCM: bell}, at(timedelta(seconds=5)))
    await PushWorker(world.store, {PushService.APNS: bell}, at(timedelta(seconds=5))).do_all()
    assert bell.rung == []
    await worker.do_all()
    assert bell.rung == ["of:supervisor"]
    # Another worker, which hears of the same, wakes nobody again.
    reached = await world.store.notices.place("waking")
    await world.store.notices.leave("waking")
    await world.store.notices.keep("waking", start)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(EventWorker(world.store, clock).run)
        with anyio.fail_after(15):
            while (await world.store.notices.place("waking") or "") < (reached or ""):  # noqa: ASYNC110
                await anyio.sleep(0.02)
        tasks.cancel_scope.cancel()
    assert await due(world) == []


async def test_a_worker_that_dies_or_a_service_that_is_away_loses_no_call(world: World) -> None:
    await at_home(world, "supervisor")
    await register(world, "supervisor")
    tokens, user_id = world.store.push_tokens, world.people["supervisor"].id
    await tokens.mark({user_id: "1"}, clock())
    assert await tokens.claim(["FCM"], clock(), LEASE)  # and dies
    bell = Bell(*[Woken.LATER] * (MAX_ATTEMPTS - 1))
    await PushWorker(world.store, {PushService.FCM: bell}, clock).do_all()
    assert bell.rung == []
    later = LEASE
    while await due(world):
        await PushWorker(world.store, {PushService.FCM: bell}, at(later)).do_all()
        later += timedelta(hours=2)
    assert len(bell.rung) == MAX_ATTEMPTS - 1, "it is given up until the next change"
    await tokens.mark({user_id: "2"}, clock())
    call = await tokens.claim(["FCM"], clock(), LEASE)
    assert call
    await tokens.mark({user_id: "3"}, clock())  # while it is being woken
    await tokens.settle(call, again_at=None, changed_at=clock())
    assert await due(world) == [user_id]


async def test_a_service_that_hangs_holds_up_no_other(world: World) -> None:
    apple = anyio.Event()

    class Hanging(Bell):
        async def wake(self, token: str) -> Woken:
            with anyio.fail_after(10):
                await apple.wait()
            return await super().wake(token)

    class Ringing(Bell):
        async def wake(self, token: str) -> Woken:
            apple.set()
            return await super().wake(token)

    for name, service, token in (("supervisor", "FCM", FCM), ("supervisor2", "APNS", APNS)):
        await at_home(world, name)
        await register(world, name, service, token)
        await world.store.push_tokens.mark({world.people[name].id: "1"}, clock())
    google, other = Hanging(), Ringing()
    await PushWorker(world.store, {PushService.FCM: google, PushService.APNS: other}, clock).do_all()
    assert (google.rung, other.rung) == ([FCM], [APNS])


async def test_a_call_that_trips_our_code_takes_no_other_along(world: World) -> None:
    class Tripping(Bell):
        async def wake(self, token: str) -> Woken:
            raise LookupError

    for name, service, token in (("supervisor", "FCM", FCM), ("supervisor2", "APNS", APNS)):
        await at_home(world, name)
        await register(world, name, service, token)
        await world.store.push_tokens.mark({world.people[name].id: "1"}, clock())
    bell = Bell()
    for _ in range(2):
        work = PushWorker(world.store, {PushService.FCM: Tripping(), PushService.APNS: bell}, clock)
        with suppress(LookupError):
            await work.do_all()
    assert bell.rung == [APNS]
    assert await due(world) == [world.people["supervisor"].id], "it is left to its lease"


async def test_who_signed_out_on_whatever_way_is_not_woken(world: World) -> None:
    await with_passwords(world)
    phone = Phone(world)
    await phone.sign_in()
    given = {"service": "FCM", "token": FCM}
    document = "mutation M($input: RegisterPushTokenInput!) { answer: registerPushToken(input: $input) { __typename } }"
    await phone.do(document, signed_in=True, **given)
    assert len(await kept(world)) == 1
    await phone.do("mutation { answer: signOut { __typename } }", signed_in=True)
    assert await kept(world) == []
    await phone.sign_in(password=PASSWORD)
    await phone.do(document, signed_in=True, **given)
    user_id = world.people["inspector"].id
    await world.store.users.close([user_id], clock())
    await world.store.push_tokens.mark({user_id: "1"}, clock())
    bell = Bell()
    await PushWorker(world.store, {PushService.FCM: bell}, clock).do_all()
    assert bell.rung == []
    assert await kept(world) == []


async def test_an_address_that_the_service_does_not_know_is_dropped(world: World) -> None:
    await at_home(world, "supervisor")
    await register(world, "supervisor")
    await world.store.push_tokens.mark({world.people["supervisor"].id: "1"}, clock())
    await PushWorker(world.store, {PushService.FCM: Bell(Woken.UNREGISTERED)}, clock).do_all()
    assert await kept(world) == []
