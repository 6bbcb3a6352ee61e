"""Turn record events into webhook deliveries, and send each delivery until the receiver answers with 2xx."""

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
"""Number of concurrent deliveries. A slow receiver delays only its own deliveries, not those of other receivers."""
KINDS = {EventKind.ASSIGNMENT: DeliveryKind.ASSIGNMENT, EventKind.CASE: DeliveryKind.CASE}


def deliveries_of(events: Sequence[RecordEvent], webhooks: Sequence[Webhook], now: datetime) -> list[WebhookDelivery]:
    """Make a delivery of each event for every webhook of the record's office.

    A delivery's id is derived from its webhook and its event. So workers that read the same event make the same ids,
    and the delivery is stored once.
    """
    deliveries = []
    for event in (event for event in events if event.kind in KINDS):
        for webhook in (webhook for webhook in webhooks if webhook.office_path == event.office_path):
            at = event.at or now
            randomness = hashlib.sha256(f"{webhook.id}:{event.position}".encode()).digest()
            deliveries.append(
                WebhookDelivery(
                    id=compose("dlv", at, randomness),
                    kind=KINDS[event.kind],
                    record_id=strawberry.ID(event.id),
                    record_state=event.state,
                    changed_at=at,
                    state=DeliveryState.WAITING,
                    webhook_id=webhook.id,
                    due_at=now,
                )
            )
    return deliveries


class WebhookWorker:
    """Sends the deliveries that are due, several at a time, but one at a time to each webhook."""

    def __init__(self, store: Store, http: OutboundHttp, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._http = http
        self._clock = clock
        self._busy: set[str] = set()

    async def do_all(self) -> None:
        """Send every delivery that is due. The delivery that has waited longest comes first."""
        await run_concurrently(self._claim, self._deliver, limit=AT_ONCE)

    async def _claim(self) -> WebhookDelivery | None:
        delivery = await self._store.webhooks.claim(self._clock(), LEASE, busy=self._busy)
        if delivery:
            self._busy.add(delivery.webhook_id)
        return delivery

    async def _deliver(self, delivery: WebhookDelivery) -> None:
        try:
            await self._attempt(delivery)
        finally:
            self._busy.discard(delivery.webhook_id)

    async def _attempt(self, delivery: WebhookDelivery) -> None:
        webhooks = await self._store.webhooks.many([delivery.webhook_id])
        webhook = webhooks[0] if webhooks else None
        if webhook is None or webhook.state is WebhookState.DISABLED:
            await self._store.webhooks.give_up_deliveries(delivery.webhook_id)
            return
        failure = await self._send(webhook, delivery)
        now = self._clock()
        if failure is None:
            await self._store.webhooks.mark_delivered(delivery, now)
        else:
            wait = min(timedelta(seconds=10 * 2 ** min(webhook.failures, 20)), MAX_WAIT)
            await self._store.webhooks.mark_failed(delivery, failure, now + wait)

    async def _send(self, webhook: Webhook, delivery: WebhookDelivery) -> str | None:
        """Send a delivery. Return None if the receiver accepted it, otherwise the reason of the failure."""
        now = self._clock()
        body = body_of(delivery)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Mingcha",
            "Mingcha-Delivery": delivery.id,
            "Mingcha-Signature": signature(secrets_of(webhook, now), int(now.timestamp()), body),
        }
        try:
            status = await self._http.post(webhook.url, body, headers)
        except UnreachableAddressError as error:
            return str(error)
        return None if 200 <= status < 300 else f"The receiver answered {status}."


def body_of(delivery: WebhookDelivery) -> bytes:
    """Return the body of a webhook call as JSON.

    It has the delivery's id, and the id, kind and state of the record and the time of its change. It has no person and
    no content of the record.
    """
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
    """Return the secrets to sign with: the current secret, then the previous secret if it is still valid."""
    is_valid = (
        webhook.previous_secret is not None and webhook.previous_until is not None and now < webhook.previous_until
    )
    return [webhook.secret, *([webhook.previous_secret] if is_valid and webhook.previous_secret else [])]
