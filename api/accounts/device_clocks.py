"""Record the time that a device's clock shows, and list these readings.

A phone may send its clock time with a sign-in, a session renewal, and a submission from its outbox.
"""

import strawberry

from api.graphql.context import Context, Info
from api.graphql.lists import paged
from api.registration import Registration
from schema.access.guards import query
from schema.access.viewers import Owner
from schema.accounts import device_clocks
from schema.accounts.device_clocks import ClockReading, DeviceClockInput, compare_clock
from schema.core.ids import validate_id
from schema.core.pagination import DEFAULT_PAGE, Connection, Page
from schema.core.refusals import Refusal, RefusalCode
from schema.fieldwork.observations import Observation
from storage.accounts.device_clocks import keyset_of


async def record_clock(
    context: Context, sent: DeviceClockInput | None, user_id: str, device_id: str | None
) -> ClockReading | None:
    """Compare the device's clock with the server's, store the reading, and return it. Return None if no time was sent.

    A person who signs in at an identity provider has no registered device. Then the reading is returned but not stored.
    """
    if sent is None:
        return None
    reading = compare_clock(sent, user_id=user_id, device_id=device_id or "", now=context.now)
    if device_id is not None:
        await context.store.clocks.add(reading)
    return reading


@strawberry.type
class ClockQueries:
    @query(
        description="Readings of a device's clock, latest first (时钟读数). Give either one of the viewer's own devices,"
        " or an observation. With an observation, these are the readings of the device that sent the observation. The"
        " viewer must be allowed to know the author of the observation."
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
            raise Refusal(RefusalCode.BAD_INPUT, "Name either a device or an observation.", field="deviceId")
        if observation_id is not None:
            user_id, device = await _sender_of(info, observation_id)
        else:
            user_id, device = info.context.actor.user_id, validate_id(device_id or "", "dev", field="deviceId")

        async def fetch(page: Page) -> list[ClockReading]:
            return await info.context.store.clocks.page(user_id, device, page) if device else []

        return await paged(info.context, ("clockReadings", device_id, observation_id), first, after, fetch, keyset_of)


async def _sender_of(info: Info, observation_id: str) -> tuple[str, str | None]:
    """Return author and device of an observation. Raise `Refusal(NOT_FOUND)` if the viewer may not know the author."""
    observation = await info.context.load.one(Observation, validate_id(observation_id, "obs", field="observationId"))
    if observation is None or not info.context.actor.knows(Owner(observation.author_id, observation.office_path)):
        raise Refusal(RefusalCode.NOT_FOUND, field="observationId")
    return observation.author_id, observation.device_id


REGISTRATION = Registration(
    queries=(ClockQueries,),
    permits=device_clocks.PERMITS,
)
