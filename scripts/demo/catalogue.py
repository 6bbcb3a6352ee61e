"""Make the demo's catalogue of service items and fees from the facts in `ganzhou.json`, which names its sources.

Grades are not made, because every new installation already has some.
"""

from datetime import date, datetime

from schema.catalogue.entries import CatalogueEntry, CatalogueKind, FeeTerms, ServiceTerms
from scripts.demo.randomness import SeededRandom
from scripts.demo.region import Region, facts


def build_catalogue(random: SeededRandom, region: Region, at: datetime) -> list[CatalogueEntry]:
    catalogue = facts()["catalogue"]
    valid_from = date.fromisoformat(catalogue["from"])
    entries = []
    for service in catalogue["services"]:
        unit, section = region.units[service["unit"]], region.units[service["section"]]
        terms = ServiceTerms(statutory_days=service["statutory"], promised_days=service["promised"], unit_id=section.id)
        entries.append(
            CatalogueEntry(
                id=random.id("cat", at),
                kind=CatalogueKind.SERVICE_ITEM,
                code=service["code"],
                name=service["name"],
                valid_from=valid_from,
                service=terms,
                path=unit.path,
                unit_id=unit.id,
            )
        )
    for fee in catalogue["fees"]:
        unit = region.units[fee["unit"]]
        entries.append(
            CatalogueEntry(
                id=random.id("cat", at),
                kind=CatalogueKind.FEE_ITEM,
                code=fee["code"],
                name=fee["name"],
                valid_from=valid_from,
                fee=FeeTerms(standard=fee["standard"]),
                path=unit.path,
                unit_id=unit.id,
            )
        )
    return entries
