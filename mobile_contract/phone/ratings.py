"""Ratings on the phone: what a monitor makes of units, kept in the outbox until the server has it, and handed in in batches.

Observations go their own way (`submission`): neither holds the other up.
"""

import json
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

from mobile_contract.phone.faults import FOR_PEOPLE, Mistake, Refused
from mobile_contract.phone.ids import new_id
from mobile_contract.phone.outbox import Outbox
from mobile_contract.phone.session import Account

MOST_RATINGS = 50
ABOUT_THE_PERSON = frozenset({"FORBIDDEN", "OUT_OF_SCOPE"})
"""Refusals of a whole batch that say nothing about what is in it: the ratings wait for another account or role."""
BEIJING = timezone(timedelta(hours=8))
_TABLE = """
CREATE TABLE IF NOT EXISTS ratings (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, draft TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'QUEUED', receipt TEXT, refusal TEXT, trouble TEXT, forgotten INTEGER NOT NULL DEFAULT 0
)
"""


class RatingState(StrEnum):
    QUEUED = "QUEUED"  # 待提交
    ACCEPTED = "ACCEPTED"  # 已接收: the server's receipt is here
    REFUSED = "REFUSED"  # 被退回: set aside until somebody has looked at it


@dataclass(frozen=True)
class Rating:
    """`draft` is what is sent, to the letter; `receipt` is the server's proof, once it has it."""

    id: str
    number: int
    state: RatingState
    draft: dict[str, Any]
    receipt: dict[str, Any] | None
    refusal: dict[str, Any] | None
    trouble: dict[str, Any] | None

    @classmethod
    def read(cls, row: sqlite3.Row) -> "Rating":
        said = {name: json.loads(row[name]) if row[name] else None for name in ("receipt", "refusal", "trouble")}
        return cls(row["id"], row["number"], RatingState(row["state"]), json.loads(row["draft"]), **said)

    @property
    def label(self) -> str:
        return f"R{self.number}"


class RatingBox:
    """The ratings of an outbox, whose table is made with the first of them."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def add(self, draft: dict[str, Any]) -> None:
        with self._outbox.step() as database:
            database.execute(_TABLE)
            text = json.dumps(draft, ensure_ascii=False)
            database.execute("INSERT INTO ratings (id, draft) VALUES (?, ?)", (draft["id"], text))

    def all(self, *states: RatingState) -> list[Rating]:
        """In the order in which they were made, without those that were forgotten; of any state unless some are named."""
        if not self._outbox.rows("SELECT 1 FROM sqlite_master WHERE name = 'ratings'"):
            return []
        rows = self._outbox.rows("SELECT * FROM ratings WHERE NOT forgotten ORDER BY number")
        found = [Rating.read(row) for row in rows]
        return [each for each in found if not states or each.state in states]

    def settled(self, answers: Sequence[tuple[str, dict[str, Any] | Refused]]) -> None:
        """What the server said to each: its receipt, a refusal that sets it aside, or to try again later."""
        with self._outbox.step() as database:
            for id, said in answers:
                receipt, refused = (None, said) if isinstance(said, Refused) else (json.dumps(said), None)
                aside = refused is not None and refused.next_step in FOR_PEOPLE
                words = json.dumps(refused.as_json(), ensure_ascii=False) if refused else None
                state = RatingState.ACCEPTED if receipt else RatingState.REFUSED if aside else RatingState.QUEUED
                values = (state.value, receipt, words if aside else None, None if aside else words)
                database.execute(
                    "UPDATE ratings SET state = ?, receipt = ?, refusal = ?, trouble = ?"
                    " WHERE id = ? AND state = 'QUEUED'",
                    (*values, id),
                )

    def discard(self, id: str) -> None:
        """Let go of a refused rating; never of one that the server has not answered for."""
        with self._outbox.step() as database:
            database.execute("DELETE FROM ratings WHERE id = ? AND state = 'REFUSED'", (id,))

    def forget(self) -> int:
        """Let go of what is through: who rated whom is nobody's business who finds the phone. Receipts stay."""
        through = self.all(RatingState.ACCEPTED)
        if through:
            with self._outbox.step() as database:
                database.execute("UPDATE ratings SET draft = '{}', forgotten = 1 WHERE state = 'ACCEPTED'")
        return len(through)


class RatingSubmission:
    def __init__(self, box: RatingBox, account: Account) -> None:
        self._box = box
        self._account = account

    async def run(self, *, beside: Collection[str] = ()) -> None:
        """Hand in everything that is queued but those ids, once. Raise `Unreachable` or `SignInAgain`."""
        queued = [each for each in self._box.all(RatingState.QUEUED) if each.id not in beside]
        for start in range(0, len(queued), MOST_RATINGS):
            await self._submit(queued[start : start + MOST_RATINGS])

    async def _submit(self, batch: Sequence[Rating]) -> None:
        """Where the whole of a batch is refused, its halves are tried: one poisoned rating doesn't hold up the others."""
        try:
            reply = await self._account.ask("SubmitRatings", {"input": {"drafts": [each.draft for each in batch]}})
        except Refused as refusal:
            if refusal.code in ABOUT_THE_PERSON:
                refusal.next_step = "RETRY_LATER"
            elif len(batch) > 1:
                middle = len(batch) // 2
                await self._submit(batch[:middle])
                await self._submit(batch[middle:])
                return
            self._box.settled([(each.id, refusal) for each in batch])
            return
        self.settle(batch, reply.value)

    def settle(self, batch: Sequence[Rating], payload: dict[str, Any]) -> None:
        results = {each["id"]: each for each in payload["results"]}
        self._box.settled([(each.id, _said(each.id, results.get(each.id) or {})) for each in batch])


def _said(id: str, result: dict[str, Any]) -> dict[str, Any] | Refused:
    receipt: dict[str, Any] = result.get("receipt") or {}
    if result.get("outcome") in {"ACCEPTED", "DUPLICATE"} and receipt.get("ratingId") == id:
        return receipt
    return Refused.read(result.get("refusal") or {})


def compose(
    unit: str, point: str, month: str | None, *, score: int | None, grade: str | None, reason: str | None
) -> dict[str, Any]:
    """A whole draft; the month is this one in Beijing unless given. Raise `Mistake`.

    The time in its id is the month's, so that it tells nobody when the rating was made.
    """
    if (score is None) == (grade is None):
        raise Mistake("Give --score or --grade, one of the two.", "请填写分值或等级，二者选一。")
    try:
        wanted = datetime.strptime(month, "%Y-%m") if month else datetime.now(BEIJING)  # noqa: DTZ007  a month has no zone
    except ValueError:
        raise Mistake(f"{month!r} is no month such as 2026-11.", "月份应写成 2026-11。") from None
    first = datetime(wanted.year, wanted.month, 1, tzinfo=UTC)
    draft = {
        "id": new_id("rat", first),
        "monitoringPoint": point,
        "unit": unit,
        "month": f"{first:%Y-%m-%d}",
        "score": score,
        "grade": grade,
        "reason": reason,
    }
    return {name: value for name, value in draft.items() if value is not None}
