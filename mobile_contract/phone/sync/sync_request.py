"""Submit, confirm, compare clock and numbers, and pull in one round trip (`Sync`).

Whatever doesn't fit follows in separate requests. So does everything that the server refuses as a whole in `Sync`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from mobile_contract.phone.errors import ServerRefusedError
from mobile_contract.phone.network.client import Reply
from mobile_contract.phone.outbox.items import Medium, ObservationState, OutboxObservation
from mobile_contract.phone.outbox.outbox import Outbox
from mobile_contract.phone.outbox.sequence_gaps import SequenceGaps
from mobile_contract.phone.sync.pulling import PAGE, ChangePuller
from mobile_contract.phone.sync.queued_operations import OperationState, OperationSubmission, QueuedOperation
from mobile_contract.phone.sync.submission import Submission, split_batches
from mobile_contract.phone.upload.signed_put import Slot
from mobile_contract.phone.upload.uploader import MAX_CONFIRMED, Uploader
from mobile_contract.phone.users.session import Account

MAX_OPERATIONS = 10
"""The limit of one kind, so that a full batch of drafts still fits beside them. The rest follows separately."""
SWITCHES = {
    "submitRatings": ("rates", "ratings"),
    "answerAssignments": ("replies", "answers"),
    "editAssignmentNotes": ("notes", "edits"),
}
"""For each root field of `Sync`: the variable that includes it, and the variable of its input."""


class SyncRequest:
    def __init__(
        self,
        outbox: Outbox,
        account: Account,
        submission: Submission,
        submissions: Mapping[str, OperationSubmission],
        uploads: Uploader,
        pull: ChangePuller,
    ) -> None:
        self._outbox = outbox
        self._account = account
        self._submission = submission
        self._submissions = submissions
        self._uploads = uploads
        self._puller = pull
        self._gaps = SequenceGaps(outbox)

    async def hand_in(self) -> tuple[dict[str, Slot], ServerRefusedError | None]:
        """Send everything that waits, once. Return slots by medium, and the refusal of the pull if there was one.

        Raise `UnreachableError`, `SignInNeededError`, or a `ServerRefusedError` that concerns the person.
        """
        batch = next(split_batches(self._outbox.observations(ObservationState.QUEUED)), [])
        operations = {
            root: submission.queue.all(OperationState.QUEUED)[:MAX_OPERATIONS]
            for root, submission in self._submissions.items()
        }
        arrived = self._uploads.interrupted()[:MAX_CONFIRMED]
        slots: dict[str, Slot] = {}
        done: set[str] = set()
        try:
            since, reply = await self._send(batch, operations, arrived)
        except ServerRefusedError as refused:
            refusal: ServerRefusedError | None = refused
        else:
            for ids, new_slots in self._record_results(batch, operations, arrived, reply):
                done |= ids
                slots |= new_slots
            refusal = await self._pull(reply, since)
        await self._uploads.confirm_interrupted(excluding=done)
        slots |= await self._submission.run(excluding=done)
        for submission in self._submissions.values():
            await submission.run(excluding=done)
        if refusal and (batch or any(operations.values()) or arrived) and not done:
            refusal = await self._pull(None, None)
        return slots, refusal

    async def pull(self) -> None:
        """Pull and send nothing. Raise `ServerRefusedError`, `UnreachableError` or `SignInNeededError`."""
        since, reply = await self._send([], {}, [])
        await self._store(reply, since)

    async def _pull(self, reply: Reply | None, since: str | None) -> ServerRefusedError | None:
        """Store the pulled changes, from a new request if there is no reply. Return the refusal, if there is one."""
        try:
            if reply is None:
                since, reply = await self._send([], {}, [])
            await self._store(reply, since)
        except ServerRefusedError as refusal:
            return refusal
        return None

    async def _send(
        self, batch: list[OutboxObservation], operations: Mapping[str, list[QueuedOperation]], arrived: list[Medium]
    ) -> tuple[str | None, Reply]:
        since = self._puller.records.cursor
        variables: dict[str, Any] = {
            "input": {"lastSequence": self._outbox.last_sequence, "since": since, "first": PAGE},
        }
        if batch:
            self._outbox.count_attempts([observation.id for observation in batch])
            variables |= {"submits": True, "drafts": {"drafts": [observation.draft for observation in batch]}}
        for root, queued in operations.items():
            if queued:
                switch, input_name = SWITCHES[root]
                variables |= {switch: True, input_name: self._submissions[root].input(queued)}
        if arrived:
            variables |= {"confirms": True, "media": {"mediaIds": [medium.id for medium in arrived]}}
        return since, await self._account.ask("Sync", variables)

    def _record_results(
        self,
        batch: list[OutboxObservation],
        operations: Mapping[str, list[QueuedOperation]],
        arrived: list[Medium],
        reply: Reply,
    ) -> Iterator[tuple[set[str], dict[str, Slot]]]:
        """Yield the ids that the request settled. Root fields that were refused as a whole follow separately."""
        for root, payload in reply.before.items():
            if payload is None or payload["__typename"] == "Refused":
                continue
            if root == "submitObservations":
                yield {observation.id for observation in batch}, self._submission.record_results(batch, payload, reply)
            elif root == "confirmMedia":
                self._uploads.record_results(arrived, payload)
                yield {medium.id for medium in arrived}, {}
            elif root in self._submissions:
                self._submissions[root].record_results(operations[root], payload)
                yield {operation.id for operation in operations[root]}, {}

    async def _store(self, reply: Reply, since: str | None) -> None:
        self._gaps.compare(reply.value)
        await self._puller.store_pages(reply.value["changes"], since)
