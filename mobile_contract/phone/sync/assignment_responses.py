"""Accept and finish assignments offline, and ask what became of answers that arrived before their assignment."""

from datetime import datetime
from typing import Any

from mobile_contract.phone.errors import ServerRefusedError
from mobile_contract.phone.ids import new_id
from mobile_contract.phone.sync.queued_operations import (
    OperationAnswer,
    OperationQueue,
    OperationState,
    OperationSubmission,
    QueuedOperation,
)
from mobile_contract.phone.users.session import Account

HELD = "HELD"
DONE = frozenset({"SETTLED", "DUPLICATE", HELD})


class AnswerQueue(OperationQueue):
    table, letter = "answers", "A"

    def held(self) -> list[QueuedOperation]:
        """List the answers that wait on the server until their assignment exists. The phone doesn't send them again."""
        return [answer for answer in self.all(OperationState.ACCEPTED) if (answer.receipt or {}).get("outcome") == HELD]

    def finished(self) -> list[QueuedOperation]:
        held = {answer.id for answer in self.held()}
        return [answer for answer in super().finished() if answer.id not in held]


def _read_result(id: str, result: dict[str, Any]) -> OperationAnswer:
    if result.get("id") == id and result.get("outcome") in DONE:
        return {"outcome": result["outcome"], "state": (result.get("assignment") or {}).get("state")}
    return ServerRefusedError.read(result.get("refusal") or {})


class AnswerSubmission(OperationSubmission):
    operation, items, read_result = "AnswerAssignments", "answers", staticmethod(_read_result)

    def __init__(self, queue: AnswerQueue, account: Account) -> None:
        super().__init__(queue, account)
        self._answers = queue

    async def resolve_held(self) -> None:
        """If answers wait on the server, ask for their outcome and store it."""
        held = self._answers.held()
        if not held:
            return
        reply = await self._account.ask("HeldOperations", {})
        waiting = {item["id"]: item.get("refusal") for item in reply.value_items()}
        answers: list[tuple[str, OperationAnswer]] = []
        for answer in held:
            if answer.id not in waiting:
                answers.append((answer.id, {"outcome": "SETTLED", "state": None}))
            elif refusal := waiting[answer.id]:
                answers.append((answer.id, ServerRefusedError.read(refusal)))
        self._answers.record_answers(answers, before=OperationState.ACCEPTED)


def compose_answer(assignment_id: str, result: str | None = None) -> dict[str, Any]:
    """Compose an answer that accepts an assignment. With a `result`, the answer says that the assignment is finished.

    The answer's time is the phone's current time.
    """
    draft = {
        "id": new_id("ans"),
        "assignmentId": assignment_id,
        "kind": "ACCEPT" if result is None else "FINISH",
        "answeredAt": datetime.now().astimezone().isoformat(timespec="milliseconds"),
        "result": result,
    }
    return {name: value for name, value in draft.items() if value is not None}
