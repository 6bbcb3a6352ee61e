"""Run the background work of notifications."""

from api.graphql.context import clock
from api.jobs.job import EVERY_SECOND, Job, Resources, Run
from api.notifications.outbound_http import OutboundHttp, outbound_client
from api.notifications.push_gateways import build_gateways, push_client
from api.notifications.push_worker import EventWorker, PushWorker
from api.notifications.webhook_worker import WebhookWorker
from api.notifications.webhooks import rules_of


async def _follow_events(resources: Resources) -> Run:
    return EventWorker(resources.store, clock).run


async def _wake_phones(resources: Resources) -> Run:
    client = await resources.exits.enter_async_context(push_client())
    return PushWorker(resources.store, build_gateways(resources.settings, client), clock).do_all


async def _deliver_webhooks(resources: Resources) -> Run:
    client = await resources.exits.enter_async_context(outbound_client())
    return WebhookWorker(resources.store, OutboundHttp(rules_of(resources.settings), client), clock).do_all


JOBS = (
    Job("hear", EVERY_SECOND, _follow_events),
    Job("wake", EVERY_SECOND, _wake_phones),
    Job("tell", EVERY_SECOND, _deliver_webhooks),
)
