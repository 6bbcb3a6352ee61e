"""Submit drafts of observations in batches, and store the server's receipt or refusal of each draft."""

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
"""Maximum size of all drafts in one request. Servers accept requests of at least 256 KiB."""
REFUSALS_OF_PERSON = frozenset({"FORBIDDEN", "OUT_OF_SCOPE"})
"""Codes of refusals of a whole batch because this person may not submit it.

The drafts stay queued until another account or role can submit them.
"""
_SIGNED_UP_TO = "receipts_signed_up_to"


class Submission:
    def __init__(self, outbox: Outbox, account: Account) -> None:
        self._outbox = outbox
        self._account = account

    async def run(self, *, excluding: Collection[str] = ()) -> dict[str, Slot]:
        """Submit each queued observation once, except the ids in `excluding`. Return upload slots by medium id.

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
        """Submit accepted drafts again if their receipts are unsigned. The server then returns signed receipts.

        Receipts can be unsigned if an older version of the app stored them.
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
        """Submit a batch. If the server refuses the whole batch, submit its halves.

        So one bad draft doesn't block the others.
        """
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
        """Store the results of a batch in one transaction, and return upload slots by medium id.

        Call this before anything that depends on a receipt.
        """
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
    """Return two mappings, one of which contains the refusal, keyed by id.

    The refusal is in the first mapping if a person must look at it, and in the second if the phone tries again.
    """
    return ({id: refusal}, {}) if refusal.next_step in FOR_PEOPLE else ({}, {id: refusal})


def split_batches(observations: Sequence[OutboxObservation]) -> Iterator[list[OutboxObservation]]:
    """Split observations into batches within the limits of a request. An observation that is too large goes alone."""
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
