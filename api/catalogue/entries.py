"""The catalogue: what phones carry along of grades, service items and fee items (目录).

Loading it from files is left to `catalogue_imports.py`.
"""

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
from storage.catalogue.entries import holding, keyset_of, lasting
from storage.mongodb.client import Document
from storage.mongodb.filters import all_of


@strawberry.type
class CatalogueQueries:
    @query(
        description="Entries that hold on a day, or unless one is given today and later, in one's scope and in the units"
        " above it, by kind and code (目录)."
    )
    async def catalogue(
        self,
        info: Info,
        kind: CatalogueKind | None = None,
        at: date | None = None,
        first: int = DEFAULT_PAGE,
        after: str | None = None,
    ) -> Connection[CatalogueEntry]:
        wanted: Document = {"kind": kind.value} if kind else {}
        visible = visibility.catalogue(info.context.actor)
        days = holding(at) if at else lasting(beijing_day(info.context.now))
        return await paged(
            info.context,
            ("catalogue", kind, at),
            first,
            after,
            lambda page: info.context.store.catalogue.page(all_of(visible, wanted, days), page),
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
