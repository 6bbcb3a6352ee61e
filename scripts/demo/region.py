"""Make the demo's region: Ganzhou's real divisions with departments, sections and windows, and invented enterprises.

`ganzhou.json` names the sources of the facts and their licences.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from schema.geography.positions import Datum, GeoPoint, GeoPointInput, PositionSource, locate
from schema.organisation.monitoring_points import MonitoringPoint
from schema.organisation.units import FormerName, Unit, UnitLevel, path_below
from scripts.demo.randomness import SeededRandom

CITY = "360700"
PROVINCE = "360000"
POINTS_OF_A_COUNTY, POINTS_OF_THE_ZONE = 16, 18
STEMS = [f"{stem}{branch}" for branch in "子寅辰午申戌" for stem in "甲丙戊庚壬"]
FIRMS = {
    "钨": "钨业有限公司",
    "稀土": "稀土材料有限公司",
    "氟盐化工": "氟盐化工有限公司",
    "脐橙": "脐橙合作社",
    "家具": "家具有限公司",
    "烟叶": "烟叶合作社",
    "莲子": "莲子合作社",
    "黄鸡": "黄鸡养殖场",
    "香菇": "香菇合作社",
    "盐": "盐化有限公司",
}


@cache
def facts() -> dict[str, Any]:
    """Return the facts about the region."""
    content: dict[str, Any] = json.loads((Path(__file__).parent / "ganzhou.json").read_text(encoding="utf-8"))
    return content


@dataclass
class Region:
    """Units keyed by code, parents before children.

    `counties` are the codes of the units of county rank. The development zone is the last of them.
    """

    units: dict[str, Unit] = field(default_factory=dict)
    counties: list[str] = field(default_factory=list)

    def windows(self, county: str) -> list[Unit]:
        """Return the service windows of a county."""
        path = self.units[county].path
        return [unit for unit in self.units.values() if unit.level is UnitLevel.WINDOW and unit.path.startswith(path)]

    def office(self, code: str) -> Unit:
        """Return the efficiency office (效能办) of a city, county or zone."""
        return self.units[f"{code}-XNB"]


class _Builder:
    def __init__(self, random: SeededRandom, at: datetime) -> None:
        self.region, self._random, self._at = Region(), random, at

    def add(self, parent: str | None, code: str, name: str, level: UnitLevel, **more: Any) -> Unit:
        above = self.region.units[parent] if parent else None
        id = self._random.id("unt", self._at)
        unit = Unit(
            id=id,
            code=code,
            name=name,
            level=level,
            path=path_below(above.path if above else "", id),
            parent_id=above.id if above else None,
            ancestor_ids=(*above.ancestor_ids, above.id) if above else (),
            created_at=self._at,
            **more,
        )
        self.region.units[code] = unit
        return unit

    def add_departments(self, code: str, rank: str) -> None:
        """Add the departments that the facts name for units of this rank.

        Each department gets a place near the middle of the unit.
        """
        middle = self.region.units[code].position
        for letters, department in facts()["departments"].items():
            if rank not in department["at"].split():
                continue
            place = _near(middle, self._random, 0.01)
            name, own = self.region.units[code].name + department["name"], f"{code}-{letters}"
            self.add(code, own, name, UnitLevel.DEPARTMENT, position=place)
            for number, section in department.get("sections", {}).items():
                self.add(own, f"{own}-K{number}", name + section, UnitLevel.SECTION, position=place)
            for number, window in department.get("section_windows", {}).items():
                self.add(f"{own}-K{number}", f"{own}-{number}", name + window, UnitLevel.WINDOW, position=place)
            for number, window in department.get("windows", {}).items():
                self.add(own, f"{own}-{number}", name + window, UnitLevel.WINDOW, position=place)


def build_region(random: SeededRandom, at: datetime) -> Region:
    builder = _Builder(random, at)
    counties, zone = facts()["counties"], facts()["zone"]
    builder.add(None, PROVINCE, "江西省", UnitLevel.PROVINCE)
    [seat] = [county["at"] for county in counties if county["code"] == "360702"]
    builder.add(PROVINCE, CITY, "赣州市", UnitLevel.CITY, position=_place(*seat))
    builder.add_departments(CITY, "city")
    for county in [*counties, zone]:
        code = county["code"]
        former_names = [FormerName(name=name, code=old, until=until) for old, name, until in county.get("formerly", [])]
        place = _place(*county["at"])
        builder.add(CITY, code, county["name"], UnitLevel.COUNTY, former_names=former_names, position=place)
        builder.region.counties.append(code)
        builder.add_departments(code, "zone" if county is zone else "county")
        for digits, name in county.get("townships", {}).items():
            builder.add(code, code + digits, name, UnitLevel.TOWNSHIP)
    return builder.region


def build_points(random: SeededRandom, region: Region, at: datetime) -> list[MonitoringPoint]:
    """Make the enterprises of every county, without monitors.

    Their industries alternate between the county's and the city's.
    """
    return [point for county in region.counties for point in _points(random, region.units[county], at)]


def assign_monitors(points: list[MonitoringPoint], monitor_ids: list[str]) -> list[MonitoringPoint]:
    """Assign one monitor to each monitoring point."""
    return [replace(point, monitor_ids=(monitor,)) for point, monitor in zip(points, monitor_ids, strict=True)]


def _points(random: SeededRandom, county: Unit, at: datetime) -> Iterator[MonitoringPoint]:
    counties, zone = facts()["counties"], facts()["zone"]
    [own] = [area["industries"] for area in [*counties, zone] if area["code"] == county.code]
    industries = list(dict.fromkeys([*own, *facts()["city_industries"]]))
    count = POINTS_OF_THE_ZONE if county.code == zone["code"] else POINTS_OF_A_COUNTY
    for number in range(count):
        industry = industries[number % len(industries)]
        name = county.name[:-1] if county.name[-1] in "县市" and len(county.name) > 2 else county.name
        yield MonitoringPoint(
            id=random.id("pnt", at),
            code=f"JC-{county.code}-{number + 1:02d}",
            enterprise=f"{name}{STEMS[number]}{FIRMS[industry]}（虚构）",
            industry=industry,
            address=f"{county.name}示范路{random.between(1, 200)}号",
            position=_near(county.position, random, 0.03),
            unit_id=county.id,
            path=county.path,
            created_at=at,
        )


def _place(latitude: float, longitude: float) -> GeoPoint:
    source = PositionSource.MANUAL
    return locate(GeoPointInput(latitude=latitude, longitude=longitude, datum=Datum.WGS84, source=source))


def _near(middle: GeoPoint | None, random: SeededRandom, degrees: float) -> GeoPoint | None:
    if middle is None or middle.latitude is None or middle.longitude is None:
        return None
    return _place(round(random.around(middle.latitude, degrees), 5), round(random.around(middle.longitude, degrees), 5))
