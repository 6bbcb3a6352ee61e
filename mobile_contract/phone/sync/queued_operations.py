"""Queue small operations without media until the server has answered each one.

Observations have their own path, and neither holds the other up.
"""
# ruff: noqa: S608  table names are constants of this code

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
"""Refusals of a whole batch because of the person: the operations wait for another account or role."""
TABLE = """
CREATE TABLE IF NOT EXISTS {} (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, draft TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'QUEUED', receipt TEXT, refusal TEXT, trouble TEXT, forgotten INTEGER NOT NULL DEFAULT 0
)
"""
"""The table of one kind's operations."""

OperationAnswer = dict[str, Any] | ServerRefusedError
"""The server's answer for one operation: a receipt to keep, or a refusal."""


class OperationState(StrEnum):
    QUEUED = "QUEUED"  # 待提交
    ACCEPTED = "ACCEPTED"  # 已接收: the server has answered for it
    REFUSED = "REFUSED"  # 被退回: set aside until a person looks at it


@dataclass(frozen=True)
class QueuedOperation:
    """An operation in a queue. `draft` is sent exactly as it is; `receipt` is the server's answer."""

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
    """The operations of one kind. Their table is made with the first one; people see labels that begin with `letter`."""

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
        """List operations in the order of adding, without deleted ones; of any state unless some are given."""
        if not self._outbox.rows(f"SELECT 1 FROM sqlite_master WHERE name = '{self.table}'"):
            return []
        rows = self._outbox.rows(f"SELECT * FROM {self.table} WHERE NOT forgotten ORDER BY number")
        operations = [QueuedOperation.read(row, self.letter) for row in rows]
        return [operation for operation in operations if not states or operation.state in states]

    def record_answers(
        self, answers: Sequence[tuple[str, OperationAnswer]], *, before: OperationState = OperationState.QUEUED
    ) -> None:
        """Store the server's answers: accepted, refused and set aside, or to be tried again."""
        with self._outbox.transaction() as database:
            for id, answer in answers:
                receipt, refused = (
                    (None, answer) if isinstance(answer, ServerRefusedError) else (json.dumps(answer), None)
                )
                aside = refused is not None and refused.next_step in FOR_PEOPLE
                words = json.dumps(refused.as_json(), ensure_ascii=False) if refused else None
                state = OperationState.ACCEPTED if receipt else OperationState.REFUSED if aside else before
                values = (state.value, receipt, words if aside else None, None if aside else words)
                database.execute(
                    f"UPDATE {self.table} SET state = ?, receipt = ?, refusal = ?, trouble = ? WHERE id = ? AND state = ?",
                    (*values, id, before.value),
                )

    def discard(self, id: str) -> None:
        """Delete a refused operation. One that the server has not answered stays."""
        with self._outbox.transaction() as database:
            database.execute(f"DELETE FROM {self.table} WHERE id = ? AND state = 'REFUSED'", (id,))

    def forget(self) -> int:
        """Delete the content of finished operations: a finder of the phone must not read who rated whom. Receipts stay."""
        through = self.finished()
        with self._outbox.transaction() as database:
            for operation in through:
                database.execute(f"UPDATE {self.table} SET draft = '{{}}', forgotten = 1 WHERE id = ?", (operation.id,))
        return len(through)

    def finished(self) -> list[QueuedOperation]:
        """List operations that expect no further answer."""
        return self.all(OperationState.ACCEPTED)


class OperationSubmission:
    """Submits operations with `operation`, whose input field is `items`; `read_result` reads the answer for one."""

    operation: str
    items: str
    read_result: Callable[[str, dict[str, Any]], OperationAnswer]

    def __init__(self, queue: OperationQueue, account: Account) -> None:
        self.queue = queue
        self._account = account

    async def run(self, *, excluding: Collection[str] = ()) -> None:
        """Submit everything that is queued except `excluding`, once. Raise `UnreachableError` or `SignInNeededError`."""
        queued = [operation for operation in self.queue.all(OperationState.QUEUED) if operation.id not in excluding]
        for start in range(0, len(queued), MAX_OPERATIONS):
            await self._submit(queued[start : start + MAX_OPERATIONS])

    def input(self, batch: Sequence[QueuedOperation]) -> dict[str, Any]:
        return {self.items: [operation.draft for operation in batch]}

    async def _submit(self, batch: Sequence[QueuedOperation]) -> None:
        """Submit a batch. If all of it is refused, submit its halves, so that one bad operation doesn't hold up the others."""
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
            self.queue.record_answers([(operation.id, refusal) for operation in batch])
            return
        self.record_results(batch, reply.value)

    def record_results(self, batch: Sequence[QueuedOperation], payload: dict[str, Any]) -> None:
        results = {result["id"]: result for result in payload["results"]}
        self.queue.record_answers(
            [
                (operation.id, type(self).read_result(operation.id, results.get(operation.id) or {}))
                for operation in batch
            ]
        )
