"""Store sessions in MongoDB: families of refresh tokens, as digests only. A token is valid for one use.

A family is all tokens that follow from one sign-in on one device. The user's document also says whether the device may
act. Both are checked in turn, and either alone can end a session.

The document of a family holds:
- `current`: the digests of the newest tokens, all unused;
- `previous`: the digest of the token that was exchanged for them;
- `rotated_at`: when `previous` was first used.

When a token is used:

    current               it becomes `previous`; one new token becomes `current`                ROTATED
    previous, in time     the reply was lost: one more token joins `current`                    ROTATED
    previous, too late    somebody has a copy: the family ends                                  REUSED
    older, other device   somebody has a copy: the family ends                                  REUSED
    family ended, expired, unknown                                                              ENDED

"In time" is within the grace after the *first* use. Retries return several tokens for one. All of them stay valid until
one is used, because the device may hold any of them: the server can answer a late duplicate of a request after the retry
whose reply the device stored. The first token used makes the others old. If two parties continue from one token, the
second one ends the family for both. So no copy outlives its owner's next renewal, and a lost reply ends nothing.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from schema.accounts.sessions import RefreshToken
from storage.mongodb.client import ASCENDING, Document, Mongo, Sort

MAX_CURRENT = 16
"""Retries of one renewal that stay valid. After more retries the oldest reply is no longer valid."""

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
    """The outcome, with the user and device of the family; None if the family is no longer known."""

    use: RefreshOutcome
    user_id: str | None = None
    device_id: str | None = None


class Sessions:
    def __init__(self, mongo: Mongo) -> None:
        self._sessions = mongo.collection("sessions")

    async def begin(
        self, token: RefreshToken, user_id: str, device_id: str, now: datetime, expires_at: datetime
    ) -> None:
        """Store a new family with its first token. It becomes valid when the user's device names it."""
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
        """Exchange a token for `successor`, which is stored and valid until `expires_at` if the outcome is ROTATED.

        Each step is one conditional update, so exactly one of any number of concurrent requests is the first use.
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
            return RefreshResult(RefreshOutcome.ROTATED, rotated["user_id"], rotated["device_id"])
        ended = await self._sessions.change_one(alive, {"$set": {"ended_at": now}})
        if ended is not None:
            return RefreshResult(RefreshOutcome.REUSED, ended["user_id"], ended["device_id"])
        session = await self._sessions.find_one({"_id": shown.session_id}, projection={"user_id": 1, "device_id": 1})
        if session is None:
            return RefreshResult(RefreshOutcome.ENDED)
        return RefreshResult(RefreshOutcome.ENDED, session["user_id"], session["device_id"])

    async def end(self, user_id: str, device_ids: Sequence[str], now: datetime) -> None:
        """End every family of these devices."""
        await self._sessions.update_many(
            {"user_id": user_id, "device_id": {"$in": list(device_ids)}, "ended_at": None}, {"$set": {"ended_at": now}}
        )
