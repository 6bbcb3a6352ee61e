"""Run the background work of notifications."""

from api.graphql.context import clock
from api.jobs.job import EVERY_SECOND, Job, Resources, Run
from api.notifications.outbound_http import OutboundHttp, caller
from api.notifications.push_gateways import gateways, push_caller
from api.notifications.push_worker import EventWorker, PushWorker
from api.notifications.webhook_worker import WebhookWorker
from api.notifications.webhooks import rules_of


async def _hear(resources: Resources) -> Run:
    return EventWorker(resources.store, clock).run


async def _wake_phones(resources: Resources) -> Run:
    client = await resources.exits.enter_async_context(push_caller())
    return PushWorker(resources.store, gateways(resources.settings, client), clock).do_all


async def _deliver_webhooks(resources: Resources) -> Run:
    client = await resources.exits.enter_async_context(caller())
    return WebhookWorker(resources.store, OutboundHttp(rules_of(resources.settings), client), clock).do_all


JOBS = (
    Job("hear", EVERY_SECOND, _hear),
    Job("wake", EVERY_SECOND, _wake_phones),
    Job("tell", EVERY_SECOND, _deliver_webhooks),
)
