"""The worker's part of webhooks: changes become deliveries, and deliveries are sent until they are answered.

Hearing of changes is `waking.NoticeWork`'s; where a call may go, `outgoing`'s.
"""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import orjson
import strawberry

from api.jobs.concurrency import run_concurrently
from api.notifications.outbound_http import OutboundHttp, UnreachableAddressError
from schema.core.ids import compose
from schema.notifications.webhooks import DeliveryKind, DeliveryState, Webhook, WebhookDelivery, WebhookState, signature
from storage.notifications.record_events import EventKind, RecordEvent
from storage.store import Store

LEASE = timedelta(seconds=60)
MAX_WAIT = timedelta(hours=6)
AT_ONCE = 16
"""An address that is slow to answer holds up its own deliveries, and nobody else's."""
KINDS = {EventKind.ASSIGNMENT: DeliveryKind.ASSIGNMENT, EventKind.CASE: DeliveryKind.CASE}


def deliveries_of(notices: Sequence[RecordEvent], webhooks: Sequence[Webhook], now: datetime) -> list[WebhookDelivery]:
    """What the webhooks of each record's own office are to be told; whoever hears of a change makes the same of it."""
    made = []
    for notice in (each for each in notices if each.kind in KINDS):
        for webhook in (each for each in webhooks if each.office_path == notice.office_path):
            at = notice.at or now
            randomness = hashlib.sha256(f"{webhook.id}:{notice.position}".encode()).digest()
            made.append(
                WebhookDelivery(
                    id=compose("dlv", at, randomness),
                    kind=KINDS[notice.kind],
                    record_id=strawberry.ID(notice.id),
                    record_state=notice.state,
                    changed_at=at,
                    state=DeliveryState.WAITING,
                    webhook_id=webhook.id,
                    due_at=now,
                )
            )
    return made


class WebhookWorker:
    """Sends deliveries that are due, several at a time and one at a time to each webhook."""

    def __init__(self, store: Store, outgoing: OutboundHttp, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._outgoing = outgoing
        self._clock = clock
        self._busy: set[str] = set()

    async def do_all(self) -> None:
        """Send every delivery that is due, those that have waited longest first."""
        await run_concurrently(self._claim, self._deliver, limit=AT_ONCE)

    async def _claim(self) -> WebhookDelivery | None:
        delivery = await self._store.webhooks.claim(self._clock(), LEASE, busy=self._busy)
        if delivery:
            self._busy.add(delivery.webhook_id)
        return delivery

    async def _deliver(self, delivery: WebhookDelivery) -> None:
        try:
            await self._settle(delivery)
        finally:
            self._busy.discard(delivery.webhook_id)

    async def _settle(self, delivery: WebhookDelivery) -> None:
        found = await self._store.webhooks.many([delivery.webhook_id])
        webhook = found[0] if found else None
        if webhook is None or webhook.state is WebhookState.DISABLED:
            await self._store.webhooks.give_up(delivery.webhook_id)
            return
        failure = await self._send(webhook, delivery)
        now = self._clock()
        if failure is None:
            await self._store.webhooks.delivered(delivery, now)
        else:
            wait = min(timedelta(seconds=10 * 2 ** min(webhook.failures, 20)), MAX_WAIT)
            await self._store.webhooks.failed(delivery, failure, now + wait)

    async def _send(self, webhook: Webhook, delivery: WebhookDelivery) -> str | None:
        """Why it failed; None where it was taken."""
        now = self._clock()
        body = body_of(delivery)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Mingcha",
            "Mingcha-Delivery": delivery.id,
            "Mingcha-Signature": signature(secrets_of(webhook, now), int(now.timestamp()), body),
        }
        try:
            status = await self._outgoing.post(webhook.url, body, headers)
        except UnreachableAddressError as error:
            return str(error)
        return None if 200 <= status < 300 else f"It answered {status}."


def body_of(delivery: WebhookDelivery) -> bytes:
    """All that is told: no person, no content, nothing that is not said of the record's kind and state."""
    return orjson.dumps(
        {
            "delivery": delivery.id,
            "kind": delivery.kind.value,
            "id": delivery.record_id,
            "state": delivery.record_state,
            "changedAt": delivery.changed_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
    )


def secrets_of(webhook: Webhook, now: datetime) -> list[str]:
    """Those to sign with: the newest first, and the one before as long as it is good."""
    is_good = (
        webhook.previous_secret is not None and webhook.previous_until is not None and now < webhook.previous_until
    )
    return [webhook.secret, *([webhook.previous_secret] if is_good and webhook.previous_secret else [])]
