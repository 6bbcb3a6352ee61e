"""Webhooks (网络回调): an address of an office's own systems that is told when a record of the office changed.

What is told names the record and its state, never a person or a word of content: who wants more asks for it, signed in.
Sending is left to `api/notifications/webhook_worker.py`, where it may go to `api/notifications/outbound_http.py`.
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
"""In a row; then the webhook is switched off until an administrator switches it on again."""


@strawberry.enum(description="Whether a webhook is told (回调状态).")
class WebhookState(enum.Enum):
    ACTIVE = strawberry.enum_value("ACTIVE", description="It is told (启用).")
    DISABLED = strawberry.enum_value("DISABLED", description="It failed too often, and is told no more (已停用).")


@strawberry.enum(description="What a delivery tells of (记录类型).")
class DeliveryKind(enum.Enum):
    ASSIGNMENT = strawberry.enum_value("ASSIGNMENT", description="An assignment (交办).")
    CASE = strawberry.enum_value("CASE", description="A case (案件).")


@strawberry.enum(description="How far a delivery has come (投递状态).")
class DeliveryState(enum.Enum):
    WAITING = strawberry.enum_value("WAITING", description="To be sent, or sent again (待投递).")
    DELIVERED = strawberry.enum_value("DELIVERED", description="Answered with a status of 2xx (已送达).")
    GIVEN_UP = strawberry.enum_value("GIVEN_UP", description="Not delivered when the webhook was disabled (已放弃).")


@strawberry.type(description="An address that is told of changes (网络回调).")
class Webhook(Node, prefix="whk"):
    url: str = strawberry.field(description="Where it is told.")
    state: WebhookState = strawberry.field(description="Whether it is told.")
    registered_at: datetime = strawberry.field(description="Since when.")
    disabled_reason: str | None = strawberry.field(
        description="What the last failure was, once disabled.", default=None
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


@strawberry.type(description="One change that a webhook is told of (投递记录).")
class WebhookDelivery(Node, prefix="dlv"):
    kind: DeliveryKind = strawberry.field(description="Of what kind the record is.")
    record_id: strawberry.ID = strawberry.field(description="The record that changed.")
    record_state: str | None = strawberry.field(description="Its state when the change was heard of.")
    changed_at: datetime = strawberry.field(description="When it changed.")
    state: DeliveryState = strawberry.field(description="How far it has come.")
    attempts: int = strawberry.field(description="How often it was sent.", default=0)
    failure: str | None = strawberry.field(description="Why the last attempt failed.", default=None)
    delivered_at: datetime | None = strawberry.field(description="When it was answered.", default=None)
    webhook_id: strawberry.Private[str]
    due_at: strawberry.Private[datetime | None] = None


@strawberry.input(description="An address of one's office to tell of changes.")
class RegisterWebhookInput:
    id: strawberry.ID = strawberry.field(description="whk_ and a UUIDv7, made by the caller.")
    url: str = strawberry.field(description="https, at most 2,000 characters, of a public address.")


@strawberry.input(description="Which webhook.")
class WebhookInput:
    id: strawberry.ID = strawberry.field(description="The webhook.")


@strawberry.input(description="Which webhook gets a new secret.")
class RotateWebhookSecretInput:
    id: strawberry.ID = strawberry.field(description="The webhook.")
    rotation_id: strawberry.ID = strawberry.field(
        description="evt_ and a UUIDv7, made by the caller: asked again, it changes nothing."
    )


def check_url(url: str, *, plain: bool) -> str:
    """The host of an address that may be one. Raise `Refusal(BAD_INPUT)`; `plain` admits http besides https."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    schemes = {"https", "http"} if plain else {"https"}
    is_bare = parts.username is None and parts.password is None and not parts.fragment
    is_printable = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    if not (host and parts.scheme in schemes and is_bare and is_printable and port != 0 and len(url) <= MAX_URL_LENGTH):
        raise Refusal(RefusalCode.BAD_INPUT, "An https address without user name, password or fragment.", field="url")
    return host


def signature(secrets: Sequence[str], seconds: int, body: bytes) -> str:
    """`t=<unix seconds>,v1=<HMAC-SHA256 of "<t>.<body>", hex>`, with one `v1` for each secret that is good."""
    signed = str(seconds).encode() + b"." + body
    return ",".join([f"t={seconds}", *(f"v1={hmac.digest(each.encode(), signed, 'sha256').hex()}" for each in secrets)])


PERMITS: tuple[Row, ...] = (
    ("Query", ADMINS, "webhooks webhookDeliveries"),
    ("Mutation", ADMINS, "registerWebhook rotateWebhookSecret enableWebhook removeWebhook"),
    ("WebhookPayload", SEEN, "webhook secret"),
    ("WebhookRemoved", SEEN, "id"),
    ("Webhook", SEEN, "id url state registeredAt disabledReason"),
    ("WebhookDelivery", SEEN, "id kind recordId recordState changedAt state attempts failure deliveredAt"),
    *connection("WebhookDelivery"),
)
