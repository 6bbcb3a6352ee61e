"""Follow record events in the worker. Queue the devices to wake and the webhook deliveries. Wake the devices.

The worker's position in the change stream is stored, so no event is lost while no worker runs. Several workers may run.
Each of them reads every event, but queues a device or a delivery only if no other worker has queued it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from api.jobs.concurrency import run_concurrently
from api.notifications.push_gateways import PushGateway, WakeOutcome
from api.notifications.webhook_worker import deliveries_of
from schema.notifications.push_tokens import PushService
from storage.mongodb.errors import HistoryLostError
from storage.notifications.push_tokens import PushCall
from storage.notifications.record_events import RecordEvent
from storage.store import Store

POSITION_NAME = "waking"
GATHER = timedelta(seconds=2)
"""Time to wait before a device is woken. Several events within this time wake it only once."""
SAVE_POSITION_EVERY = timedelta(seconds=60)
LEASE = timedelta(seconds=60)
AT_ONCE = 16
"""Number of concurrent calls. A push service that is slow or down must not delay the devices of another service."""
MAX_ATTEMPTS = 8
"""Maximum number of attempts to wake a device for a change. They take about an hour.

After that, the device is woken by the next change. It then pulls all changes anyway.
"""
log = structlog.get_logger(__name__)


class EventWorker:
    """Follows record events, and queues devices and webhook deliveries for them."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    async def run(self) -> None:
        """Follow record events, from the stored position on.

        If MongoDB's history no longer reaches back to that position, queue every device, delete the position and
        return. The next call then starts from now.
        """
        position = await self._store.record_events.load_position(POSITION_NAME)
        try:
            await self._follow(position)
        except HistoryLostError:
            log.warning("MongoDB overwrote its change history before it was read; every device is woken.")
            await self._store.push_tokens.schedule_all(self._clock())
            await self._store.record_events.delete_position(POSITION_NAME)

    async def _follow(self, position: str | None) -> None:
        saved_at = self._clock()
        async with self._store.record_events.open_reader(position) as reader:
            while True:
                batch = await reader.next()
                now = self._clock()
                await self._store.push_tokens.schedule(newest_by_assignee(batch.events), now + GATHER)
                await self._queue_deliveries(batch.events, now)
                if batch.events or position is None or now - saved_at >= SAVE_POSITION_EVERY:
                    await self._store.record_events.save_position(POSITION_NAME, batch.position)
                    position, saved_at = batch.position, now

    async def _queue_deliveries(self, events: Sequence[RecordEvent], now: datetime) -> None:
        if events:
            webhooks = await self._store.webhooks.all({"state": "ACTIVE"})
            await self._store.webhooks.insert_deliveries(deliveries_of(events, webhooks, now))


def newest_by_assignee(events: Sequence[RecordEvent]) -> Mapping[str, str]:
    """Return the position of the newest event that concerns each user, by user id.

    Only the assignees of a case or assignment count, not all users who may see the record.
    """
    positions: dict[str, str] = {}
    for event in events:
        for user_id in {*event.granted, *([event.assignee_id] if event.assignee_id else [])}:
            positions[user_id] = event.position
    return positions


class PushWorker:
    """Wakes the devices that are due, several at a time."""

    def __init__(
        self, store: Store, gateways: Mapping[PushService, PushGateway], clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._gateways = {str(service.value): gateway for service, gateway in gateways.items()}
        self._clock = clock

    async def do_all(self) -> None:
        """Wake every device that is due. The device that has waited longest comes first."""
        await run_concurrently(self._claim, self._wake, limit=AT_ONCE)

    async def _claim(self) -> PushCall | None:
        return await self._store.push_tokens.claim(list(self._gateways), self._clock(), LEASE)

    async def _wake(self, call: PushCall) -> None:
        if await self._is_signed_in(call):
            await self._release(call, await self._gateways[call.service].wake(call.token))
        else:
            await self._store.push_tokens.delete(call.user_id, [call.device_id])

    async def _is_signed_in(self, call: PushCall) -> bool:
        """Return whether the device is still signed in. Every way of signing out must stop the pushes to a device."""
        user = await self._store.users.by_id(call.user_id)
        live = {device.id for device in user.devices if device.revoked_at is None} if user and user.active else set()
        return call.device_id in live

    async def _release(self, call: PushCall, outcome: WakeOutcome) -> None:
        now = self._clock()
        if outcome is WakeOutcome.UNREGISTERED:
            await self._store.push_tokens.delete_token(call.service, call.token)
            return
        if outcome is WakeOutcome.REFUSED:
            log.warning("A push service refused a call.", part=call.service)
        retry_at = None
        if outcome is WakeOutcome.LATER and call.attempts < MAX_ATTEMPTS:
            retry_at = now + timedelta(seconds=30 * 2 ** (call.attempts - 1))
        await self._store.push_tokens.release(call, retry_at=retry_at, changed_at=now + GATHER)
