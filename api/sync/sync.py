"""Sync a phone: compare its clock, find gaps in its sequence numbers, and pull changes (同步).

The mutation `sync` submits nothing. A phone submits its items by other mutations, which it puts before `sync` in the
same document. Mutations run in the order of the document.
"""

from typing import Annotated

import strawberry

from api.accounts.device_clocks import record_clock
from api.graphql.context import Context, Info
from api.registration import Registration
from api.sync.changes import pull_or_refuse
from schema.access.guards import mutation
from schema.core.refusals import Refusal, RefusalCode, Refused
from schema.core.sequences import NO_SEQUENCES
from schema.core.times import MAX_SAFE_INTEGER
from schema.sync import sync
from schema.sync.sync import SequenceGap, SyncInput, SyncPayload, gaps

SyncResult = Annotated[
    SyncPayload | Refused,
    strawberry.union("SyncResult", description="The result of the sync, or the reason for the refusal."),
]


@strawberry.type
class SyncMutations:
    @mutation(
        description="Compare clocks, report gaps in the device's sequence numbers, and pull changes (同步). To submit"
        " and sync in one round trip, put this mutation last in the document, after the mutations that submit."
    )
    async def sync(self, info: Info, input: SyncInput) -> SyncResult:
        context, viewer = info.context, info.context.actor
        reading = await record_clock(context, input.device_clock, viewer.user_id, viewer.device_id)
        return SyncPayload(
            server_time=context.now,
            clock=reading,
            gaps=await _gaps(context, input.last_sequence),
            changes=await pull_or_refuse(context, input.since, input.kinds, input.first),
        )


async def _gaps(context: Context, last: int | None) -> list[SequenceGap]:
    """Return the sequence numbers up to `last` that are missing among the device's observations, as gaps.

    Only numbers that no earlier sync has found are looked for, so that a sync with nothing new looks for none.
    Raise `Refusal(BAD_INPUT)` if `last` is not a possible sequence number.
    """
    viewer = context.actor
    if last is None or viewer.device_id is None:
        return []
    if not 0 <= last <= MAX_SAFE_INTEGER:
        raise Refusal(RefusalCode.BAD_INPUT, "A device's sequence numbers start at 1.", field="lastSequence")
    known = viewer.sequences or NO_SEQUENCES
    unknown = known.unknown(last)
    if not unknown:
        return []
    found = await context.store.observations.sequences(viewer.user_id, viewer.device_id, unknown)
    missing = tuple(number for number in unknown if number not in found)
    if successor := known.successor(last, missing):
        await context.store.users.remember_sequences(viewer.user_id, viewer.device_id, successor)
    return gaps(missing)


REGISTRATION = Registration(
    mutations=(SyncMutations,),
    permits=sync.PERMITS,
)
