"""The catalogue: what phones carry along of grades, service items and fee items (目录).

Loading it from files is left to `catalogue_imports.py`.
"""

from datetime import date

import strawberry

from api.context import Info
from schema.catalogue import CatalogueEntry, CatalogueKind
from schema.guards import query
from schema.pages import DEFAULT_PAGE, Connection
from schema.times import beijing_day
from storage import visibility
from storage.catalogue import holding, keyset_of, lasting
from storage.mongo import Document
from storage.visibility import all_of


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
        seal = info.context.seal("catalogue", kind, at)
        page = seal.page(first, after)
        wanted: Document = {"kind": kind.value} if kind else {}
        visible = visibility.catalogue(info.context.actor)
        days = holding(at) if at else lasting(beijing_day(info.context.now))
        found = await info.context.store.catalogue.page(all_of(visible, wanted, days), page)
        return seal.connection(found, page, keyset_of)
