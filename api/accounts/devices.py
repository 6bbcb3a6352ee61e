"""Sign out devices (设备), and order devices to erase a person's data (远程清除)."""

from typing import Annotated

import strawberry

from api.graphql.context import Context, Info
from api.registration import Registration
from schema.access.guards import check_fresh_sign_in, mutation
from schema.accounts.sessions import RevokeDeviceInput, RevokeDevicePayload, WipeDevicesInput, WipeDevicesPayload
from schema.accounts.users import Device
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode, Refused
from storage.access.visibility import staff


async def revoke_device(context: Context, input: RevokeDeviceInput) -> RevokeDevicePayload:
    """Sign out one of the actor's own devices. Repeating this is safe.

    Raise `Refusal(NOT_FOUND)` for other devices, `Refusal(SIGN_IN_TOO_OLD)` if the device must erase its data and the
    actor has not just signed in.
    """
    device_id = validate_id(input.device_id, "dev", field="deviceId")
    if input.wipe:
        check_fresh_sign_in(context)
    return RevokeDevicePayload(device=await revoke(context, device_id, wipe=input.wipe))


async def wipe_devices(context: Context, input: WipeDevicesInput) -> WipeDevicesPayload:
    """Sign out every device of a person in scope, and order each device to erase its data. Repeating this is safe.

    Raise `Refusal(NOT_FOUND)` if the viewer may not see such a person.
    """
    user_id = validate_id(input.user_id, "usr", field="userId")
    user = await context.store.users.wipe_devices(
        user_id, staff(context.actor), context.now, wiped_by=context.actor.user_id
    )
    if user is None:
        raise Refusal(RefusalCode.NOT_FOUND, field="userId")
    with_sessions = await context.store.sessions.order_wipe(user.id, context.now, context.actor.user_id)
    ids = list({*with_sessions, *(device.id for device in user.devices)})
    await context.store.push_tokens.delete(user.id, ids)
    last_seen_at = max((device.seen_at for device in user.devices), default=None)
    return WipeDevicesPayload(user=user, devices=len(ids), last_seen_at=last_seen_at)


async def revoke(context: Context, device_id: str, *, wipe: bool = False) -> Device:
    """Sign out one of the actor's devices. With `wipe`, order the device to erase its data.

    Raise `Refusal(NOT_FOUND)` if the actor has no such device.
    """
    user_id = context.actor.user_id
    wiped_by = user_id if wipe else None
    device = await context.store.users.revoke_device(user_id, device_id, context.now, wiped_by=wiped_by)
    if device is None:
        raise Refusal(RefusalCode.NOT_FOUND, field="deviceId")
    if wipe:
        await context.store.sessions.order_wipe(user_id, context.now, user_id, device_id)
    else:
        await context.store.sessions.end(user_id, [device_id], context.now)
    await context.store.push_tokens.delete(user_id, [device_id])
    return device


RevokeDeviceResult = Annotated[
    RevokeDevicePayload | Refused,
    strawberry.union("RevokeDeviceResult", description="The signed-out device, or the refusal."),
]
WipeDevicesResult = Annotated[
    WipeDevicesPayload | Refused,
    strawberry.union(
        "WipeDevicesResult", description="The number of devices that must erase their data, or the refusal."
    ),
]


@strawberry.type
class DeviceMutations:
    @mutation(description="Sign out one of the viewer's own devices, such as a lost phone (注销设备).")
    async def revoke_device(self, info: Info, input: RevokeDeviceInput) -> RevokeDeviceResult:
        return await revoke_device(info.context, input)

    @mutation(
        description="Sign out every device of a person, and order each device to erase that person's data, such as after "
        "a phone is lost (远程清除). Unsent work on the devices is lost."
    )
    async def wipe_devices(self, info: Info, input: WipeDevicesInput) -> WipeDevicesResult:
        return await wipe_devices(info.context, input)


REGISTRATION = Registration(
    mutations=(DeviceMutations,),
)
