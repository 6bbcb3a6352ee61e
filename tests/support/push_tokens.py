"""Register push tokens, and run the worker that marks them."""

from datetime import datetime, timedelta
from typing import Any

import anyio

from api.graphql.context import clock
from api.notifications.push_worker import EventWorker
from mobile_contract.documents import text_of
from tests.support.subscription_clients import Signed, signed_in
from tests.support.world import World

FCM, APNS = "fcm:token_1", "ab" * 32


async def register_token(world: World, name: str, service: str = "FCM", token: str = FCM) -> dict[str, Any]:
    given = {"service": service, "token": token}
    answer: dict[str, Any] = (await world.ask(name, text_of("RegisterPushToken"), input=given))["registerPushToken"]
    return answer


async def sign_in_device(world: World, name: str) -> Signed:
    """Sign in a device of that person. From then on the world sends the person's requests from this device."""
    signed = await signed_in(world, name)
    world.devices[name] = signed.device_id
    return signed


async def stored_tokens(world: World) -> list[dict[str, Any]]:
    return await world.store.mongo.collection("push_tokens").find({}, sort=[("_id", 1)])


async def due_users(world: World) -> list[str]:
    return [each["user_id"] for each in await stored_tokens(world) if each["due_at"] is not None]


async def run_event_worker(world: World, *, until: str) -> None:
    """Run the event worker until that person's devices are marked as due."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(EventWorker(world.store, clock).run)
        with anyio.fail_after(15):
            while world.people[until].id not in await due_users(world):  # noqa: ASYNC110  the database has no event to wait for
                await anyio.sleep(0.02)
        tasks.cancel_scope.cancel()


def clock_ahead(later: timedelta) -> Any:
    def now() -> datetime:
        return clock() + later

    return now


async def store_event_position(world: World) -> str:
    """Store the current position in the event log, as a worker does. The next worker then receives later events."""
    async with world.store.record_events.open_reader(None) as reader:
        position = (await reader.next()).position
    await world.store.record_events.save_position("waking", position)
    return position
