"""The application: the one place where settings, store, keys and routes are put together; tests use it too."""

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
from api.notifications.event_dispatcher import EventDispatcher
from api.notifications.subscription_session import StreamQuota, SubscriptionService
from api.notifications.subscription_stream import SubscriptionStream
from api.server.bucket_setup import BucketSetup
from api.server.graphql_schema import build_schema
from api.server.health import Readiness, database, free_space, object_store, signing_key
from api.server.routes import web_app
from api.server.services import open_services
from api.settings import SettingError, Settings
from api.telemetry.logs import configure_logging
from api.telemetry.metrics import Metrics
from mobile_contract.documents import trusted
from mobile_contract.levels import Levels
from schema.access.viewers import Viewer
from schema.core.refusals import Refusal
from storage.store import Store


def create_app(settings: Settings, store: Store | None = None) -> Starlette:
    """An ASGI application over `store`, or over one of its own as `settings` name it, which it closes at shutdown.

    Raises `SettingError` for settings that don't go together.
    """
    configure_logging(settings.log_level)
    metrics = Metrics()
    kept = store or open_store(settings, listeners=[metrics.mongo_listener()])
    services = open_services(kept, settings)
    keys, evidence = services.keys, services.evidence
    client = httpx.AsyncClient(timeout=5, follow_redirects=False)
    authenticator = Authenticator(
        kept.users, AccessTokens(keys, settings.access_token_seconds), _provider(settings, client)
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
        too_old = outdated_refusal(Levels.read(), level, now.date())
        return Context(services, viewer, denial, too_old, client_address=address, now=now)

    board = EventDispatcher(kept.notices)
    care = BucketSetup(kept.objects, settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with client, anyio.create_task_group() as tasks:
            tasks.start_soon(care.take)
            tasks.start_soon(board.run)
            yield
            board.stop()
            tasks.cancel_scope.cancel()
        if store is None:
            await kept.close()

    probes = [
        database(kept.mongo.command),
        object_store(kept.objects.reach),
        free_space(settings.data, needed=(settings.data / "engines").is_dir()),
        signing_key(lambda: keys.signing),
    ]
    schema = build_schema(settings)

    def context_for(viewer: Viewer, now: datetime) -> Context:
        return Context(services, viewer, now=now)

    def context_of_stream(
        admission: Authenticated, now: datetime, stream: SubscriptionStream, level: int | None
    ) -> Context:
        too_old = outdated_refusal(Levels.read(), level, now.date())
        return Context(services, admission.viewer, outdated=too_old, now=now, stream=stream)

    subscribing = SubscriptionService(
        schema,
        TrustedDocuments(trusted(), only=settings.trusted_documents_only),
        board,
        authenticator,
        StreamQuota(settings.push_streams_per_person, settings.push_streams_per_process),
        context_of_stream,
        heartbeat_seconds=settings.push_heartbeat_seconds,
        flat=not settings.introspection,
    )
    packs = PackEndpoint(schema._schema, keys.packs_secret, evidence, authenticator.reauthenticate, context_for)  # noqa: SLF001
    app = web_app(
        settings,
        schema,
        context_of,
        metrics=metrics,
        readiness=Readiness(probes, store=lambda: care.findings),
        lifespan=lifespan,
        published={"jwks.json": keys.jwks, "evidence-keys.json": evidence.published},
        packs=packs,
        subscribing=subscribing,
    )
    app.state.stop_streams = subscribing.stop
    return app


def _provider(settings: Settings, client: httpx.AsyncClient) -> ProviderTokens | None:
    """The identity provider whose tokens count instead of ours, where settings name one."""
    named = (settings.oidc_issuer, settings.oidc_audience, settings.oidc_jwks_url)
    if not any(named):
        return None
    issuer, audience, jwks_url = named
    if not (issuer and audience and jwks_url):
        raise SettingError(
            "MINGCHA_OIDC_ISSUER, MINGCHA_OIDC_AUDIENCE and MINGCHA_OIDC_JWKS_URL go together: set all three."
        )
    return ProviderTokens(
        issuer=issuer, audience=audience, jwks_url=jwks_url, subject_claim=settings.oidc_subject_claim, client=client
    )
