"""Waking: the worker hears of changes, and has the devices of those concerned woken and webhooks told.

Where the worker stands in the history of changes is kept, so that what happened while none ran is not lost. Any number of
workers may run: each hears of everything, and what one has marked, the others find marked.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from api.jobs.concurrency import run_concurrently
from api.notifications.push_gateways import PushGateway, Woken
from api.notifications.webhook_worker import deliveries_of
from schema.notifications.push_tokens import PushService
from storage.mongodb.errors import HistoryLostError
from storage.notifications.push_tokens import PushCall
from storage.notifications.record_events import RecordEvent
from storage.store import Store

PLACE = "waking"
GATHER = timedelta(seconds=2)
"""What happens within so long wakes a device once."""
KEEP_PLACE_EVERY = timedelta(seconds=60)
LEASE = timedelta(seconds=60)
AT_ONCE = 16
"""A service that is slow, or down, holds up no device of another."""
MAX_ATTEMPTS = 8
"""Over some two hours; then the next change wakes the device, which pulls everything anyway."""
log = structlog.get_logger(__name__)


class EventWorker:
    """Hears of changes. `run` ends only by an exception, after which it is run again and goes on where it was."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    async def run(self) -> None:
        """Hear of changes for ever."""
        place = await self._store.notices.place(PLACE)
        try:
            await self._hear(place)
        except HistoryLostError:
            log.warning("The history of changes was overwritten before it was read; every device is woken.")
            await self._store.push_tokens.mark_all(self._clock())
            await self._store.notices.leave(PLACE)

    async def _hear(self, place: str | None) -> None:
        kept_at = self._clock()
        async with self._store.notices.reading(place) as reader:
            while True:
                batch = await reader.next()
                now = self._clock()
                await self._store.push_tokens.mark(concerned(batch.notices), now + GATHER)
                await self._expect(batch.notices, now)
                if batch.notices or place is None or now - kept_at >= KEEP_PLACE_EVERY:
                    await self._store.notices.keep(PLACE, batch.position)
                    place, kept_at = batch.position, now

    async def _expect(self, notices: Sequence[RecordEvent], now: datetime) -> None:
        if notices:
            webhooks = await self._store.webhooks.all({"state": "ACTIVE"})
            await self._store.webhooks.expect(deliveries_of(notices, webhooks, now))


def concerned(notices: Sequence[RecordEvent]) -> Mapping[str, str]:
    """Whom changes concern in person, each with the position of the newest; not everybody who may see the record."""
    found: dict[str, str] = {}
    for notice in notices:
        for user_id in {*notice.granted, *([notice.assignee_id] if notice.assignee_id else [])}:
            found[user_id] = notice.position
    return found


class PushWorker:
    """Wakes devices that are due, several at a time."""

    def __init__(
        self, store: Store, gateways: Mapping[PushService, PushGateway], clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._gateways = {str(service.value): gateway for service, gateway in gateways.items()}
        self._clock = clock

    async def do_all(self) -> None:
        """Wake every device that is due, those that have waited longest first."""
        await run_concurrently(self._claim, self._wake, limit=AT_ONCE)

    async def _claim(self) -> PushCall | None:
        return await self._store.push_tokens.claim(list(self._gateways), self._clock(), LEASE)

    async def _wake(self, call: PushCall) -> None:
        if await self._may_act(call):
            await self._settle(call, await self._gateways[call.service].wake(call.token))
        else:
            await self._store.push_tokens.forget(call.user_id, [call.device_id])

    async def _may_act(self, call: PushCall) -> bool:
        """Whether the device is still signed in: whoever signed out, on whatever way, is not woken."""
        user = await self._store.users.by_id(call.user_id)
        live = {device.id for device in user.devices if device.revoked_at is None} if user and user.active else set()
        return call.device_id in live

    async def _settle(self, call: PushCall, outcome: Woken) -> None:
        now = self._clock()
        if outcome is Woken.UNREGISTERED:
            await self._store.push_tokens.forget_token(call.service, call.token)
            return
        if outcome is Woken.REFUSED:
            log.warning("A push service refused a call.", part=call.service)
        again_at = None
        if outcome is Woken.LATER and call.attempts < MAX_ATTEMPTS:
            again_at = now + timedelta(seconds=30 * 2 ** (call.attempts - 1))
        await self._store.push_tokens.settle(call, again_at=again_at, changed_at=now + GATHER)
