"""Build the HTTP application around one GraphQL schema: its routes and its middleware."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import strawberry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp

from api.evidence.pack_urls import PATH
from api.graphql.endpoint import GraphQLEndpoint, HoldsUnreadable
from api.graphql.trusted_documents import TrustedDocuments
from api.http import responses
from api.http.metrics_endpoint import MetricsEndpoint
from api.notifications import server_sent_events
from api.notifications.server_sent_events import EventStreamEndpoint
from api.notifications.subscription_session import SubscriptionService
from api.notifications.websocket import SocketEndpoint
from api.server.explorer import Explorer
from api.server.health import Readiness, ReadyEndpoint, alive
from api.server.middleware import build_middleware
from api.settings import Settings
from api.telemetry.metrics import Metrics
from mobile_contract.documents import trusted_documents
from mobile_contract.levels import Levels

C = TypeVar("C", bound=HoldsUnreadable)


def build_web_app(
    settings: Settings,
    schema: strawberry.Schema,
    context_of: Callable[[Request], Awaitable[C]],
    *,
    metrics: Metrics,
    readiness: Readiness,
    lifespan: Any = None,
    published: Mapping[str, Callable[[], dict[str, Any]]] | None = None,
    packs: ASGIApp | None = None,
    subscriptions: SubscriptionService | None = None,
) -> Starlette:
    """Build the application.

    `lifespan` is Starlette's lifespan. It opens and closes what the context uses. `published` are the documents below
    `/.well-known/`, by name. `packs` serves evidence packs. `subscriptions` serves subscriptions over WebSocket and as
    server-sent events.
    """
    strict = settings.trusted_documents_only
    explorer = Explorer()
    documents = subscriptions.documents if subscriptions else TrustedDocuments(trusted_documents(), only=strict)
    graphql = GraphQLEndpoint(
        schema,
        context_of,
        page=None if strict else explorer.page,
        flat=not settings.introspection,
        documents=documents,
    )
    return Starlette(
        routes=[
            *([] if strict else [Route("/", redirect_to_graphql)]),
            Route("/graphql", graphql),
            *(_subscription_routes(subscriptions) if subscriptions else []),
            *([] if strict else explorer.routes()),
            Route("/healthz", alive),
            Route("/readyz", ReadyEndpoint(readiness, settings.metrics_token).respond),
            *(Route(f"/.well-known/{name}", _publish(document)) for name, document in (published or {}).items()),
            *([Route(f"{PATH}{{address}}", packs)] if packs else []),
            Route("/metrics", MetricsEndpoint(metrics, settings.metrics_token).respond),
        ],
        middleware=build_middleware(settings, metrics, Levels.read()),
        lifespan=lifespan,
    )


def _subscription_routes(subscriptions: SubscriptionService) -> list[BaseRoute]:
    return [
        WebSocketRoute("/graphql", SocketEndpoint(subscriptions)),
        Route(server_sent_events.PATH, EventStreamEndpoint(subscriptions)),
    ]


def _publish(document: Callable[[], dict[str, Any]]) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint for a document of public keys. Outsiders use the keys to verify our signatures themselves."""

    async def respond(_: Request) -> Response:
        return responses.json_response(document())

    return respond


async def redirect_to_graphql(_: Request) -> Response:
    return RedirectResponse("/graphql")
