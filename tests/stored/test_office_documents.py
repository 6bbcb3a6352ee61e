"""Test the stored documents of the office: units, outlines, monitoring points, the catalogue, years, thresholds."""

from dataclasses import replace
from datetime import date

from schema.casework.limits import DEFAULTS as LIMITS
from schema.catalogue.entries import DEFAULTS as GRADES
from schema.catalogue.entries import CatalogueEntry, CatalogueKind, FeeTerms
from schema.checks.thresholds import DEFAULTS as THRESHOLDS
from schema.checks.thresholds import Threshold, ThresholdKind
from schema.fieldwork.observations import Category
from schema.organisation.monitoring_points import MonitoringPoint
from schema.organisation.outlines import Outline
from schema.organisation.units import Unit, UnitLevel
from storage.casework.known_years import known_years
from storage.demo import Demos, DemoState
from storage.mongodb.client import Mongo
from storage.store import Store
from tests.stored.fixed import DIGEST, NOW, PATH, PATH_ABOVE, UNUSABLE_POSITION, by_id, fixed_id, minutes
from tests.stored.fixed_records import COVERT, whole_point, whole_service, whole_unit
from tests.stored.golden_documents import Goldens
from tests.support.working_years import year_2027


async def test_units_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    units = [
        whole_unit(),
        Unit(id=fixed_id("unt", 3), code="360000", name="江西省", level=UnitLevel.PROVINCE, path=PATH_ABOVE),
    ]
    await records.units.put_all(units)
    await goldens.check("units")
    assert by_id(await records.units.named(["360703-JT-1", "360000"])) == units


async def test_outlines_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    ring = ((114.5, 25.5), (115.0, 25.5), (115.0, 26.0), (114.5, 25.5))
    hole = ((114.9, 25.6), (114.95, 25.6), (114.95, 25.7), (114.9, 25.6))
    island = ((116.0, 26.0), (116.25, 26.0), (116.25, 26.25), (116.0, 26.0))
    outline = Outline(fixed_id("unt", 1), ((ring, hole), (island,)))
    await records.outlines.put_all([outline])
    await goldens.check("outlines")
    assert await records.outlines.many([fixed_id("unt", 1)]) == [outline]


async def test_monitoring_points_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    points = [
        whole_point(),
        MonitoringPoint(
            id=fixed_id("pnt", 2),
            code="GZ-002",
            enterprise="赣州钨业",
            industry="钨",
            position=UNUSABLE_POSITION,
            unit_id=fixed_id("unt", 1),
            path=PATH,
        ),
    ]
    await records.monitoring_points.put_all(points)
    await goldens.check("monitoring_points")
    assert by_id(await records.monitoring_points.named(["GZ-001", "GZ-002"])) == points


async def test_the_catalogue_and_its_defaults_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    fee = CatalogueEntry(
        id=fixed_id("cat", 2),
        kind=CatalogueKind.FEE_ITEM,
        code="SF-01",
        name="车辆通行费",
        valid_from=date(2026, 1, 1),
        score=1,
        fee=FeeTerms(standard="每车次 10 元", legal_basis="赣价费字〔2004〕1 号"),
        path=PATH,
        unit_id=fixed_id("unt", 1),
    )
    await records.catalogue.begin()
    await records.catalogue.put_all([whole_service(), fee])
    await goldens.check("catalogue")
    assert by_id(await records.catalogue.many([whole_service().id, fee.id], {})) == [whole_service(), fee]
    assert by_id(await records.catalogue.grades_above(PATH)) == list(GRADES)


async def test_limits_and_their_defaults_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    whole = replace(
        LIMITS[1],
        id=fixed_id("lim", 1),
        category=Category.SLOW,
        note="公开承诺",
        path=PATH,
        unit_id=fixed_id("unt", 1),
        set_by_id=fixed_id("usr", 1),
        set_by_capacity=COVERT,
        sent_sha256=DIGEST,
    )
    await records.limits.begin()
    await records.limits.set(whole)
    await goldens.check("limits")
    assert by_id(await records.limits.above(PATH)) == by_id([*LIMITS, whole])


async def test_working_years_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    whole = replace(
        year_2027(), address="https://www.gov.cn/", note="说明", entered_by_id=fixed_id("usr", 1), sent_sha256=DIGEST
    )
    whole = replace(whole, entered_by_capacity=COVERT)
    await records.working_years.add_all(known_years()[2:3])
    await records.working_years.add(whole)
    await goldens.check("working_years")
    assert await records.working_years.all() == [known_years()[2], whole]


async def test_thresholds_and_their_defaults_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    """One threshold was stored before thresholds had a capacity."""
    await goldens.restore("thresholds", fixed_id("thr", 1))
    threshold = Threshold(
        id=fixed_id("thr", 2),
        kind=ThresholdKind.SPEED,
        value=180.5,
        valid_from=minutes(60),
        set_at=NOW,
        note="高速公路限速 120 公里",
        path=PATH,
        unit_id=fixed_id("unt", 1),
        set_by_id=fixed_id("usr", 1),
        sent_sha256=DIGEST,
        set_by_capacity=COVERT,
    )
    await records.thresholds.begin()
    await records.thresholds.set(threshold)
    await goldens.check("thresholds")
    former = replace(threshold, id=fixed_id("thr", 1), set_by_capacity=None)
    assert await records.thresholds.above(PATH) == [*THRESHOLDS, former, threshold]


async def test_demos_keep_their_stored_form(mongo: Mongo, goldens: Goldens) -> None:
    demos = Demos(mongo)
    await demos.begin(20261120, NOW)
    await demos.finish(minutes(5))
    await goldens.check("demos")
    assert await demos.find() == DemoState(20261120, NOW, is_whole=True)
