"""Run the conformance kit against a product."""

import asyncio
from dataclasses import replace
from datetime import date

from mobile_contract.kit.main import examine
from mobile_contract.kit.results import ClauseResult
from mobile_contract.kit.runner import select_clauses
from schema.catalogue.entries import CatalogueEntry, CatalogueKind, FeeTerms, ServiceTerms
from schema.geography.positions import GeoPoint
from tests.support.phone_sessions import PASSWORD
from tests.support.running_product import RunningProduct
from tests.support.world import World, new_id

LIKES = ("inspector", "inspector2", "officer", "monitor")


def run_kit(address: str, conforming: RunningProduct, *only: str, seconds: float = 20) -> list[ClauseResult]:
    """Run the kit with new users, and return its results."""
    user, other, officer, monitor = conforming.people(*LIKES)
    passwords = dict.fromkeys((user, other, officer, monitor), PASSWORD)
    return asyncio.run(examine(address, user, other, officer, monitor, passwords, select_clauses(only), seconds))


async def add_reference_data(world: World) -> None:
    """Add what the world lacks of the records that every pull brings: positions, a service item and a fee item."""
    [office], [window] = [await world.store.units.named([code]) for code in ("360703", "360703-JT-1")]
    [point] = await world.store.monitoring_points.named(["GZ-001"])
    placed = GeoPoint(latitude=25.8552, longitude=114.7114, original_latitude=25.8552, original_longitude=114.7114)
    await world.store.units.put_all([replace(window, position=placed)])
    point = replace(point, position=placed, address="示范路1号")
    another = replace(point, id=new_id("pnt"), code="GZ-009", enterprise="另一家企业")
    await world.store.monitoring_points.put_all([point, another])
    terms = ServiceTerms(statutory_days=20, promised_days=5, documents=["身份证"], steps=["受理"], unit_id=window.id)
    service = CatalogueEntry(
        id=new_id("cat"),
        kind=CatalogueKind.SERVICE_ITEM,
        code="JT-01",
        name="道路运输许可",
        valid_from=date(2026, 1, 1),
        valid_to=date(2099, 12, 31),
        service=terms,
        path=office.path,
        unit_id=office.id,
    )
    fee = FeeTerms(standard="10 元/本", legal_basis="赣价费字")
    kind = CatalogueKind.FEE_ITEM
    charged = replace(service, id=new_id("cat"), kind=kind, code="SF-01", name="工本费", service=None, fee=fee)
    await world.store.catalogue.put_all([service, charged])
