"""Store sessions in MongoDB. A session is a family of refresh tokens. Only the digests of tokens are stored.

A family is all tokens that follow from one sign-in on one device. Each token can be used once: it is exchanged for a
new token. The user's document also says whether the device may act. Both documents are checked, and each of them alone
can end a session.

The document of a family has:
- `current`: the digests of the newest tokens, which are all unused;
- `previous`: the digest of the token that was exchanged for the current tokens;
- `rotated_at`: when `previous` was first used;
- `wipe_ordered_at` and `wipe_ordered_by`: when and by whom the device was ordered to erase the user's data. The user's
  document says so too, but lists the newest devices only. The order here lasts as long as the family's tokens.

When a token is used:

    current token             it becomes `previous`; one new token becomes `current`            ROTATED
    `previous`, in time       its reply was lost: one more token is added to `current`          ROTATED
    `previous`, too late      somebody has a copy of the token: the family ends                 REUSED
    older token               somebody has a copy of the token: the family ends                 REUSED
    any, from other device    somebody has a copy of the token: the family ends                 REUSED
    family ended, expired or unknown                                                            ENDED

"In time" means within the grace period after the *first* use of the token. Each retry of an exchange returns another
new token. All these tokens stay valid until one of them is used, because the device may have stored any of them: the
server may answer a delayed duplicate of a request after the retry whose reply the device stored. When one of them is
used, the others become older tokens. If two parties, such as the owner and a thief, continue from the same token, the
second one ends the family for both. So a stolen copy works at most until the owner's next exchange, and a lost reply
ends no session.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from schema.accounts.sessions import RefreshToken
from storage.mongodb.client import ASCENDING, Document, Mongo, Sort

MAX_CURRENT = 16
"""Maximum number of tokens in `current`. If an exchange is retried more often, the oldest token becomes invalid."""

INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    ((("expires_at", ASCENDING),), {"expireAfterSeconds": 0}),
    ((("user_id", ASCENDING), ("device_id", ASCENDING)), {}),
]


class RefreshOutcome(enum.Enum):
    """The outcome of using a refresh token."""

    ROTATED = "ROTATED"
    REUSED = "REUSED"
    ENDED = "ENDED"


@dataclass(frozen=True)
class RefreshResult:
    """The outcome of using a token.

    User, device and `wipe_ordered_at` are those of the token's family. They are None if the family is unknown.
    """

    use: RefreshOutcome
    user_id: str | None = None
    device_id: str | None = None
    wipe_ordered_at: datetime | None = None


class Sessions:
    def __init__(self, mongo: Mongo) -> None:
        self._sessions = mongo.collection("sessions")

    async def begin(
        self, token: RefreshToken, user_id: str, device_id: str, now: datetime, expires_at: datetime
    ) -> None:
        """Store a new family with its first token. The session becomes valid when `Users.add_device` stores its id."""
        await self._sessions.insert_one(
            {
                "_id": token.session_id,
                "user_id": user_id,
                "device_id": device_id,
                "current": [token.digest],
                "previous": None,
                "rotated_at": None,
                "began_at": now,
                "expires_at": expires_at,
                "ended_at": None,
            }
        )

    async def use(
        self,
        shown: RefreshToken,
        device_id: str,
        successor: RefreshToken,
        now: datetime,
        *,
        grace: timedelta,
        expires_at: datetime,
    ) -> RefreshResult:
        """Exchange the token `shown` for `successor`.

        If the outcome is ROTATED, `successor` is stored and valid until `expires_at`. Each step is one conditional
        update, so exactly one of several concurrent requests is the first use of the token.
        """
        alive: Document = {"_id": shown.session_id, "ended_at": None, "expires_at": {"$gt": now}}
        on_device = alive | {"device_id": device_id}
        rotated = await self._sessions.change_one(
            on_device | {"current": shown.digest},
            {
                "$set": {
                    "current": [successor.digest],
                    "previous": shown.digest,
                    "rotated_at": now,
                    "expires_at": expires_at,
                }
            },
        ) or await self._sessions.change_one(
            on_device | {"previous": shown.digest, "rotated_at": {"$gte": now - grace}},
            {
                "$push": {"current": {"$each": [successor.digest], "$slice": -MAX_CURRENT}},
                "$set": {"expires_at": expires_at},
            },
        )
        if rotated is not None:
            return _result(RefreshOutcome.ROTATED, rotated)
        ended = await self._sessions.change_one(alive, {"$set": {"ended_at": now}})
        if ended is not None:
            return _result(RefreshOutcome.REUSED, ended)
        session = await self._sessions.find_one(
            {"_id": shown.session_id}, projection={"user_id": 1, "device_id": 1, "wipe_ordered_at": 1}
        )
        return RefreshResult(RefreshOutcome.ENDED) if session is None else _result(RefreshOutcome.ENDED, session)

    async def end_all(self, now: datetime) -> int:
        """End every family of every user. Return how many ended."""
        return await self._sessions.update_many({"ended_at": None}, {"$set": {"ended_at": now}})

    async def end(self, user_id: str, device_ids: Sequence[str], now: datetime) -> None:
        """End every family of these devices of the user."""
        await self._sessions.update_many(
            {"user_id": user_id, "device_id": {"$in": list(device_ids)}, "ended_at": None}, {"$set": {"ended_at": now}}
        )

    async def order_wipe(self, user_id: str, now: datetime, by: str, device_id: str | None = None) -> list[str]:
        """End every family of the device, and order the device to erase the user's data. A first order stands.

        Without `device_id`, do so for all devices of the user, also for those that the user's document no longer lists.
        Return the ids of the devices.
        """
        families: Document = {"user_id": user_id} | ({} if device_id is None else {"device_id": device_id})
        first = {"ended_at": now, "wipe_ordered_at": now, "wipe_ordered_by": {"$literal": by}}
        changes = {name: {"$ifNull": [f"${name}", value]} for name, value in first.items()}
        await self._sessions.update_many(families, [{"$set": changes}])
        found = await self._sessions.aggregate([{"$match": families}, {"$group": {"_id": "$device_id"}}])
        return [document["_id"] for document in found]

    async def has_begun_since(self, user_id: str, device_id: str, at: datetime) -> bool:
        """Whether a person has signed in on the device after this time."""
        families: Document = {"user_id": user_id, "device_id": device_id, "began_at": {"$gt": at}}
        return await self._sessions.find_one(families, projection={"_id": 1}) is not None


def _result(use: RefreshOutcome, family: Document) -> RefreshResult:
    return RefreshResult(use, family["user_id"], family["device_id"], family.get("wipe_ordered_at"))
