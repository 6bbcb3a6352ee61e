"""List the catalogue (目录): grades, service items and fee items. Phones store the catalogue for offline use."""

from collections.abc import Sequence
from datetime import date

import strawberry

from api.graphql.context import Context, Info
from api.graphql.lists import paged
from api.graphql.nodes import Pull, RecordKind, first_or_none
from api.registration import Registration
from schema.access.guards import query
from schema.catalogue import entries
from schema.catalogue.entries import CatalogueEntry, CatalogueKind
from schema.core.pagination import DEFAULT_PAGE, Connection
from schema.core.times import beijing_day
from schema.sync.changes import ChangeKind
from storage.access import visibility
from storage.catalogue.entries import keyset_of, not_expired, valid_on
from storage.mongodb.client import Document
from storage.mongodb.filters import all_of


@strawberry.type
class CatalogueQueries:
    @query(
        description="Catalogue entries of the units in the viewer's scope and the units above, sorted by kind and code"
        " (目录). With `at`, only entries that are valid on that day. Without `at`, entries that are valid today or later."
    )
    async def catalogue(
        self,
        info: Info,
        kind: CatalogueKind | None = None,
        at: date | None = None,
        first: int = DEFAULT_PAGE,
        after: str | None = None,
    ) -> Connection[CatalogueEntry]:
        of_kind: Document = {"kind": kind.value} if kind else {}
        visible = visibility.catalogue(info.context.actor)
        days = valid_on(at) if at else not_expired(beijing_day(info.context.now))
        return await paged(
            info.context,
            ("catalogue", kind, at),
            first,
            after,
            lambda page: info.context.store.catalogue.page(all_of(visible, of_kind, days), page),
            keyset_of,
        )


async def _visible_entries(context: Context, ids: Sequence[str]) -> list[CatalogueEntry]:
    return await context.store.catalogue.many(ids, visibility.catalogue(context.actor))


async def _find(context: Context, id: str) -> CatalogueEntry | None:
    return first_or_none(await _visible_entries(context, [id]))


REGISTRATION = Registration(
    queries=(CatalogueQueries,),
    kinds=(RecordKind("cat", _find, "Query.catalogue", Pull(ChangeKind.CATALOGUE_ENTRY, _visible_entries)),),
    permits=entries.PERMITS,
)
