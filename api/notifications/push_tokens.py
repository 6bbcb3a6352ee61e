"""Register and delete the push token of a device (推送令牌)."""

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
    strawberry.union("RegisterPushTokenResult", description="The registered device, or the reason for the refusal."),
]
ForgetPushTokenResult = Annotated[
    PushTokenForgotten | Refused,
    strawberry.union(
        "ForgetPushTokenResult", description="The device that gets no more pushes, or the reason for the refusal."
    ),
]


@strawberry.type
class PushTokenMutations:
    @mutation(
        description="Register the push token of this device (登记推送). The server then wakes the device by a push when"
        " there are changes to pull. A repeated call changes nothing."
    )
    async def register_push_token(self, info: Info, input: RegisterPushTokenInput) -> RegisterPushTokenResult:
        context, token = info.context, check_token(input)
        device_id = _own_device_id(context)
        service = str(input.service.value)
        user_id = context.actor.user_id
        registered_at = await context.store.push_tokens.register(user_id, device_id, service, token, context.now)
        return PushTokenRegistered(device_id=device_id, service=input.service, registered_at=registered_at)

    @mutation(
        description="Delete the push token of this device, so that it gets no more pushes (取消推送). Signing out does"
        " this too."
    )
    async def forget_push_token(self, info: Info) -> ForgetPushTokenResult:
        context = info.context
        device_id = _own_device_id(context)
        await context.store.push_tokens.delete(context.actor.user_id, [device_id])
        return PushTokenForgotten(device_id=device_id)


def _own_device_id(context: Context) -> strawberry.ID:
    if context.actor.device_id is None:
        raise Refusal(
            RefusalCode.FORBIDDEN,
            "You signed in through your identity provider, so this server does not know the device.",
        )
    return strawberry.ID(context.actor.device_id)


REGISTRATION = Registration(
    mutations=(PushTokenMutations,),
    permits=push_tokens.PERMITS,
)
