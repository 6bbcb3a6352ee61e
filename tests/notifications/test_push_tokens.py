"""Test, with a local receiver, whose phones are woken, when, and by which call, and that the call shows no content."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

import anyio
import pytest

from api.graphql.context import clock
from api.notifications.push_gateways import PushGateway, WakeOutcome
from api.notifications.push_worker import LEASE, MAX_ATTEMPTS, EventWorker, PushWorker
from mobile_contract.documents import text_of
from schema.notifications.push_tokens import PushService
from tests.support.case_steps import assign_case
from tests.support.http_receiver import Receiver, receiving
from tests.support.phone_sessions import PASSWORD, Phone, with_passwords
from tests.support.push_tokens import (
    APNS,
    FCM,
    clock_ahead,
    due_users,
    register_token,
    run_event_worker,
    sign_in_device,
    store_event_position,
    stored_tokens,
)
from tests.support.world import World


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


class Bell(PushGateway):
    """A gateway that records the tokens that it woke."""

    def __init__(self, *outcomes: WakeOutcome) -> None:
        self.rung: list[str] = []
        self.outcomes = list(outcomes)

    async def wake(self, token: str) -> WakeOutcome:
        self.rung.append(token)
        return self.outcomes.pop(0) if self.outcomes else WakeOutcome.SENT


async def test_a_device_has_one_token_and_can_remove_it(world: World) -> None:
    await sign_in_device(world, "inspector")
    first = await register_token(world, "inspector")
    assert (first["deviceId"], first["service"]) == (world.devices["inspector"], "FCM")
    assert await register_token(world, "inspector") == first
    assert len(await stored_tokens(world)) == 1
    other = await register_token(world, "inspector", "APNS", APNS.upper())
    assert [(each["service"], each["token"]) for each in await stored_tokens(world)] == [("APNS", APNS)]
    assert other["service"] == "APNS"
    for _ in range(2):
        answer = await world.ask("inspector", text_of("ForgetPushToken"))
        assert answer["forgetPushToken"]["deviceId"] == world.devices["inspector"]
    assert await stored_tokens(world) == []


@pytest.mark.parametrize(("service", "token"), [("FCM", ""), ("FCM", "a b"), ("APNS", "xyz"), ("FCM", "a" * 5000)])
async def test_an_invalid_token_is_refused(world: World, service: str, token: str) -> None:
    assert (await register_token(world, "inspector", service, token))["code"] == "BAD_INPUT"
    assert await stored_tokens(world) == []


async def test_only_people_concerned_by_a_change_are_woken_and_only_once(world: World) -> None:
    for name in ("supervisor", "supervisor2", "officer"):
        await sign_in_device(world, name)
        await register_token(world, name, token=f"of:{name}")
    start = await store_event_position(world)
    await assign_case(world)  # while no worker runs
    await run_event_worker(world, until="supervisor")
    assert await due_users(world) == [world.people["supervisor"].id]
    bell = Bell()
    worker = PushWorker(world.store, {PushService.FCM: bell}, clock_ahead(timedelta(seconds=5)))
    await PushWorker(world.store, {PushService.APNS: bell}, clock_ahead(timedelta(seconds=5))).do_all()
    assert bell.rung == []
    await worker.do_all()
    assert bell.rung == ["of:supervisor"]
    # Another worker that reads the same events wakes nobody again.
    reached = await world.store.record_events.load_position("waking")
    await world.store.record_events.delete_position("waking")
    await world.store.record_events.save_position("waking", start)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(EventWorker(world.store, clock).run)
        with anyio.fail_after(15):
            while (await world.store.record_events.load_position("waking") or "") < (reached or ""):  # noqa: ASYNC110
                await anyio.sleep(0.02)
        tasks.cancel_scope.cancel()
    assert await due_users(world) == []


async def test_a_dead_worker_or_an_unavailable_service_loses_no_call(world: World) -> None:
    await sign_in_device(world, "supervisor")
    await register_token(world, "supervisor")
    tokens, user_id = world.store.push_tokens, world.people["supervisor"].id
    await tokens.schedule({user_id: "1"}, clock())
    assert await tokens.claim(["FCM"], clock(), LEASE)  # and the worker dies
    bell = Bell(*[WakeOutcome.LATER] * (MAX_ATTEMPTS - 1))
    await PushWorker(world.store, {PushService.FCM: bell}, clock).do_all()
    assert bell.rung == []
    later = LEASE
    while await due_users(world):
        await PushWorker(world.store, {PushService.FCM: bell}, clock_ahead(later)).do_all()
        later += timedelta(hours=2)
    assert len(bell.rung) == MAX_ATTEMPTS - 1, "it is given up until the next change"
    await tokens.schedule({user_id: "2"}, clock())
    call = await tokens.claim(["FCM"], clock(), LEASE)
    assert call
    await tokens.schedule({user_id: "3"}, clock())  # while the phone is being woken
    await tokens.release(call, retry_at=None, changed_at=clock())
    assert await due_users(world) == [user_id]


async def test_a_hanging_service_does_not_delay_another(world: World) -> None:
    apple = anyio.Event()

    class Hanging(Bell):
        async def wake(self, token: str) -> WakeOutcome:
            with anyio.fail_after(10):
                await apple.wait()
            return await super().wake(token)

    class Ringing(Bell):
        async def wake(self, token: str) -> WakeOutcome:
            apple.set()
            return await super().wake(token)

    for name, service, token in (("supervisor", "FCM", FCM), ("supervisor2", "APNS", APNS)):
        await sign_in_device(world, name)
        await register_token(world, name, service, token)
        await world.store.push_tokens.schedule({world.people[name].id: "1"}, clock())
    google, other = Hanging(), Ringing()
    await PushWorker(world.store, {PushService.FCM: google, PushService.APNS: other}, clock).do_all()
    assert (google.rung, other.rung) == ([FCM], [APNS])


async def test_a_call_that_raises_does_not_stop_another(world: World) -> None:
    class Tripping(Bell):
        async def wake(self, token: str) -> WakeOutcome:
            raise LookupError

    for name, service, token in (("supervisor", "FCM", FCM), ("supervisor2", "APNS", APNS)):
        await sign_in_device(world, name)
        await register_token(world, name, service, token)
        await world.store.push_tokens.schedule({world.people[name].id: "1"}, clock())
    bell = Bell()
    for _ in range(2):
        work = PushWorker(world.store, {PushService.FCM: Tripping(), PushService.APNS: bell}, clock)
        with suppress(LookupError):
            await work.do_all()
    assert bell.rung == [APNS]
    assert await due_users(world) == [world.people["supervisor"].id], "it is left to its lease"


async def test_signed_out_people_and_closed_accounts_are_not_woken(world: World) -> None:
    await with_passwords(world)
    phone = Phone(world)
    await phone.sign_in()
    given = {"service": "FCM", "token": FCM}
    document = "mutation M($input: RegisterPushTokenInput!) { answer: registerPushToken(input: $input) { __typename } }"
    await phone.do(document, signed_in=True, **given)
    assert len(await stored_tokens(world)) == 1
    await phone.do("mutation { answer: signOut { __typename } }", signed_in=True)
    assert await stored_tokens(world) == []
    await phone.sign_in(password=PASSWORD)
    await phone.do(document, signed_in=True, **given)
    user_id = world.people["inspector"].id
    await world.store.users.close([user_id], clock())
    await world.store.push_tokens.schedule({user_id: "1"}, clock())
    bell = Bell()
    await PushWorker(world.store, {PushService.FCM: bell}, clock).do_all()
    assert bell.rung == []
    assert await stored_tokens(world) == []


async def test_a_device_that_was_signed_out_from_elsewhere_is_not_woken(world: World) -> None:
    await sign_in_device(world, "supervisor")
    await register_token(world, "supervisor")
    user_id = world.people["supervisor"].id
    assert await world.store.users.revoke_device(user_id, world.devices["supervisor"], clock())
    await world.store.push_tokens.schedule({user_id: "1"}, clock())
    bell = Bell()
    await PushWorker(world.store, {PushService.FCM: bell}, clock).do_all()
    assert (bell.rung, await stored_tokens(world)) == ([], [])


async def test_a_token_that_the_service_does_not_know_is_deleted(world: World) -> None:
    await sign_in_device(world, "supervisor")
    await register_token(world, "supervisor")
    await world.store.push_tokens.schedule({world.people["supervisor"].id: "1"}, clock())
    await PushWorker(world.store, {PushService.FCM: Bell(WakeOutcome.UNREGISTERED)}, clock).do_all()
    assert await stored_tokens(world) == []
