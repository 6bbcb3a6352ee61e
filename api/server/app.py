"""Create the application. Only this module connects settings, store, keys and routes. Tests use it, too."""

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime

import anyio
import httpx
from starlette.applications import Starlette
from starlette.requests import Request

from api.accounts.access_tokens import AccessTokens
from api.accounts.authentication import Authenticated, Authenticator
from api.accounts.oidc import ProviderTokens
from api.connections import open_store
from api.evidence.pack_download import PackEndpoint
from api.graphql.context import Context, clock
from api.graphql.trusted_documents import TrustedDocuments
from api.http.contract_level import HEADER, outdated_refusal, parse_level
from api.jobs.watchdog import LOOK_SECONDS, LoopTurns, driver_signs, watching
from api.notifications.event_dispatcher import EventDispatcher
from api.notifications.subscription_session import StreamQuota, SubscriptionService
from api.notifications.subscription_stream import SubscriptionStream
from api.server.bucket_setup import BucketSetup
from api.server.graphql_schema import build_schema
from api.server.health import Readiness, database, free_space, object_store, server_clock, signing_key, working_calendar
from api.server.routes import build_web_app
from api.server.services import open_services
from api.settings import SettingError, Settings
from api.telemetry.logs import configure_logging
from api.telemetry.metrics import Metrics
from mobile_contract.documents import trusted_documents
from mobile_contract.levels import Levels
from mobile_contract.proxies import open_client
from schema.access.viewers import Viewer
from schema.core.refusals import Refusal
from storage.store import Store


def create_app(settings: Settings, store: Store | None = None) -> Starlette:
    """Create the ASGI application.

    If no `store` is given, open the store that the settings name, and close it at shutdown. Raise `SettingError` if
    settings contradict each other.
    """
    configure_logging(settings.log_level)
    metrics = Metrics()
    used_store = store or open_store(settings, listeners=[metrics.mongo_listener()])
    services = open_services(used_store, settings)
    keys, evidence = services.keys, services.evidence
    client = open_client(timeout=5, follow_redirects=False)
    authenticator = Authenticator(
        used_store.users, AccessTokens(keys, settings.access_token_seconds), _provider(settings, client)
    )

    async def context_of(request: Request) -> Context:
        now = clock()
        viewer, denial = None, None
        level = parse_level(request.headers.get(HEADER))
        try:
            viewer = await authenticator.viewer_of(request.headers.get("authorization"), now)
        except Refusal as refusal:
            denial = refusal
        address = request.client.host if request.client else ""
        outdated = outdated_refusal(Levels.read(), level, now.date())
        return Context(services, viewer, denial, outdated, client_address=address, now=now)

    dispatcher = EventDispatcher(used_store.record_events)
    bucket_setup = BucketSetup(used_store.objects, settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        turns = LoopTurns(LOOK_SECONDS / 2)
        with watching(turns.signs, driver_signs):
            async with client, anyio.create_task_group() as tasks:
                for run in (turns.run, bucket_setup.run, dispatcher.run):
                    tasks.start_soon(run)
                yield
                dispatcher.stop()
                tasks.cancel_scope.cancel()
        if store is None:
            await used_store.close()

    probes = [
        database(used_store.mongo.command),
        object_store(used_store.objects.check_bucket),
        free_space(settings.free_space),
        signing_key(lambda: keys.signing),
        server_clock(used_store.database_clock),
        working_calendar(used_store.working_years.loaded, clock),
    ]
    schema = build_schema(settings)

    def context_of_viewer(viewer: Viewer, now: datetime) -> Context:
        return Context(services, viewer, now=now)

    def context_of_stream(
        admission: Authenticated, now: datetime, stream: SubscriptionStream, level: int | None
    ) -> Context:
        outdated = outdated_refusal(Levels.read(), level, now.date())
        return Context(services, admission.viewer, outdated=outdated, now=now, stream=stream)

    subscriptions = SubscriptionService(
        schema,
        TrustedDocuments(trusted_documents(), only=settings.trusted_documents_only),
        dispatcher,
        authenticator,
        StreamQuota(settings.push_streams_per_person, settings.push_streams_per_process),
        context_of_stream,
        heartbeat_seconds=settings.push_heartbeat_seconds,
        flat=not settings.introspection,
    )
    packs = PackEndpoint(schema._schema, keys.packs_secret, evidence, authenticator.reauthenticate, context_of_viewer)  # noqa: SLF001
    app = build_web_app(
        settings,
        schema,
        context_of,
        metrics=metrics,
        readiness=Readiness(probes, store=lambda: bucket_setup.findings),
        lifespan=lifespan,
        published={"jwks.json": keys.jwks, "evidence-keys.json": evidence.published},
        packs=packs,
        subscriptions=subscriptions,
    )
    app.state.stop_streams = subscriptions.stop
    return app


def _provider(settings: Settings, client: httpx.AsyncClient) -> ProviderTokens | None:
    """Return a verifier for the tokens of the identity provider that the settings name.

    Return None if the settings name no provider. With a provider, only its tokens are accepted. Raise `SettingError` if
    only some of the provider's settings are given.
    """
    provider = (settings.oidc_issuer, settings.oidc_audience, settings.oidc_jwks_url)
    if not any(provider):
        return None
    issuer, audience, jwks_url = provider
    if not (issuer and audience and jwks_url):
        raise SettingError(
            "Set all three of MINGCHA_OIDC_ISSUER, MINGCHA_OIDC_AUDIENCE and MINGCHA_OIDC_JWKS_URL, or none."
        )
    return ProviderTokens(
        issuer=issuer, audience=audience, jwks_url=jwks_url, subject_claim=settings.oidc_subject_claim, client=client
    )
