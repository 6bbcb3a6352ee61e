"""Clocks of devices: read with every sign-in, renewal and submission that says them, and shown to whoever may know.

What a reading is, is in `schema/accounts/device_clocks.py`; which time is shown because of it, in `schema/media/shown_times.py`.
"""

import strawberry

from api.graphql.context import Context, Info
from api.graphql.lists import paged
from api.registration import Registration
from schema.access.guards import query
from schema.access.viewers import Owner
from schema.accounts import device_clocks
from schema.accounts.device_clocks import ClockReading, DeviceClockInput, compared
from schema.core.ids import validate_id
from schema.core.pagination import DEFAULT_PAGE, Connection, Page
from schema.core.refusals import Refusal, RefusalCode
from schema.fieldwork.observations import Observation
from storage.accounts.device_clocks import keyset_of


async def read_clock(
    context: Context, sent: DeviceClockInput | None, user_id: str, device_id: str | None
) -> ClockReading | None:
    """Compare the device's clock and keep the reading; None where the device said nothing.

    Whoever signs in at an identity provider has no device of ours: the reading then counts for this request alone.
    """
    if sent is None:
        return None
    reading = compared(sent, user_id=user_id, device_id=device_id or "", now=context.now)
    if device_id is not None:
        await context.store.clocks.add(reading)
    return reading


@strawberry.type
class ClockQueries:
    @query(
        description="Readings of the clock of one of one's own devices, or of the device that an observation came from,"
        " where one may know its author; latest first (时钟读数). Name one of the two."
    )
    async def clock_readings(
        self,
        info: Info,
        device_id: strawberry.ID | None = None,
        observation_id: strawberry.ID | None = None,
        first: int = DEFAULT_PAGE,
        after: str | None = None,
    ) -> Connection[ClockReading]:
        if (device_id is None) == (observation_id is None):
            raise Refusal(RefusalCode.BAD_INPUT, "Name a device or an observation, one of the two.", field="deviceId")
        if observation_id is not None:
            user_id, device = await _sender(info, observation_id)
        else:
            user_id, device = info.context.actor.user_id, validate_id(device_id or "", "dev", field="deviceId")

        async def fetch(page: Page) -> list[ClockReading]:
            return await info.context.store.clocks.page(user_id, device, page) if device else []

        return await paged(info.context, ("clockReadings", device_id, observation_id), first, after, fetch, keyset_of)


async def _sender(info: Info, observation_id: str) -> tuple[str, str | None]:
    """Author and device of an observation; raises `Refusal(NOT_FOUND)` where the viewer may not know them."""
    observation = await info.context.load.one(Observation, validate_id(observation_id, "obs", field="observationId"))
    if observation is None or not info.context.actor.knows(Owner(observation.author_id, observation.office_path)):
        raise Refusal(RefusalCode.NOT_FOUND, field="observationId")
    return observation.author_id, observation.device_id


REGISTRATION = Registration(
    queries=(ClockQueries,),
    permits=device_clocks.PERMITS,
)
