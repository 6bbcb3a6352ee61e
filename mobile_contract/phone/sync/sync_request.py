"""Submit items, confirm uploads, compare clocks and running numbers, and pull changes, in one request (`Sync`).

Items that don't fit into `Sync` follow in separate requests. So do items of a root field that is refused as a whole.
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
"""Maximum number of operations of each kind in `Sync`, so that a full batch of drafts still fits into the request.

The other operations follow in separate requests.
"""
SWITCHES = {
    "submitRatings": ("rates", "ratings"),
    "answerAssignments": ("replies", "answers"),
    "editAssignmentNotes": ("notes", "edits"),
}
"""For each root field of `Sync`: the Boolean variable that includes the field, and the variable with its input."""


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
        """Try to send each waiting item once. Return upload slots by medium id, and the refusal of the pull or None.

        Raise `UnreachableError`, `SignInNeededError`, or a `ServerRefusedError` if this person may not submit.
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
        """Store the pulled changes. If `reply` is None, pull them with a new request. Return the refusal, or None."""
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
        """Store the results of each root field. Yield the ids of its items, which are answered now, and upload slots.

        Skip root fields that were refused as a whole. Their items follow in separate requests.
        """
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
