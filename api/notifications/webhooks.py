"""Let administrators manage the webhooks of their office (网络回调)."""

import secrets
from datetime import timedelta
from typing import Annotated

import strawberry

from api.graphql.context import Context, Info
from api.graphql.lists import paged
from api.graphql.nodes import RecordKind, first_or_none
from api.notifications.outbound_http import OutboundHttp, Rules, UnreachableAddressError, ascii_url, outbound_client
from api.registration import Registration
from api.settings import Settings
from schema.access.guards import mutation, query
from schema.core.ids import validate_id
from schema.core.pagination import DEFAULT_PAGE, Connection
from schema.core.refusals import Refusal, RefusalCode, Refused
from schema.notifications import webhooks
from schema.notifications.webhooks import (
    MAX_PER_OFFICE,
    RegisterWebhookInput,
    RotateWebhookSecretInput,
    Webhook,
    WebhookDelivery,
    WebhookInput,
    WebhookState,
)
from storage.mongodb.errors import DuplicateError
from storage.mongodb.filters import within
from storage.notifications.webhooks import keyset_of

OVERLAP = timedelta(hours=24)
"""How long calls are also signed with the previous secret, so that the receiver can switch to the new secret."""


@strawberry.type(description="The webhook as it is now.")
class WebhookPayload:
    webhook: Webhook = strawberry.field(description="The webhook.")
    secret: str | None = strawberry.field(
        description="The secret that signs the webhook's calls. It is shown only once. A repeated call returns null"
        " (签名密钥).",
        default=None,
    )


@strawberry.type(description="The webhook that was removed together with all its deliveries.")
class WebhookRemoved:
    id: strawberry.ID = strawberry.field(description="The removed webhook.")


WebhookResult = Annotated[
    WebhookPayload | Refused,
    strawberry.union("WebhookResult", description="The webhook as it is now, or the reason for the refusal."),
]
RemoveWebhookResult = Annotated[
    WebhookRemoved | Refused,
    strawberry.union("RemoveWebhookResult", description="The removed webhook, or the reason for the refusal."),
]


def rules_of(settings: Settings) -> Rules:
    return Rules(loopback=settings.webhook_allow_loopback, private=settings.webhook_allow_private)


@strawberry.type
class WebhookQueries:
    @query(description="The webhooks of offices in your scope, oldest first (网络回调).")
    async def webhooks(self, info: Info) -> list[Webhook]:
        return await info.context.store.webhooks.all(within("office_path", info.context.actor.scopes))

    @query(
        description="The deliveries of a webhook in the last 30 days, sorted by time of the change, newest first"
        " (投递记录)."
    )
    async def webhook_deliveries(
        self, info: Info, id: strawberry.ID, first: int = DEFAULT_PAGE, after: str | None = None
    ) -> Connection[WebhookDelivery]:
        webhook = await _find_visible(info.context, id)
        binding, store = ("webhookDeliveries", webhook.id), info.context.store.webhooks
        return await paged(info.context, binding, first, after, lambda page: store.page(webhook.id, page), keyset_of)


@strawberry.type
class WebhookMutations:
    @mutation(
        description="Register a webhook: a URL that the server calls after every change of a case or assignment of your"
        " office (登记回调)."
    )
    async def register_webhook(self, info: Info, input: RegisterWebhookInput) -> WebhookResult:
        return await register(info.context, input)

    @mutation(
        description="Replace the secret that signs a webhook's calls. For 24 hours, calls are also signed with the"
        " previous secret (更换密钥)."
    )
    async def rotate_webhook_secret(self, info: Info, input: RotateWebhookSecretInput) -> WebhookResult:
        return await rotate(info.context, input)

    @mutation(
        description="Enable a disabled webhook again. It gets the changes from now on, not those that it missed (重新启用)."
    )
    async def enable_webhook(self, info: Info, input: WebhookInput) -> WebhookResult:
        id = validate_id(input.id, "whk", field="id")
        scopes = within("office_path", info.context.actor.scopes)
        webhook = await info.context.store.webhooks.enable(id, scopes)
        if webhook is None:
            raise Refusal(RefusalCode.NOT_FOUND, field="id")
        return WebhookPayload(webhook=webhook)

    @mutation(description="Remove a webhook. A repeated call succeeds too (删除回调).")
    async def remove_webhook(self, info: Info, input: WebhookInput) -> RemoveWebhookResult:
        id = validate_id(input.id, "whk", field="id")
        await info.context.store.webhooks.delete(id, within("office_path", info.context.actor.scopes))
        return WebhookRemoved(id=strawberry.ID(id))


