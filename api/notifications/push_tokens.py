"""Push tokens: a device says where it can be woken, and that it no longer wants to be (推送令牌).

Waking is left to `waking.py`, the calls themselves to `push_gateways.py`.
"""

from typing import Annotated

import strawberry

from api.graphql.context import Context, Info
from api.registration import Registration
from schema.access.guards import mutation
from schema.core.refusals import Refusal, RefusalCode, Refused
from schema.notifications import push_tokens
from schema.notifications.push_tokens import (
    PushTokenForgotten,
    PushTokenRegistered,
    RegisterPushTokenInput,
    check_token,
)

RegisterPushTokenResult = Annotated[
    PushTokenRegistered | Refused,
    strawberry.union("RegisterPushTokenResult", description="The device can be woken, or why not."),
]
ForgetPushTokenResult = Annotated[
    PushTokenForgotten | Refused,
    strawberry.union("ForgetPushTokenResult", description="The device is not woken any more, or why it still is."),
]


@strawberry.type
class PushTokenMutations:
    @mutation(
        description="Have this device woken when there is something to pull (登记推送). Once more changes nothing."
    )
    async def register_push_token(self, info: Info, input: RegisterPushTokenInput) -> RegisterPushTokenResult:
        context, token = info.context, check_token(input)
        device_id = _own_device_id(context)
        service = str(input.service.value)
        user_id = context.actor.user_id
        since = await context.store.push_tokens.register(user_id, device_id, service, token, context.now)
        return PushTokenRegistered(device_id=device_id, service=input.service, registered_at=since)

    @mutation(description="Have this device woken no more (取消推送). Signing out does so by itself.")
    async def forget_push_token(self, info: Info) -> ForgetPushTokenResult:
        context = info.context
        device_id = _own_device_id(context)
        await context.store.push_tokens.forget(context.actor.user_id, [device_id])
        return PushTokenForgotten(device_id=device_id)


def _own_device_id(context: Context) -> strawberry.ID:
    if context.actor.device_id is None:
        raise Refusal(RefusalCode.FORBIDDEN, "You signed in at your identity provider: this device is not known here.")
    return strawberry.ID(context.actor.device_id)


REGISTRATION = Registration(
    mutations=(PushTokenMutations,),
    permits=push_tokens.PERMITS,
)
