"""Queue small operations without media (ratings, answers, note edits) until the server has answered each one.

Observations have a queue of their own. No queue blocks another queue.
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
"""Codes of refusals of a whole batch because this person may not submit it.

The operations stay queued until another account or role can submit them.
"""
TABLE = """
CREATE TABLE IF NOT EXISTS {} (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, draft TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'QUEUED', receipt TEXT, refusal TEXT, trouble TEXT, forgotten INTEGER NOT NULL DEFAULT 0
)
"""
"""Creates the table for the operations of one kind."""

OperationAnswer = dict[str, Any] | ServerRefusedError
"""The server's answer for one operation: a receipt to keep, or a refusal."""


class OperationState(StrEnum):
    QUEUED = "QUEUED"  # 待提交
    ACCEPTED = "ACCEPTED"  # 已接收: the server has accepted it
    REFUSED = "REFUSED"  # 被退回: not sent again until a person has looked at it


@dataclass(frozen=True)
class QueuedOperation:
    """An operation in a queue. `draft` is sent exactly as it is. `receipt` is the server's answer if it was accepted.

    `refusal` is an error that a person must look at. `trouble` is an error after which the phone tries again.
    """

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
    """The operations of one kind, in a table that is created with the first operation.

    Users see labels such as R1, which begin with `letter`.
    """

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
        """List the operations in the order in which they were added. If `states` are given, list only these states.

        Operations whose content was deleted are left out.
        """
        if not self._outbox.rows(f"SELECT 1 FROM sqlite_master WHERE name = '{self.table}'"):
            return []
        rows = self._outbox.rows(f"SELECT * FROM {self.table} WHERE NOT forgotten ORDER BY number")
        operations = [QueuedOperation.read(row, self.letter) for row in rows]
        return [operation for operation in operations if not states or operation.state in states]

    def record_answers(
        self, answers: Sequence[tuple[str, OperationAnswer]], *, before: OperationState = OperationState.QUEUED
    ) -> None:
        """Store the server's answers to operations in the state `before`.

        An answer is a receipt, a refusal that a person must look at, or an error after which the phone tries again.
        """
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
        """Delete an operation if the server has refused it. Keep it in any other state."""
        with self._outbox.transaction() as database:
            database.execute(f"DELETE FROM {self.table} WHERE id = ? AND state = 'REFUSED'", (id,))

    def forget(self) -> int:
        """Delete the content of finished operations, so that a finder of the phone can't read who rated whom.

        Receipts stay.

        Return the number of operations whose content was deleted.
        """
        through = self.finished()
        with self._outbox.transaction() as database:
            for operation in through:
                database.execute(f"UPDATE {self.table} SET draft = '{{}}', forgotten = 1 WHERE id = ?", (operation.id,))
        return len(through)

    def finished(self) -> list[QueuedOperation]:
        """List operations that expect no further answer."""
        return self.all(OperationState.ACCEPTED)


class OperationSubmission:
    """Submits queued operations with the mutation `operation`, in the list `items` of its input.

    `read_result` reads the answer to one operation.
    """

    operation: str
    items: str
    read_result: Callable[[str, dict[str, Any]], OperationAnswer]

    def __init__(self, queue: OperationQueue, account: Account) -> None:
        self.queue = queue
        self._account = account

    async def run(self, *, excluding: Collection[str] = ()) -> None:
        """Submit each queued operation once, except those with an id in `excluding`.

        Raise `UnreachableError` or `SignInNeededError`.
        """
        queued = [operation for operation in self.queue.all(OperationState.QUEUED) if operation.id not in excluding]
        for start in range(0, len(queued), MAX_OPERATIONS):
            await self._submit(queued[start : start + MAX_OPERATIONS])

    def input(self, batch: Sequence[QueuedOperation]) -> dict[str, Any]:
        return {self.items: [operation.draft for operation in batch]}

    async def _submit(self, batch: Sequence[QueuedOperation]) -> None:
        """Submit a batch. If the server refuses the whole batch, submit its halves.

        So one bad operation doesn't block the others.
        """
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
