"""Upload each medium from the phone to the object store, in parts if it is large, then confirm it."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from mobile_contract.phone.errors import FOR_PEOPLE, RETRY_LATER, PhoneError, ServerRefusedError, UnreachableError
from mobile_contract.phone.outbox.items import Medium, MediumState, ObservationState
from mobile_contract.phone.outbox.outbox import Outbox
from mobile_contract.phone.storage.photo_copies import ByteRange, Originals, PhotoChangedError
from mobile_contract.phone.upload.bandwidth import CUTS
from mobile_contract.phone.upload.concurrency import UploadConcurrency
from mobile_contract.phone.upload.scheduling import next_batch
from mobile_contract.phone.upload.signed_put import ObjectStoreClient, SignedPart, SignedUrl, Slot, SlotRefusedError
from mobile_contract.phone.users.session import Account

GROUP = 20
"""The number of media to send between two confirmations."""
MAX_CONFIRMED = 50
MAX_DIGESTS = 1000
"""Maximum number of part digests in one request. A file with more parts is sent without digests."""


class Meter(Protocol):
    """Shows upload progress: sent bytes, and media that the server has confirmed."""

    def expect(self, media: Sequence[Medium]) -> None: ...

    def sent(self, medium: Medium, count: int) -> None: ...

    def confirmed(self, media: Sequence[Medium]) -> None: ...

    def pausing(self, fault: PhoneError | None, seconds: float) -> None: ...


class SilentMeter:
    """A meter that shows nothing."""

    def expect(self, media: Sequence[Medium]) -> None: ...

    def sent(self, medium: Medium, count: int) -> None: ...

    def confirmed(self, media: Sequence[Medium]) -> None: ...

    def pausing(self, fault: PhoneError | None, seconds: float) -> None: ...


class Uploader:
    def __init__(
        self,
        outbox: Outbox,
        originals: Originals,
        account: Account,
        store: ObjectStoreClient,
        concurrency: UploadConcurrency,
        meter: Meter,
        *,
        at_once: int,
    ) -> None:
        self._outbox = outbox
        self._originals = originals
        self._account = account
        self._store = store
        self._concurrency = concurrency
        self._meter = meter
        self._turns = asyncio.Semaphore(at_once)
        self._line_is_down = False

    async def confirm_interrupted(self, *, excluding: Collection[str] = ()) -> None:
        """Confirm the media whose upload was under way when the phone last ended. Their bytes may have arrived."""
        await self._confirm([medium for medium in self.interrupted() if medium.id not in excluding])

    def interrupted(self) -> list[Medium]:
        """List media whose bytes the object store may have, but which are not confirmed to the server."""
        return self._outbox.media(MediumState.SENDING, MediumState.SENT)

    async def run(self, slots: dict[str, Slot]) -> None:
        """Try to send each waiting medium once, and confirm the sent media.

        Afterwards, raise `UnreachableError` or `SignInNeededError` if one occurred.
        """
        accepted = {observation.id for observation in self._outbox.observations(ObservationState.ACCEPTED)}
        expected = [medium for medium in self._outbox.media() if medium.observation_id in accepted]
        self._meter.expect([medium for medium in expected if medium.state is MediumState.WAITING])
        self._line_is_down = False
        tried: set[str] = set()
        while batch := next_batch(expected, tried):
            tried |= {medium.id for medium in batch.first} | {medium.id for medium in batch.twins}
            # An older slot would make the phone send bytes that the server has by now, so twins request new slots.
            for media, known_slots in ((batch.first, slots), (batch.twins, {})):
                for start in range(0, len(media), GROUP):
                    await self._run_group(media[start : start + GROUP], known_slots)
            expected = [medium for medium in self._outbox.media() if medium.observation_id in accepted]

    async def _run_group(self, group: Sequence[Medium], slots: Mapping[str, Slot]) -> None:
        known = {id: slot for id, slot in slots.items() if slot.is_fresh or slot.whole is None}
        # Larger media request their slots one by one, when it is their turn: the part size depends on the bandwidth.
        together = [medium for medium in group if medium.byte_size <= CUTS[0] and not medium.parts]
        known |= await self._request_slots([medium for medium in together if medium.id not in known])
        waiting = {medium.id for medium in self._outbox.media(MediumState.WAITING)}
        group = [medium for medium in group if medium.id in waiting]
        outcomes = await asyncio.gather(
            *(self._send_or_record(medium, known.get(medium.id)) for medium in group), return_exceptions=True
        )
        self._concurrency.save()
        ids = {medium.id for medium in group}
        await self._confirm([medium for medium in self._outbox.media(MediumState.SENT) if medium.id in ids])
        for fault in outcomes:
            if isinstance(fault, BaseException):
                raise fault

    async def _request_slots(self, media: Sequence[Medium]) -> dict[str, Slot]:
        """Request slots. Media whose bytes are already in the store become CONFIRMED."""
        if not media:
            return {}
        requests = [{"mediaId": medium.id} for medium in media]
        reply = await self._account.ask("RequestUploads", {"input": {"media": requests}})
        results = reply.value["results"]
        arrived = {result["mediaId"] for result in results if result["hasArrived"]}
        self._record_confirmed([medium for medium in media if medium.id in arrived])
        return {result["mediaId"]: Slot.read(result["slot"], reply) for result in results if result["slot"]}

    async def _send_or_record(self, medium: Medium, slot: Slot | None) -> None:
        """Send one medium. If an error concerns only this medium, record it, so that the other media continue."""
        async with self._turns:
            if self._line_is_down:
                return
            try:
                await self._send(medium, slot)
            except PhotoChangedError as changed:
                why = ServerRefusedError("CHANGED_ON_PHONE", str(changed), changed.message_zh, "DISCARD")
                self._outbox.set_aside(medium.id, MediumState.BROKEN, why)
            except SlotRefusedError as refused:
                why = ServerRefusedError(
                    "STORE_REFUSED", f"The store refused it ({refused}).", "影像存储未接收。", RETRY_LATER
                )
                self._outbox.record_trouble(medium.id, why)
            except ServerRefusedError as refusal:
                if refusal.next_step in FOR_PEOPLE:
                    self._outbox.set_aside(medium.id, MediumState.REFUSED, refusal)
                else:
                    self._outbox.record_trouble(medium.id, refusal)
            except UnreachableError as fault:
                self._line_is_down = True
                self._outbox.record_trouble(
                    medium.id, ServerRefusedError("UNREACHABLE", fault.message, fault.message_zh, RETRY_LATER)
                )
                raise

    async def _send(self, medium: Medium, slot: Slot | None) -> None:
        """Send until the store has all bytes. Renew an expired slot.

        If the store refuses twice and no part arrives in between, raise `SlotRefusedError`.
        """
        digests = await self._verify_copy(medium)
        # Choose the part size once: with a new size for each new estimate, an upload would never begin.
        cut = None if medium.parts_arrived else self._concurrency.part_bytes(medium.byte_size)
        refused_at = -1
        while True:
            if slot is None or not (slot.whole or slot.parts):
                slot = await self._request_slot(medium, digests, cut)
            if slot is None:
                self._record_confirmed([medium])
                return
            if slot.parts and slot.spans != self._outbox.spans(medium.id):
                self._outbox.set_parts(medium.id, slot.spans)
                digests = await self._verify_copy(medium)
                slot = None
                continue
            self._outbox.mark_sending(medium.id)
            try:
                if await self._put(medium, slot):
                    self._outbox.mark_sent(medium.id)
                    return
            except SlotRefusedError:
                # Either the signature has expired, or the copy was changed meanwhile. Its digest shows which.
                await self._verify_copy(medium)
                arrived = self._count_arrived(medium)
                if arrived == refused_at:
                    raise
                refused_at = arrived
            slot = None

    async def _verify_copy(self, medium: Medium) -> dict[int, str]:
        """Verify the phone's copy.

        If the server has split the upload, return the SHA-256 of each part, keyed by number.

        Raise `PhotoChangedError` if the copy is missing or changed.
        """
        spans = self._outbox.spans(medium.id)
        return await asyncio.to_thread(self._originals.verify, medium.file, medium.sha256, spans)

    async def _request_slot(self, medium: Medium, digests: Mapping[int, str], cut: int | None) -> Slot | None:
        """Request a new slot. Return None if the store has the bytes already. Raise `ServerRefusedError`.

        `cut` is the part size that the phone asks for. It is None if a part has arrived already.
        """
        parts = [{"number": number, "sha256": digest} for number, digest in digests.items()]
        request = {"mediaId": medium.id, "parts": parts if len(parts) <= MAX_DIGESTS else [], "partBytes": cut}
        reply = await self._account.ask("RequestUploads", {"input": {"media": [request]}})
        [result] = reply.value["results"]
        if result["refusal"]:
            raise ServerRefusedError.read(result["refusal"])
        return None if result["hasArrived"] else Slot.read(result["slot"], reply)

    async def _put(self, medium: Medium, slot: Slot) -> bool:
        """PUT the bytes that the store lacks. Return False if the slot expired before all parts were sent."""
        if slot.whole is not None:
            async with self._concurrency.acquire():
                await self._put_span(medium, slot.whole, ByteRange(1, 0, medium.byte_size))
            return True
        arrived = [part.span for part in slot.parts if part.has_arrived]
        self._outbox.mark_arrived(medium.id, [span.number for span in arrived], alone=True)
        self._meter.sent(medium, sum(span.byte_size for span in arrived))
        left = [part for part in slot.parts if not part.has_arrived]
        failed = asyncio.Event()
        puts = (self._put_part(medium, part, slot, failed, is_first=part is left[0]) for part in left)
        outcomes = await asyncio.gather(*puts, return_exceptions=True)
        if all(outcome is True for outcome in outcomes):
            return True
        arrived += [part.span for part, outcome in zip(left, outcomes, strict=True) if outcome is True]
        self._meter.sent(medium, -sum(span.byte_size for span in arrived))
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return False

    async def _put_part(
        self, medium: Medium, part: SignedPart, slot: Slot, failed: asyncio.Event, *, is_first: bool
    ) -> bool:
        """PUT one part, unless another part has failed or the slot has expired. Return whether the store has the part.

        The first part is tried even if the slot has expired.
        """
        async with self._concurrency.acquire():
            if failed.is_set() or not (is_first or slot.is_fresh):
                return False
            try:
                await self._put_span(medium, part.target, part.span)
            except (SlotRefusedError, UnreachableError):
                failed.set()
                raise
            self._outbox.mark_arrived(medium.id, [part.span.number])
            self._concurrency.save()
            return True

    async def _put_span(self, medium: Medium, target: SignedUrl, span: ByteRange) -> None:
        chunks = partial(self._originals.read, medium.file, span.start, span.byte_size)
        await self._store.put(target, chunks, partial(self._meter.sent, medium))

    def _count_arrived(self, medium: Medium) -> int:
        return next(stored.parts_arrived for stored in self._outbox.media() if stored.id == medium.id)

    async def _confirm(self, media: Sequence[Medium]) -> None:
        for first in range(0, len(media), MAX_CONFIRMED):
            asked = media[first : first + MAX_CONFIRMED]
            reply = await self._account.ask("ConfirmMedia", {"input": {"mediaIds": [medium.id for medium in asked]}})
            self.record_results(asked, reply.value)

    def record_results(self, media: Sequence[Medium], payload: dict[str, Any]) -> None:
        """Record the server's answer for each medium of a confirmation."""
        asked = {medium.id: medium for medium in media}
        there, missing = [], []
        for result in payload["results"]:
            id, refusal = result["mediaId"], result["refusal"] and ServerRefusedError.read(result["refusal"])
            if refusal and refusal.next_step in FOR_PEOPLE:
                self._outbox.set_aside(id, MediumState.REFUSED, refusal)
            elif refusal and refusal.code != "NOT_ARRIVED":
                self._outbox.record_trouble(id, refusal)
            elif refusal:
                missing.append(id)
            else:
                there.append(asked[id])
        self._outbox.mark_missing(missing)
        self._record_confirmed(there)

    def _record_confirmed(self, media: Sequence[Medium]) -> None:
        self._outbox.mark_confirmed([medium.id for medium in media])
        self._meter.confirmed(media)
