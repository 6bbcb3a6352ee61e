"""Sessions in MongoDB: families of refresh tokens, each token good for one use, kept as digests only.

A family is what grows from one sign-in on one device. Whether the device may still act is written in its user's
document, by `storage/accounts/users.py`; the two are asked in turn, and either alone can end a session.

A family's document holds `current`, the digests of the newest tokens, none of them used; `previous`, the digest of the
token that they were given for; and `rotated_at`, when `previous` was first used. What a token does:

    current               used:  it becomes `previous`; one new token becomes `current`         ROTATED
    previous, in time     the reply was lost: one more token joins `current`                    ROTATED
    previous, too late    somebody has a copy: the family ends                                  REUSED
    older, other device   somebody has a copy: the family ends                                  REUSED
    family ended, expired, unknown                                                              ENDED

"In time" is within the grace after the *first* use. Retries give several tokens for one; all of them are good until
one is used, because the device may hold any of them (a late duplicate of its request is served after the retry whose
reply it kept). The first one used makes the others old: where two parties go on from one token, the second to do so
ends the family for both. Thus no copy outlives its owner's next renewal, and a lost reply ends nothing.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from schema.accounts.sessions import RefreshToken
from storage.mongodb.client import ASCENDING, Document, Mongo, Sort

MAX_CURRENT = 16
"""Retries of one renewal that are remembered; of more, the oldest reply no longer counts."""

INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    ((("expires_at", ASCENDING),), {"expireAfterSeconds": 0}),
    ((("user_id", ASCENDING), ("device_id", ASCENDING)), {}),
]


class Use(enum.Enum):
    """What came of showing a refresh token."""

    ROTATED = "ROTATED"
    REUSED = "REUSED"
    ENDED = "ENDED"


@dataclass(frozen=True)
class Used:
    """Whose family it is, and on which device; None where it is not known any more."""

    use: Use
    user_id: str | None = None
    device_id: str | None = None


class Sessions:
    def __init__(self, mongo: Mongo) -> None:
        self._sessions = mongo.collection("sessions")

    async def begin(
        self, token: RefreshToken, user_id: str, device_id: str, now: datetime, expires_at: datetime
    ) -> None:
        """Store a new family with its first token; it counts once the user's device names it."""
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
    ) -> Used:
        """Show a token; where the answer is ROTATED, `successor` is stored and good until `expires_at`.

        Each step is one conditional update, so that of any number of requests at once exactly one is the first use.
        """
        alive: Document = {"_id": shown.session_id, "ended_at": None, "expires_at": {"$gt": now}}
        held = alive | {"device_id": device_id}
        rotated = await self._sessions.change_one(
            held | {"current": shown.digest},
            {
                "$set": {
                    "current": [successor.digest],
                    "previous": shown.digest,
                    "rotated_at": now,
                    "expires_at": expires_at,
                }
            },
        ) or await self._sessions.change_one(
            held | {"previous": shown.digest, "rotated_at": {"$gte": now - grace}},
            {
                "$push": {"current": {"$each": [successor.digest], "$slice": -MAX_CURRENT}},
                "$set": {"expires_at": expires_at},
            },
        )
        if rotated is not None:
            return Used(Use.ROTATED, rotated["user_id"], rotated["device_id"])
        ended = await self._sessions.change_one(alive, {"$set": {"ended_at": now}})
        if ended is not None:
            return Used(Use.REUSED, ended["user_id"], ended["device_id"])
        known = await self._sessions.find_one({"_id": shown.session_id}, projection={"user_id": 1, "device_id": 1})
        return Used(Use.ENDED, known["user_id"], known["device_id"]) if known else Used(Use.ENDED)

    async def end(self, user_id: str, device_ids: Sequence[str], now: datetime) -> None:
        """End every family of these devices."""
        await self._sessions.update_many(
            {"user_id": user_id, "device_id": {"$in": list(device_ids)}, "ended_at": None}, {"$set": {"ended_at": now}}
        )
