"""Slips: small things without media that the phone hands in, kept in the outbox until the server has answered for each.

What a slip says is left to `ratings`, `answers` and `notes`; observations go their own way, and neither holds the other up.
"""
# ruff: noqa: S608  the names of tables are the code's own

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mobile_contract.phone.errors import FOR_PEOPLE, ServerRefusedError
from mobile_contract.phone.outbox.outbox import Outbox
from mobile_contract.phone.storage.database import DatabaseRow
from mobile_contract.phone.users.session import Account

MAX_OPERATIONS = 50
REFUSALS_OF_PERSON = frozenset({"FORBIDDEN", "OUT_OF_SCOPE"})
"""Refusals of a whole batch that say nothing about what is in it: the slips wait for another account or role."""
TABLE = """
CREATE TABLE IF NOT EXISTS {} (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, draft TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'QUEUED', receipt TEXT, refusal TEXT, trouble TEXT, forgotten INTEGER NOT NULL DEFAULT 0
)
"""
"""Of the slips of one kind, by name."""

OperationAnswer = dict[str, Any] | ServerRefusedError
"""What the server answered for one slip: what is kept of it, or why not."""


class OperationState(StrEnum):
    QUEUED = "QUEUED"  # 待提交
    ACCEPTED = "ACCEPTED"  # 已接收: the server has answered for it
    REFUSED = "REFUSED"  # 被退回: set aside until somebody has looked at it


@dataclass(frozen=True)
class QueuedOperation:
    """`draft` is what is sent, to the letter; `receipt` is what the server said of it, once it has it."""

    id: str
    label: str
    state: OperationState
    draft: dict[str, Any]
    receipt: dict[str, Any] | None
    refusal: dict[str, Any] | None
    trouble: dict[str, Any] | None

    @classmethod
    def read(cls, row: DatabaseRow, letter: str) -> "QueuedOperation":
        said = {name: json.loads(row[name]) if row[name] else None for name in ("receipt", "refusal", "trouble")}
        return cls(
            row["id"], f"{letter}{row['number']}", OperationState(row["state"]), json.loads(row["draft"]), **said
        )


class OperationQueue:
    """The slips of one kind, whose table is made with the first of them; `letter` begins what people call them by."""

    table: str
    letter: str

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def add(self, draft: dict[str, Any]) -> None:
        with self._outbox.transaction() as database:
            database.execute(TABLE.format(self.table))
            text = json.dumps(draft, ensure_ascii=False)
            database.execute(f"INSERT INTO {self.table} (id, draft) VALUES (?, ?)", (draft["id"], text))

    def all(self, *states: OperationState) -> list[QueuedOperation]:
        """In the order in which they were made, without those that were forgotten; of any state unless some are named."""
        if not self._outbox.rows(f"SELECT 1 FROM sqlite_master WHERE name = '{self.table}'"):
            return []
        rows = self._outbox.rows(f"SELECT * FROM {self.table} WHERE NOT forgotten ORDER BY number")
        found = [QueuedOperation.read(row, self.letter) for row in rows]
        return [each for each in found if not states or each.state in states]

    def record_answers(
        self, answers: Sequence[tuple[str, OperationAnswer]], *, before: OperationState = OperationState.QUEUED
    ) -> None:
        """What the server said to each: that it has it, a refusal that sets it aside, or to try again later."""
        with self._outbox.transaction() as database:
            for id, said in answers:
                receipt, refused = (None, said) if isinstance(said, ServerRefusedError) else (json.dumps(said), None)
                aside = refused is not None and refused.next_step in FOR_PEOPLE
                words = json.dumps(refused.as_json(), ensure_ascii=False) if refused else None
                state = OperationState.ACCEPTED if receipt else OperationState.REFUSED if aside else before
                values = (state.value, receipt, words if aside else None, None if aside else words)
                database.execute(
                    f"UPDATE {self.table} SET state = ?, receipt = ?, refusal = ?, trouble = ? WHERE id = ? AND state = ?",
                    (*values, id, before.value),
                )

    def discard(self, id: str) -> None:
        """Let go of a refused slip; never of one that the server has not answered for."""
        with self._outbox.transaction() as database:
            database.execute(f"DELETE FROM {self.table} WHERE id = ? AND state = 'REFUSED'", (id,))

    def forget(self) -> int:
        """Let go of what is through: who rated whom is nobody's business who finds the phone. Receipts stay."""
        through = self.finished()
        with self._outbox.transaction() as database:
            for each in through:
                database.execute(f"UPDATE {self.table} SET draft = '{{}}', forgotten = 1 WHERE id = ?", (each.id,))
        return len(through)

    def finished(self) -> list[QueuedOperation]:
        """Of which nothing more is to be heard."""
        return self.all(OperationState.ACCEPTED)


class OperationSubmission:
    """Hands slips in by `operation`, whose input has them as `items`; `said` reads what is answered for one."""

    operation: str
    items: str
    said: Callable[[str, dict[str, Any]], OperationAnswer]

    def __init__(self, box: OperationQueue, account: Account) -> None:
        self.box = box
        self._account = account

    async def run(self, *, beside: Collection[str] = ()) -> None:
        """Hand in everything that is queued but those ids, once. Raise `Unreachable` or `SignInAgain`."""
        queued = [each for each in self.box.all(OperationState.QUEUED) if each.id not in beside]
        for start in range(0, len(queued), MAX_OPERATIONS):
            await self._submit(queued[start : start + MAX_OPERATIONS])

    def input(self, batch: Sequence[QueuedOperation]) -> dict[str, Any]:
        return {self.items: [each.draft for each in batch]}

    async def _submit(self, batch: Sequence[QueuedOperation]) -> None:
        """Where the whole of a batch is refused, its halves are tried: one poisoned slip doesn't hold up the others."""
        try:
            reply = await self._account.ask(self.operation, {"input": self.input(batch)})
        except ServerRefusedError as refusal:
            if refusal.code in REFUSALS_OF_PERSON:
                refusal.next_step = "RETRY_LATER"
            elif len(batch) > 1:
                middle = len(batch) // 2
                await self._submit(batch[:middle])
                await self._submit(batch[middle:])
                return
            self.box.record_answers([(each.id, refusal) for each in batch])
            return
        self.record_results(batch, reply.value)

    def record_results(self, batch: Sequence[QueuedOperation], payload: dict[str, Any]) -> None:
        results = {each["id"]: each for each in payload["results"]}
        self.box.record_answers([(each.id, type(self).said(each.id, results.get(each.id) or {})) for each in batch])