async def register(context: Context, input: RegisterWebhookInput) -> WebhookPayload:
    """Register a webhook for the viewer's office. A repeated request returns the webhook without its secret.

    Raise `Refusal(BAD_ID | BAD_INPUT | CONFLICT | FORBIDDEN | LIMIT_EXCEEDED)`.
    """
    id, viewer = validate_id(input.id, "whk", field="id"), context.actor
    if viewer.office_id is None or viewer.office_path is None:
        raise Refusal(RefusalCode.FORBIDDEN, "You do not work for an office.")
    url = ascii_url(input.url)
    if known := await context.store.webhooks.many([id]):
        return _answer_repeat(known[0], url, viewer.office_id)
    async with outbound_client() as client:
        try:
            await OutboundHttp(rules_of(context.settings), client).check(url)
        except UnreachableAddressError as error:
            raise Refusal(RefusalCode.BAD_INPUT, str(error), field="url") from None
    if len(await context.store.webhooks.all({"office_path": viewer.office_path})) >= MAX_PER_OFFICE:
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, f"At most {MAX_PER_OFFICE} webhooks of one office.")
    secret = secrets.token_urlsafe(32)
    webhook = Webhook(
        id=strawberry.ID(id),
        url=url,
        state=WebhookState.ACTIVE,
        registered_at=context.now,
        office_id=viewer.office_id,
        office_path=viewer.office_path,
        secret=secret,
        secret_id=id,
    )
    try:
        await context.store.webhooks.register(webhook)
    except DuplicateError:
        return _answer_repeat((await context.store.webhooks.many([id]))[0], url, viewer.office_id)
    return WebhookPayload(webhook=webhook, secret=secret)


async def rotate(context: Context, input: RotateWebhookSecretInput) -> WebhookPayload:
    """Replace the webhook's secret. A repeated request returns the webhook without its secret.

    Raise `Refusal(BAD_ID | NOT_FOUND)`.
    """
    webhook = await _find_visible(context, input.id)
    rotation_id = validate_id(input.rotation_id, "evt", field="rotationId")
    secret, scopes = secrets.token_urlsafe(32), within("office_path", context.actor.scopes)
    until = context.now + OVERLAP
    rotated = await context.store.webhooks.rotate(webhook.id, scopes, secret, rotation_id, until)
    return WebhookPayload(webhook=rotated, secret=secret) if rotated else WebhookPayload(webhook=webhook)


def _answer_repeat(known: Webhook, url: str, office_id: str) -> WebhookPayload:
    if known.url != url or known.office_id != office_id:
        raise Refusal(RefusalCode.CONFLICT, "This id already stands for another webhook.", field="id")
    return WebhookPayload(webhook=known)


async def _find_visible(context: Context, id: str) -> Webhook:
    webhook = await _find(context, validate_id(id, "whk", field="id"))
    if webhook is None:
        raise Refusal(RefusalCode.NOT_FOUND, field="id")
    return webhook


async def _find(context: Context, id: str) -> Webhook | None:
    return first_or_none(await context.store.webhooks.many([id], within("office_path", context.actor.scopes)))


REGISTRATION = Registration(
    queries=(WebhookQueries,),
    mutations=(WebhookMutations,),
    kinds=(RecordKind("whk", _find, "Query.webhooks"),),
    permits=webhooks.PERMITS,
)
