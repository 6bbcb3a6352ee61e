"""Submit drafts in batches, and store the server's receipts and refusals item by item."""

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from mobile_contract.levels import Levels
from mobile_contract.phone.errors import FOR_PEOPLE, ServerRefusedError
from mobile_contract.phone.network.client import Reply
from mobile_contract.phone.outbox.items import ObservationState, OutboxObservation
from mobile_contract.phone.outbox.outbox import Outbox
from mobile_contract.phone.upload.signed_put import Slot
from mobile_contract.phone.users.session import Account

MAX_DRAFTS = 50
MAX_BYTES = 180 * 1024
"""The limit of one request; servers accept at least 256 KiB."""
REFUSALS_OF_PERSON = frozenset({"FORBIDDEN", "OUT_OF_SCOPE"})
"""Refusals of a whole batch because of the person: the drafts wait for another account or role."""
_SIGNED_UP_TO = "receipts_signed_up_to"


class Submission:
    def __init__(self, outbox: Outbox, account: Account) -> None:
        self._outbox = outbox
        self._account = account

    async def run(self, *, excluding: Collection[str] = ()) -> dict[str, Slot]:
        """Submit everything that is queued except `excluding`, once; return slots by medium.

        Raise `UnreachableError`, `SignInNeededError` or `ServerRefusedError`.
        """
        slots: dict[str, Slot] = {}
        queued = [
            observation
            for observation in self._outbox.observations(ObservationState.QUEUED)
            if observation.id not in excluding
        ]
        for batch in split_batches(queued):
            slots |= await self._submit(batch)
        await self._ask_for_signatures()
        return slots

    async def _ask_for_signatures(self) -> None:
        """Send accepted drafts without a signature again: after an update of the app, they bring the same receipts, signed.

        Do this once for each level of the contract, so that a server without signatures isn't asked repeatedly.
        """
        level = str(Levels.read().current)
        if self._outbox.get_fact(_SIGNED_UP_TO) == level:
            return
        accepted = self._outbox.observations(ObservationState.ACCEPTED)
        try:
            for batch in split_batches(
                [observation for observation in accepted if not (observation.receipt or {}).get("signed")]
            ):
                await self._submit(batch)
        except ServerRefusedError:
            return  # this person must not submit any more; accepted drafts stay accepted
        self._outbox.set_fact(_SIGNED_UP_TO, level)

    async def _submit(self, batch: Sequence[OutboxObservation]) -> dict[str, Slot]:
        """Submit a batch. If all of it is refused, submit its halves, so that one bad draft doesn't hold up the others."""
        self._outbox.count_attempts([observation.id for observation in batch])
        try:
            reply = await self._account.ask(
                "SubmitObservations", {"input": {"drafts": [observation.draft for observation in batch]}}
            )
        except ServerRefusedError as refusal:
            if refusal.code in REFUSALS_OF_PERSON:
                raise
            if len(batch) == 1:
                self._outbox.record_answers({}, *_sort_refusal(batch[0].id, refusal))
                return {}
            middle = len(batch) // 2
            return await self._submit(batch[:middle]) | await self._submit(batch[middle:])
        return self.record_results(batch, reply.value, reply)

    def record_results(
        self, batch: Sequence[OutboxObservation], payload: dict[str, Any], reply: Reply
    ) -> dict[str, Slot]:
        """Store the results of a batch in one transaction, before anything that depends on a receipt."""
        results = {result["id"]: result for result in payload["results"]}
        receipts: dict[str, dict[str, Any]] = {}
        refusals: dict[str, ServerRefusedError] = {}
        troubles: dict[str, ServerRefusedError] = {}
        slots: dict[str, Slot] = {}
        for observation in batch:
            result = results.get(observation.id) or {}
            receipt = result.get("receipt")
            if (
                result.get("outcome") in {"ACCEPTED", "DUPLICATE"}
                and receipt
                and receipt["observationId"] == observation.id
            ):
                receipts[observation.id] = receipt
                slots |= {value["mediaId"]: Slot.read(value, reply) for value in result["uploads"]}
            else:
                aside, later = _sort_refusal(observation.id, ServerRefusedError.read(result.get("refusal") or {}))
                refusals |= aside
                troubles |= later
        self._outbox.record_answers(receipts, refusals, troubles)
        return slots


def _sort_refusal(
    id: str, refusal: ServerRefusedError
) -> tuple[dict[str, ServerRefusedError], dict[str, ServerRefusedError]]:
    """Sort a refusal: one that sets the item aside comes first, one to retry comes second."""
    return ({id: refusal}, {}) if refusal.next_step in FOR_PEOPLE else ({}, {id: refusal})


def split_batches(observations: Sequence[OutboxObservation]) -> Iterator[list[OutboxObservation]]:
    """Split observations into batches within the limits of a request. A larger one goes alone."""
    batch: list[OutboxObservation] = []
    size = 0
    for observation in observations:
        own = len(json.dumps(observation.draft, ensure_ascii=False).encode())
        if batch and (len(batch) == MAX_DRAFTS or size + own > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(observation)
        size += own
    if batch:
        yield batch
