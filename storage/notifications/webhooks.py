"""Store webhooks (网络回调) and the queue of their deliveries.

A delivery is stored when the change is noticed, and then claimed by one worker at a time for the time of a lease. So no
delivery is lost if a worker is killed or a receiver is down.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from schema.core.pagination import Page
from schema.notifications.webhooks import MAX_FAILURES, Webhook, WebhookDelivery
from storage.mongodb import keyset_pagination
from storage.mongodb.client import ASCENDING, DESCENDING, Document, Filter, Mongo, Sort
from storage.mongodb.codecs import from_document, to_document
from storage.mongodb.filters import all_of
from storage.mongodb.keyset_pagination import time_and_id
from storage.mongodb.records import Records

SORT: Sort = (("changed_at", DESCENDING), ("_id", DESCENDING))
KEEP_SECONDS = 30 * 24 * 3600
INDEXES: list[tuple[Sort, dict[str, Any]]] = [((("office_path", ASCENDING), ("registered_at", ASCENDING)), {})]
DELIVERY_INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    ((("webhook_id", ASCENDING), *SORT), {}),
    ((("state", ASCENDING), ("due_at", ASCENDING), ("webhook_id", ASCENDING)), {}),
    ((("changed_at", ASCENDING),), {"expireAfterSeconds": KEEP_SECONDS}),
]


class Webhooks:
    def __init__(self, mongo: Mongo) -> None:
        self._webhooks = mongo.collection("webhooks")
        self._deliveries = mongo.collection("webhook_deliveries")
        self._records = Records(mongo, "webhooks", Webhook)
        self._delivery_records = Records(mongo, "webhook_deliveries", WebhookDelivery)

    async def register(self, webhook: Webhook) -> None:
        """Store a new webhook. Raise `DuplicateError` if its id is taken."""
        await self._webhooks.insert_one(to_document(webhook))

    async def many(self, ids: Sequence[str], visible: Filter | None = None) -> list[Webhook]:
        return await self._records.find(all_of({"_id": {"$in": list(ids)}}, visible or {}))

    async def all(self, filter: Filter) -> list[Webhook]:
        """Return the webhooks that match `filter`, oldest first."""
        return await self._records.find(filter, sort=[("registered_at", ASCENDING)])

    async def rotate(self, id: str, visible: Filter, secret: str, secret_id: str, until: datetime) -> Webhook | None:
        """Replace the secret of a webhook. The previous secret stays valid until `until`.

        `secret_id` identifies this replacement. Return None if it was already done or the webhook does not exist.
        """
        fields: Document = {
            "previous_secret": "$secret",
            "previous_until": until,
            "secret": {"$literal": secret},
            "secret_id": {"$literal": secret_id},
        }
        unrotated = all_of({"_id": id, "secret_id": {"$ne": secret_id}}, visible)
        return _read_webhook(await self._webhooks.change_one(unrotated, [{"$set": fields}]))

    async def enable(self, id: str, visible: Filter) -> Webhook | None:
        """Set a webhook to ACTIVE and its failures to 0. Return None if the webhook does not exist."""
        fields: Document = {"state": "ACTIVE", "failures": 0, "disabled_reason": None}
        return _read_webhook(await self._webhooks.change_one(all_of({"_id": id}, visible), {"$set": fields}))

    async def delete(self, id: str, visible: Filter) -> bool:
        """Delete a webhook and its deliveries. Return False if the webhook does not exist."""
        count = await self._webhooks.delete_many(all_of({"_id": id}, visible))
        await self._deliveries.delete_many({"webhook_id": id} if count else {"_id": None})
        return bool(count)

    async def insert_deliveries(self, deliveries: Sequence[WebhookDelivery]) -> None:
        """Store deliveries. A delivery whose id is already stored is not changed."""
        await self._deliveries.insert_many([to_document(delivery) for delivery in deliveries])

    async def claim(self, now: datetime, lease: timedelta, *, busy: Collection[str]) -> WebhookDelivery | None:
        """Claim the delivery that has waited longest. No other worker gets it during `lease`.

        Return None if no delivery is due. Deliveries to the webhooks in `busy` are skipped, because this worker is
        already sending a delivery to each of these webhooks.
        """
        document = await self._deliveries.change_one(
            {"state": "WAITING", "due_at": {"$lte": now}, "webhook_id": {"$nin": sorted(busy)}},
            {"$set": {"due_at": now + lease}, "$inc": {"attempts": 1}},
            sort=[("due_at", ASCENDING)],
        )
        return from_document(WebhookDelivery, document) if document else None

    async def mark_delivered(self, delivery: WebhookDelivery, now: datetime) -> None:
        fields: Document = {"state": "DELIVERED", "delivered_at": now, "due_at": None, "failure": None}
        await self._deliveries.update_one({"_id": delivery.id, "state": "WAITING"}, {"$set": fields})
        await self._webhooks.update_one({"_id": delivery.webhook_id, "failures": {"$gt": 0}}, {"$set": {"failures": 0}})

    async def mark_failed(self, delivery: WebhookDelivery, failure: str, retry_at: datetime) -> None:
        """Postpone this delivery, and all others that wait for its webhook, until `retry_at`.

        After `MAX_FAILURES` failures in a row, disable the webhook and give up its deliveries.
        """
        await self._deliveries.update_one({"_id": delivery.id}, {"$set": {"failure": failure}})
        waiting: Filter = {"webhook_id": delivery.webhook_id, "state": "WAITING"}
        await self._deliveries.update_many(waiting, {"$max": {"due_at": retry_at}})
        webhook = await self._webhooks.change_one({"_id": delivery.webhook_id}, {"$inc": {"failures": 1}})
        if webhook is None or webhook["failures"] < MAX_FAILURES:
            return
        fields: Document = {"state": "DISABLED", "disabled_reason": failure}
        await self._webhooks.update_one({"_id": delivery.webhook_id, "state": "ACTIVE"}, {"$set": fields})
        await self.give_up_deliveries(delivery.webhook_id)

    async def give_up_deliveries(self, webhook_id: str) -> None:
        """Mark every waiting delivery of a webhook as GIVEN_UP."""
        waiting: Filter = {"webhook_id": webhook_id, "state": "WAITING"}
        await self._deliveries.update_many(waiting, {"$set": {"state": "GIVEN_UP", "due_at": None}})

    async def page(self, webhook_id: str, page: Page) -> list[WebhookDelivery]:
        """Return a page of a webhook's deliveries, sorted by time of the change, newest first."""
        of_webhook: Filter = {"webhook_id": webhook_id}
        return await keyset_pagination.fetch(self._delivery_records, of_webhook, SORT, page, read=time_and_id)


def keyset_of(delivery: WebhookDelivery) -> tuple[str, str]:
    return delivery.changed_at.isoformat(), delivery.id


def _read_webhook(document: Document | None) -> Webhook | None:
    return from_document(Webhook, document) if document else None
