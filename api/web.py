"""The HTTP application around one schema: its routes and middleware; what it is wired to is given to it by `app`."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import strawberry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from api import answers
from api.documents import TrustedDocuments
from api.explorer import Explorer
from api.health import Readiness, ReadyEndpoint, alive
from api.metrics import Metrics, MetricsEndpoint
from api.middleware import middleware
from api.pack_addresses import PATH
from api.settings import Settings
from api.transport import GraphQLEndpoint, HoldsUnreadable
from mobile_contract.documents import trusted
from mobile_contract.levels import Levels

C = TypeVar("C", bound=HoldsUnreadable)


def web_app(
    settings: Settings,
    schema: strawberry.Schema,
    context_of: Callable[[Request], Awaitable[C]],
    *,
    metrics: Metrics,
    readiness: Readiness,
    lifespan: Any = None,
    published: Mapping[str, Callable[[], dict[str, Any]]] | None = None,
    packs: ASGIApp | None = None,
) -> Starlette:
    """Compose the application; `lifespan` is Starlette's, and opens and closes what the context draws on.

    `published` are documents below `/.well-known/` by name; `packs` answers below `pack_addresses.PATH`.
    """
    strict = settings.trusted_documents_only
    explorer = Explorer()
    graphql = GraphQLEndpoint(
        schema,
        context_of,
        page=None if strict else explorer.page,
        flat=not settings.introspection,
        documents=TrustedDocuments(trusted(), only=strict),
    )
    return Starlette(
        routes=[
            *([] if strict else [Route("/", to_graphql)]),
            Route("/graphql", graphql),
            *([] if strict else explorer.routes()),
            Route("/healthz", alive),
            Route("/readyz", ReadyEndpoint(readiness, settings.metrics_token).respond),
            *(Route(f"/.well-known/{name}", _published(told)) for name, told in (published or {}).items()),
            *([Route(f"{PATH}{{address}}", packs)] if packs else []),
            Route("/metrics", MetricsEndpoint(metrics, settings.metrics_token).respond),
        ],
        middleware=middleware(settings, metrics, Levels.read()),
        lifespan=lifespan,
    )


def _published(told: Callable[[], dict[str, Any]]) -> Callable[[Request], Awaitable[Response]]:
    """Public keys, for those who verify what we signed themselves."""

    async def respond(_: Request) -> Response:
        return answers.answer(told())

    return respond


async def to_graphql(_: Request) -> Response:
    return RedirectResponse("/graphql")
