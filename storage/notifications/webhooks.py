"""Webhooks in MongoDB: where offices want to be told, and what each of them is still to be told.

A delivery is a record from the moment its change is heard of, and leased to one worker at a time: neither a killed worker
nor an address that is down loses any. Sending them is left to `api/notifications/webhook_worker.py`.
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

    async def register(self, webhook: Webhook) -> None:
        """Raise `AlreadyThere` where the id is taken."""
        await self._webhooks.insert_one(to_document(webhook))

    async def many(self, ids: Sequence[str], visible: Filter | None = None) -> list[Webhook]:
        found = await self._webhooks.find(all_of({"_id": {"$in": list(ids)}}, visible or {}))
        return [from_document(Webhook, each) for each in found]

    async def all(self, filter: Filter) -> list[Webhook]:
        """Oldest first."""
        found = await self._webhooks.find(filter, sort=[("registered_at", ASCENDING)])
        return [from_document(Webhook, each) for each in found]

    async def rotate(self, id: str, visible: Filter, secret: str, secret_id: str, until: datetime) -> Webhook | None:
        """Sign with `secret` from now on, and with the one before until then; None where that was done, or it is gone."""
        fields: Document = {
            "previous_secret": "$secret",
            "previous_until": until,
            "secret": {"$literal": secret},
            "secret_id": {"$literal": secret_id},
        }
        wanted = all_of({"_id": id, "secret_id": {"$ne": secret_id}}, visible)
        return _webhook(await self._webhooks.change_one(wanted, [{"$set": fields}]))

    async def enable(self, id: str, visible: Filter) -> Webhook | None:
        """None where there is none."""
        fields: Document = {"state": "ACTIVE", "failures": 0, "disabled_reason": None}
        return _webhook(await self._webhooks.change_one(all_of({"_id": id}, visible), {"$set": fields}))

    async def remove(self, id: str, visible: Filter) -> bool:
        """With what it is still to be told; False where there is none."""
        gone = await self._webhooks.delete_many(all_of({"_id": id}, visible))
        await self._deliveries.delete_many({"webhook_id": id} if gone else {"_id": None})
        return bool(gone)

    async def expect(self, deliveries: Sequence[WebhookDelivery]) -> None:
        """Store what is to be told; what is known already stays as it is."""
        await self._deliveries.insert_many([to_document(each) for each in deliveries])

    async def claim(self, now: datetime, lease: timedelta, *, busy: Collection[str]) -> WebhookDelivery | None:
        """The delivery that has waited longest, for one worker, until the lease ends; None where none is due.

        Those to `busy` webhooks wait until what is under way to them has ended.
        """
        found = await self._deliveries.change_one(
            {"state": "WAITING", "due_at": {"$lte": now}, "webhook_id": {"$nin": sorted(busy)}},
            {"$set": {"due_at": now + lease}, "$inc": {"attempts": 1}},
            sort=[("due_at", ASCENDING)],
        )
        return from_document(WebhookDelivery, found) if found else None

    async def delivered(self, delivery: WebhookDelivery, now: datetime) -> None:
        fields: Document = {"state": "DELIVERED", "delivered_at": now, "due_at": None, "failure": None}
        await self._deliveries.update_one({"_id": delivery.id, "state": "WAITING"}, {"$set": fields})
        await self._webhooks.update_one({"_id": delivery.webhook_id, "failures": {"$gt": 0}}, {"$set": {"failures": 0}})

    async def failed(self, delivery: WebhookDelivery, failure: str, again_at: datetime) -> None:
        """Try again then, and nothing else of that webhook before; after too many in a row it is disabled."""
        await self._deliveries.update_one({"_id": delivery.id}, {"$set": {"failure": failure}})
        waiting: Filter = {"webhook_id": delivery.webhook_id, "state": "WAITING"}
        await self._deliveries.update_many(waiting, {"$max": {"due_at": again_at}})
        changed = await self._webhooks.change_one({"_id": delivery.webhook_id}, {"$inc": {"failures": 1}})
        if changed is None or changed["failures"] < MAX_FAILURES:
            return
        fields: Document = {"state": "DISABLED", "disabled_reason": failure}
        await self._webhooks.update_one({"_id": delivery.webhook_id, "state": "ACTIVE"}, {"$set": fields})
        await self.give_up(delivery.webhook_id)

    async def give_up(self, id: str) -> None:
        """What a webhook was still to be told."""
        waiting: Filter = {"webhook_id": id, "state": "WAITING"}
        await self._deliveries.update_many(waiting, {"$set": {"state": "GIVEN_UP", "due_at": None}})

    async def page(self, id: str, page: Page) -> list[WebhookDelivery]:
        """By time of the change, latest first."""
        found = await keyset_pagination.fetch(self._deliveries, {"webhook_id": id}, SORT, page, read=time_and_id)
        return [from_document(WebhookDelivery, each) for each in found]


def keyset_of(delivery: WebhookDelivery) -> tuple[str, str]:
    return delivery.changed_at.isoformat(), delivery.id


def _webhook(found: Document | None) -> Webhook | None:
    return from_document(Webhook, found) if found else None
