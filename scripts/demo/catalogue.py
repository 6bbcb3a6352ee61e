"""Make the demo's catalogue from the time limits and the fee in the facts; grades come with the product.

`ganzhou.json` names the sources of the facts.
"""

from datetime import date, datetime

from schema.catalogue.entries import CatalogueEntry, CatalogueKind, FeeTerms, ServiceTerms
from scripts.demo.randomness import Chance
from scripts.demo.region import Region, facts


def build_catalogue(chance: Chance, region: Region, at: datetime) -> list[CatalogueEntry]:
    told = facts()["catalogue"]
    first = date.fromisoformat(told["from"])
    made = []
    for each in told["services"]:
        unit = region.units[each["unit"]]
        terms = ServiceTerms(
            statutory_days=each["statutory"], promised_days=each["promised"], unit_id=region.units[each["section"]].id
        )
        made.append(
            CatalogueEntry(
                id=chance.id("cat", at),
                kind=CatalogueKind.SERVICE_ITEM,
                code=each["code"],
                name=each["name"],
                valid_from=first,
                service=terms,
                path=unit.path,
                unit_id=unit.id,
            )
        )
    for each in told["fees"]:
        unit = region.units[each["unit"]]
        made.append(
            CatalogueEntry(
                id=chance.id("cat", at),
                kind=CatalogueKind.FEE_ITEM,
                code=each["code"],
                name=each["name"],
                valid_from=first,
                fee=FeeTerms(standard=each["standard"]),
                path=unit.path,
                unit_id=unit.id,
            )
        )
    return made
