"""Store push tokens (推送令牌) and the queue of devices to wake.

A device is in the queue if its document has a time `due_at`. A worker claims a device by moving `due_at` to the end of
a lease. So a device stays in the queue if its worker is killed, and no two workers wake it at the same time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from storage.mongodb.client import ASCENDING, Document, Filter, Mongo, Sort

INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    ((("user_id", ASCENDING),), {}),
    ((("token", ASCENDING),), {}),
    ((("service", ASCENDING), ("due_at", ASCENDING)), {}),
]


@dataclass(frozen=True)
class PushCall:
    """A device to wake. `position` is the position of the newest change for which it is woken."""

    user_id: str
    device_id: str
    service: str
    token: str = field(repr=False)
    position: str
    attempts: int


class PushTokens:
    def __init__(self, mongo: Mongo) -> None:
        self._tokens = mongo.collection("push_tokens")

    async def register(self, user_id: str, device_id: str, service: str, token: str, now: datetime) -> datetime:
        """Store the token of a device. Return when this token was registered. A repeated call changes nothing."""
        key: Document = {"user_id": user_id, "device_id": device_id}
        new: Document = {"service": service, "token": token, "registered_at": now, "due_at": None, "attempts": 0}
        is_same: Document = {"$and": [{"$eq": ["$service", service]}, {"$eq": ["$token", {"$literal": token}]}]}
        fields: Document = {name: {"$cond": [is_same, f"${name}", {"$literal": value}]} for name, value in new.items()}
        update = [{"$set": {**fields, **key, "told": {"$ifNull": ["$told", ""]}}}]
        document = await self._tokens.change_one({"_id": _id(user_id, device_id)}, update, upsert=True)
        assert document is not None  # noqa: S101  an upsert always has a document
        registered_at: datetime = document["registered_at"]
        return registered_at

    async def delete(self, user_id: str, device_ids: Sequence[str]) -> None:
        """Delete the tokens of a person's devices."""
        await self._tokens.delete_many({"_id": {"$in": [_id(user_id, device_id) for device_id in device_ids]}})

    async def delete_token(self, service: str, token: str) -> None:
        """Delete a token that the push service no longer accepts, for all people who registered it."""
        await self._tokens.delete_many({"token": token, "service": service})

    async def schedule(self, positions: Mapping[str, str], due_at: datetime) -> None:
        """Queue all devices of each user. `positions` maps a user id to the position of the user's newest change.

        A device that was already queued for this position or a later one is not queued again.
        """
        for user_id, position in positions.items():
            await self._tokens.update_many(
                {"user_id": user_id, "told": {"$lt": position}},
                [{"$set": {"told": position, "due_at": {"$ifNull": ["$due_at", due_at]}}}],
            )

    async def schedule_all(self, due_at: datetime) -> None:
        """Queue every device.

        Call this if changes were missed, because nobody knows then which devices they concern.
        """
        await self._tokens.update_many({"due_at": None}, {"$set": {"due_at": due_at}})

    async def claim(self, services: Sequence[str], now: datetime, lease: timedelta) -> PushCall | None:
        """Claim the device that has waited longest. No other worker gets it during `lease`.

        Return None if no device is due.
        """
        due: Filter = {"service": {"$in": list(services)}, "due_at": {"$lte": now}}
        update: Document = {"$set": {"due_at": now + lease}, "$inc": {"attempts": 1}}
        document = await self._tokens.change_one(due, update, sort=[("due_at", ASCENDING)])
        if document is None:
            return None
        return PushCall(*(document[name] for name in ("user_id", "device_id", "service", "token", "told", "attempts")))

    async def release(self, call: PushCall, *, retry_at: datetime | None, changed_at: datetime) -> None:
        """End a claim. The device leaves the queue.

        If `retry_at` is given, the device is tried again at that time instead.

        If a newer change was queued during the claim, the device stays in the queue and is woken at `changed_at`.
        """
        claimed: Filter = {"_id": _id(call.user_id, call.device_id), "token": call.token}
        if retry_at is not None:
            await self._tokens.update_one(claimed, {"$set": {"due_at": retry_at}})
            return
        due_at = {"$cond": [{"$eq": ["$told", call.position]}, None, changed_at]}
        await self._tokens.change_one(claimed, [{"$set": {"due_at": due_at, "attempts": 0}}])


def _id(user_id: str, device_id: str) -> str:
    return f"{user_id}:{device_id}"
