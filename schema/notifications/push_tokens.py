"""Define push tokens (推送令牌). With a token, a platform's push service can wake one device of one person.

A push message has no content, because anybody can read a lock screen. The message only says that there is something to
pull.
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


@strawberry.enum(description="The push service that wakes the device (推送服务).")
class PushService(enum.Enum):
    FCM = strawberry.enum_value("FCM", description="Firebase Cloud Messaging.")
    APNS = strawberry.enum_value("APNS", description="Apple Push Notification service.")


@strawberry.input(description="The push token of this device (推送令牌).")
class RegisterPushTokenInput:
    service: PushService = strawberry.field(description="The service that issued the token.")
    token: str = strawberry.field(
        description="The token that the service gave to the app. Send an APNs token in hexadecimal."
    )

    def __repr__(self) -> str:
        return "RegisterPushTokenInput(...)"


@strawberry.type(
    description="The token is registered: the server wakes this device when there is something to pull (已登记推送)."
)
class PushTokenRegistered:
    device_id: strawberry.ID = strawberry.field(description="Id of this device.")
    service: PushService = strawberry.field(description="The push service of the token.")
    registered_at: datetime = strawberry.field(description="When this token was registered.")


@strawberry.type(
    description="The token is deleted: the server no longer wakes this device for this person (已取消推送)."
)
class PushTokenForgotten:
    device_id: strawberry.ID = strawberry.field(description="Id of this device.")


def check_token(input: RegisterPushTokenInput) -> str:
    """Return the token in the form that is stored. For APNs this is lower case.

    Raise `Refusal(BAD_INPUT)` if the text can't be a token of the service.
    """
    pattern = _FCM if input.service is PushService.FCM else _APNS
    if len(input.token) > MAX_TOKEN_LENGTH or not pattern.fullmatch(input.token):
        raise Refusal(RefusalCode.BAD_INPUT, "This is not a token of that service.", field="token")
    return input.token.lower() if input.service is PushService.APNS else input.token


PERMITS: tuple[Row, ...] = (
    ("Mutation", SIGNED_IN, "registerPushToken forgetPushToken"),
    ("PushTokenForgotten", SEEN, "deviceId"),
    ("PushTokenRegistered", SEEN, "deviceId service registeredAt"),
)
