"""Define webhooks (网络回调): URLs of an office's own systems that the server calls when a record of the office changes.

A delivery names the record and the record's state. A delivery contains no person and no content. To read more, the
receiver signs in.
"""

import enum
import hmac
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

import strawberry

from schema.access.permissions import ADMINS, SEEN, Row, connection
from schema.core.nodes import Node
from schema.core.refusals import Refusal, RefusalCode

MAX_URL_LENGTH = 2_000
MAX_PER_OFFICE = 5
MAX_FAILURES = 20
"""After this many failures in a row, a webhook is disabled until an administrator enables it again."""


@strawberry.enum(description="Whether the server calls a webhook (回调状态).")
class WebhookState(enum.Enum):
    ACTIVE = strawberry.enum_value("ACTIVE", description="The server calls the webhook (启用).")
    DISABLED = strawberry.enum_value(
        "DISABLED", description="The webhook failed too often. The server no longer calls the webhook (已停用)."
    )


@strawberry.enum(description="The kind of record that a delivery is about (记录类型).")
class DeliveryKind(enum.Enum):
    ASSIGNMENT = strawberry.enum_value("ASSIGNMENT", description="An assignment (交办).")
    CASE = strawberry.enum_value("CASE", description="A case (案件).")


@strawberry.enum(description="The state of a delivery (投递状态).")
class DeliveryState(enum.Enum):
    WAITING = strawberry.enum_value(
        "WAITING", description="The delivery waits for its first attempt or its next attempt (待投递)."
    )
    DELIVERED = strawberry.enum_value("DELIVERED", description="The receiver answered with a 2xx status (已送达).")
    GIVEN_UP = strawberry.enum_value(
        "GIVEN_UP", description="The webhook was disabled before the receiver accepted the delivery (已放弃)."
    )


@strawberry.type(
    description="A URL that the server calls when a case or an assignment of the office changes (网络回调)."
)
class Webhook(Node, prefix="whk"):
    url: str = strawberry.field(description="The URL that the server calls.")
    state: WebhookState = strawberry.field(description="Whether the server calls the webhook.")
    registered_at: datetime = strawberry.field(description="When the webhook was registered.")
    disabled_reason: str | None = strawberry.field(
        description="The failure that disabled the webhook. Null while the webhook is active.", default=None
    )
    office_id: strawberry.Private[str]
    office_path: strawberry.Private[str]
    secret: strawberry.Private[str]
    secret_id: strawberry.Private[str]
    previous_secret: strawberry.Private[str | None] = None
    previous_until: strawberry.Private[datetime | None] = None
    failures: strawberry.Private[int] = 0

    def __repr__(self) -> str:
        return f"Webhook(id={self.id!r})"  # a traceback must not carry a secret


@strawberry.type(description="One change that the server sends to a webhook (投递记录).")
class WebhookDelivery(Node, prefix="dlv"):
    kind: DeliveryKind = strawberry.field(description="Kind of the record that changed.")
    record_id: strawberry.ID = strawberry.field(description="Id of the record that changed.")
    record_state: str | None = strawberry.field(description="The record's state when the server noticed the change.")
    changed_at: datetime = strawberry.field(description="When the record changed.")
    state: DeliveryState = strawberry.field(description="State of the delivery.")
    attempts: int = strawberry.field(description="How many times the server has tried to send the delivery.", default=0)
    failure: str | None = strawberry.field(description="Why the last attempt failed.", default=None)
    delivered_at: datetime | None = strawberry.field(description="When the receiver answered with 2xx.", default=None)
    webhook_id: strawberry.Private[str]
    due_at: strawberry.Private[datetime | None] = None


@strawberry.input(
    description="A URL of your office's own system. The server calls this URL when a case or an assignment of your "
    "office changes."
)
class RegisterWebhookInput:
    id: strawberry.ID = strawberry.field(description="Id that the caller creates: `whk_` and a UUIDv7.")
    url: str = strawberry.field(description="An https URL of a public address, at most 2,000 characters.")


@strawberry.input(description="The webhook to enable or to remove.")
class WebhookInput:
    id: strawberry.ID = strawberry.field(description="Id of the webhook.")


@strawberry.input(description="The webhook that gets a new secret.")
class RotateWebhookSecretInput:
    id: strawberry.ID = strawberry.field(description="Id of the webhook.")
    rotation_id: strawberry.ID = strawberry.field(
        description="Id that the caller creates: `evt_` and a UUIDv7. A repeated call with the same id changes nothing."
    )


def check_url(url: str, *, plain: bool) -> str:
    """Return the host of a webhook URL. If `plain` is true, http is allowed as well as https.

    Raise `Refusal(BAD_INPUT)` if the URL is invalid.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    schemes = {"https", "http"} if plain else {"https"}
    is_bare = parts.username is None and parts.password is None and not parts.fragment
    is_printable = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    if not (host and parts.scheme in schemes and is_bare and is_printable and port != 0 and len(url) <= MAX_URL_LENGTH):
        raise Refusal(RefusalCode.BAD_INPUT, "Give an https URL without user name, password or fragment.", field="url")
    return host


def signature(secrets: Sequence[str], seconds: int, body: bytes) -> str:
    """Return the value of the signature header: `t=<unix seconds>,v1=<hex>`, with one `v1` for each of `secrets`.

    Each `v1` is the HMAC-SHA256 of `<t>.<body>` under one secret.
    """
    signed = str(seconds).encode() + b"." + body
    macs = (hmac.digest(secret.encode(), signed, "sha256").hex() for secret in secrets)
    return ",".join([f"t={seconds}", *(f"v1={mac}" for mac in macs)])


PERMITS: tuple[Row, ...] = (
    ("Query", ADMINS, "webhooks webhookDeliveries"),
    ("Mutation", ADMINS, "registerWebhook rotateWebhookSecret enableWebhook removeWebhook"),
    ("WebhookPayload", SEEN, "webhook secret"),
    ("WebhookRemoved", SEEN, "id"),
    ("Webhook", SEEN, "id url state registeredAt disabledReason"),
    ("WebhookDelivery", SEEN, "id kind recordId recordState changedAt state attempts failure deliveredAt"),
    *connection("WebhookDelivery"),
)
