"""Push tokens (推送令牌): the address under which a platform's push service wakes one device of one person.

A push carries no content: a lock screen shows it to whoever looks. It only says that there is something to pull.
"""

import enum
import re
from datetime import datetime

import strawberry

from schema.access.permissions import SEEN, SIGNED_IN, Row
from schema.core.refusals import Refusal, RefusalCode

MAX_TOKEN_LENGTH = 4096
_FCM = re.compile(r"[A-Za-z0-9_:%.-]+")
_APNS = re.compile(r"[0-9a-fA-F]{8,200}")


@strawberry.enum(description="Whose push service wakes the device (推送服务).")
class PushService(enum.Enum):
    FCM = strawberry.enum_value("FCM", description="Firebase Cloud Messaging.")
    APNS = strawberry.enum_value("APNS", description="Apple Push Notification service.")


@strawberry.input(description="Where this device can be woken.")
class RegisterPushTokenInput:
    service: PushService = strawberry.field(description="Who gave the token out.")
    token: str = strawberry.field(description="As the service gave it to the app; APNs's in hexadecimal.")

    def __repr__(self) -> str:
        return "RegisterPushTokenInput(...)"


@strawberry.type(description="This device is woken when there is something to pull (已登记推送).")
class PushTokenRegistered:
    device_id: strawberry.ID = strawberry.field(description="The device that asked.")
    service: PushService = strawberry.field(description="By whose service.")
    registered_at: datetime = strawberry.field(description="Since when under this token.")


@strawberry.type(description="This device is no longer woken for this person (已取消推送).")
class PushTokenForgotten:
    device_id: strawberry.ID = strawberry.field(description="The device that asked.")


def check_token(input: RegisterPushTokenInput) -> str:
    """The token as it is kept. Raise `Refusal(BAD_INPUT)` for what can't be one."""
    shape = _FCM if input.service is PushService.FCM else _APNS
    if len(input.token) > MAX_TOKEN_LENGTH or not shape.fullmatch(input.token):
        raise Refusal(RefusalCode.BAD_INPUT, "This is no token of that service.", field="token")
    return input.token.lower() if input.service is PushService.APNS else input.token


PERMITS: tuple[Row, ...] = (
    ("Mutation", SIGNED_IN, "registerPushToken forgetPushToken"),
    ("PushTokenForgotten", SEEN, "deviceId"),
    ("PushTokenRegistered", SEEN, "deviceId service registeredAt"),
)
