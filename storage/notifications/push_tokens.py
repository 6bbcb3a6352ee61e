"""Push tokens in MongoDB: which devices can be woken, which are to be woken, and who is at it.

A device that is to be woken is a state of its record (`due_at`) and a lease, so that neither a killed worker nor any number
of workers loses a call; what a call says is left to `api`.
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
    """A device to be woken; `told` is the position of the newest change that it is woken for."""

    user_id: str
    device_id: str
    service: str
    token: str = field(repr=False)
    told: str
    attempts: int


class PushTokens:
    def __init__(self, mongo: Mongo) -> None:
        self._tokens = mongo.collection("push_tokens")

    async def register(self, user_id: str, device_id: str, service: str, token: str, now: datetime) -> datetime:
        """Keep the token of a device; since when it is known. The same again changes nothing."""
        own: Document = {"user_id": user_id, "device_id": device_id}
        new: Document = {"service": service, "token": token, "registered_at": now, "due_at": None, "attempts": 0}
        same: Document = {"$and": [{"$eq": ["$service", service]}, {"$eq": ["$token", {"$literal": token}]}]}
        kept: Document = {name: {"$cond": [same, f"${name}", {"$literal": value}]} for name, value in new.items()}
        update = [{"$set": {**kept, **own, "told": {"$ifNull": ["$told", ""]}}}]
        changed = await self._tokens.change_one({"_id": _id(user_id, device_id)}, update, upsert=True)
        assert changed is not None  # noqa: S101  an upsert always has a document
        registered_at: datetime = changed["registered_at"]
        return registered_at

    async def forget(self, user_id: str, device_ids: Sequence[str]) -> None:
        """Wake these devices no more in that person's name."""
        await self._tokens.delete_many({"_id": {"$in": [_id(user_id, each) for each in device_ids]}})

    async def forget_token(self, service: str, token: str) -> None:
        """The service knows the token no more, whoever used it."""
        await self._tokens.delete_many({"token": token, "service": service})

    async def mark(self, told: Mapping[str, str], due_at: datetime) -> None:
        """Have the devices of people woken, each for a change at that position; not again for one they were marked for."""
        for user_id, position in told.items():
            await self._tokens.update_many(
                {"user_id": user_id, "told": {"$lt": position}},
                [{"$set": {"told": position, "due_at": {"$ifNull": ["$due_at", due_at]}}}],
            )

    async def mark_all(self, due_at: datetime) -> None:
        """Have every device woken: nobody knows any more what was missed."""
        await self._tokens.update_many({"due_at": None}, {"$set": {"due_at": due_at}})

    async def claim(self, services: Sequence[str], now: datetime, lease: timedelta) -> PushCall | None:
        """The device that has waited longest, for one worker, until the lease ends; None where none is due."""
        wanted: Filter = {"service": {"$in": list(services)}, "due_at": {"$lte": now}}
        update: Document = {"$set": {"due_at": now + lease}, "$inc": {"attempts": 1}}
        found = await self._tokens.change_one(wanted, update, sort=[("due_at", ASCENDING)])
        if found is None:
            return None
        return PushCall(*(found[name] for name in ("user_id", "device_id", "service", "token", "told", "attempts")))

    async def settle(self, call: PushCall, *, again_at: datetime | None, changed_at: datetime) -> None:
        """It was woken, or is given up until the next change; with `again_at`, it is tried once more then.

        A change that came since is not taken for told: the device is woken for it at `changed_at`.
        """
        own: Filter = {"_id": _id(call.user_id, call.device_id), "token": call.token}
        if again_at is not None:
            await self._tokens.update_one(own, {"$set": {"due_at": again_at}})
            return
        same = {"$eq": ["$told", call.told]}
        await self._tokens.change_one(own, [{"$set": {"due_at": {"$cond": [same, None, changed_at]}, "attempts": 0}}])


def _id(user_id: str, device_id: str) -> str:
    return f"{user_id}:{device_id}"
