"""Deliver the outbox in repeated passes, until the server has verified everything."""

import asyncio
import time
from collections.abc import Sequence

from mobile_contract.phone.errors import (
    RETRY_LATER,
    PhoneError,
    ServerRefusedError,
    SignInNeededError,
    UnreachableError,
)
from mobile_contract.phone.network.backoff import Backoff
from mobile_contract.phone.outbox.items import MediumState
from mobile_contract.phone.outbox.outbox import Outbox
from mobile_contract.phone.sync.assignment_responses import AnswerSubmission
from mobile_contract.phone.sync.queued_operations import OperationQueue, OperationState
from mobile_contract.phone.sync.sync_request import SyncRequest
from mobile_contract.phone.upload.uploader import Meter, Uploader
from mobile_contract.phone.users.session import Account

MAX_REJECTIONS = 3
LOOK_SECONDS = 1.0
LOOK_EACH_SECONDS, LONGEST_LOOK_SECONDS = 0.02, 15.0
"""Before a check, the phone waits LOOK_EACH_SECONDS per unverified medium, at most LONGEST_LOOK_SECONDS.

No server verifies faster, and each check fetches the whole list of media.
"""


class UnverifiedError(PhoneError):
    """The server has everything, but has not verified all of it yet."""

    exit_code = 3

    def __init__(self, count: int) -> None:
        super().__init__(
            f"The server has everything, but has not verified {count} media yet. Check again later.",
            f"内容已全部送达，还有 {count} 个影像等待服务器核验，请稍后查看。",
        )


class Delivery:
    def __init__(
        self,
        outbox: Outbox,
        queues: Sequence[OperationQueue],
        account: Account,
        sync_request: SyncRequest,
        answers: AnswerSubmission,
        uploads: Uploader,
        meter: Meter,
        backoff: Backoff,
    ) -> None:
        self._outbox = outbox
        self._queues = queues
        self._account = account
        self._sync_request = sync_request
        self._answers = answers
        self._uploads = uploads
        self._meter = meter
        self._backoff = backoff

    async def run_once(self) -> None:
        """Send everything that can be sent now. Raise a `PhoneError` if an error stops everything.

        If the server only refuses to send changes (the pull), finish everything else, then raise the refusal.
        """
        self._account.require()
        slots, refusal = await self._sync_request.hand_in()
        await self._uploads.run(slots)
        await self._answers.resolve_held()
        await self.check_media()
        if refusal:
            raise refusal

    async def check_media(self) -> None:
        """Ask for the state of media that are confirmed but not verified."""
        awaited = {medium.id: medium for medium in self._outbox.media(MediumState.CONFIRMED)}
        after: str | None = None
        while awaited:
            reply = await self._account.ask("MyMedia", {"first": 100, "after": after})
            checked = [
                (item, awaited.pop(item["id"]))
                for node in reply.items()
                for item in node["content"]["media"]
                if item["id"] in awaited
            ]
            self._outbox.mark_ready([item["id"] for item, _ in checked if item["state"] == "READY"])
            self._outbox.mark_missing([item["id"] for item, _ in checked if item["state"] == "EXPECTED"])
            for item, medium in checked:
                if item["state"] == "REJECTED":
                    self._retry_or_refuse(medium.id, medium.rejections, item["rejection"])
            after = reply.next_page
            if after is None:
                return

    def _retry_or_refuse(self, id: str, before: int, why: str) -> None:
        if before < MAX_REJECTIONS:
            self._outbox.mark_rejected(id)
            return
        refusal = ServerRefusedError(
            why,
            f"The server received other bytes than announced, {before + 1} times. The copy on the phone is correct.",
            f"服务器收到的文件与申报不符，已重传 {before} 次；手机中的文件是正确的。",
            "DISCARD",
        )
        self._outbox.set_aside(id, MediumState.REFUSED, refusal)

    async def until_verified(self, seconds: float) -> None:
        """Wait until the server has verified the confirmed media. Send rejected media again. Stop after `seconds`."""
        deadline = time.monotonic() + seconds
        pause = LOOK_SECONDS / 5
        while self._outbox.media(MediumState.CONFIRMED) and time.monotonic() < deadline:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LOOK_SECONDS)
            await self.check_media()
            if any(observation.is_undelivered for observation in self._outbox.observations()):
                await self.run_once()

    async def until_through(self, seconds: float) -> None:
        """Repeat passes until nothing is left to send or verify. Pauses grow while nothing changes.

        Stop after `seconds`. Then raise the last `PhoneError`, or `UnverifiedError` if media are not verified yet.
        """
        deadline = time.monotonic() + seconds
        unchanged = 0
        while True:
            before = self._snapshot()
            fault = await self._try_once()
            observations = self._outbox.observations()
            queued = any(queue.all(OperationState.QUEUED) for queue in self._queues)
            if not queued and not any(observation.is_moving for observation in observations):
                return
            unchanged = unchanged + 1 if self._snapshot() == before else 1
            asked = fault.seconds if isinstance(fault, UnreachableError) else None
            pause = self._backoff.wait(unchanged, asked=asked)
            if fault is None and not queued and not any(observation.is_undelivered for observation in observations):
                awaited = len(self._outbox.media(MediumState.CONFIRMED))
                pause = max(min(pause, LOOK_SECONDS), min(awaited * LOOK_EACH_SECONDS, LONGEST_LOOK_SECONDS))
            if time.monotonic() + pause > deadline:
                if unverified := self._outbox.media(MediumState.CONFIRMED):
                    fault = fault or UnverifiedError(len(unverified))
                if fault is not None:
                    raise fault
                return
            self._meter.pausing(fault, pause)
            await asyncio.sleep(pause)

    async def _try_once(self) -> PhoneError | None:
        """Run one pass. Return an error if a retry can help, and raise any other error."""
        try:
            await self.run_once()
        except SignInNeededError:
            raise
        except UnreachableError as fault:
            return fault
        except ServerRefusedError as refusal:
            if refusal.next_step != RETRY_LATER:
                raise
            return refusal
        return None

    def _snapshot(self) -> list[object]:
        observations = self._outbox.observations()
        media = [
            (observation.state, [(one.state, one.parts_arrived) for one in observation.media])
            for observation in observations
        ]
        return [media, [operation.state for queue in self._queues for operation in queue.all()]]
