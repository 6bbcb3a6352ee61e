"""Make the demo's people: inspectors, monitors, supervisors, officers, liaisons and an admin.

They have numbers instead of names, and all have the same password.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from schema.access.viewers import Clearance, Role
from schema.accounts.users import User
from schema.organisation.monitoring_points import MonitoringPoint
from schema.organisation.units import Unit, UnitLevel
from scripts.demo.randomness import SeededRandom
from scripts.demo.region import CITY, PROVINCE, Region

INSPECTORS_OF_A_COUNTY, CITY_INSPECTORS = 2, 2
SUPERVISORS_OF_A_COUNTY, CITY_SUPERVISORS = 16, 3


@dataclass
class People:
    """Users keyed by user name, and user names keyed by role and county (or the city)."""

    users: dict[str, User] = field(default_factory=dict)
    at: dict[tuple[Role, str], list[str]] = field(default_factory=dict)

    def of(self, role: Role, code: str) -> list[str]:
        return self.at[role, code]


class _PeopleBuilder:
    def __init__(self, random: SeededRandom, at: datetime, password_hash: str) -> None:
        self.people, self._random, self._at, self._hash = People(), random, at, password_hash

    def add(
        self,
        role: Role,
        where: str,
        user_name: str,
        shown: str,
        scope: Unit,
        office: Unit | None,
        *clearances: Clearance,
    ) -> None:
        user = User(
            id=self._random.id("usr", self._at),
            display_name=shown,
            roles=[role],
            user_name=user_name.casefold(),
            scope_ids=(scope.id,),
            scope_paths=(scope.path,),
            office_id=office.id if office else None,
            office_path=office.path if office else None,
            clearances=clearances,
            password_hash=self._hash,
            created_at=self._at,
        )
        self.people.users[user.user_name] = user
        self.people.at.setdefault((role, where), []).append(user.user_name)

    def add_numbered(self, role: Role, word: str, places: Sequence[tuple[str, int]], region: Region) -> None:
        """Add people to each place, and number them across all places. Each of `places` is (code, number of people)."""
        number = 0
        for code, count in places:
            for _ in range(count):
                number += 1
                name = f"{str(role.value).lower()}{number:03d}"
                self.add(role, code, name, f"{word}{number:03d}", region.units[code], region.office(code))


def build_people(
    random: SeededRandom, region: Region, points: Sequence[MonitoringPoint], at: datetime, password_hash: str
) -> People:
    """Make all people. The monitors have the numbers of their monitoring points."""
    builder = _PeopleBuilder(random, at, password_hash)
    counties = region.counties
    inspectors = [*((code, INSPECTORS_OF_A_COUNTY) for code in counties), (CITY, CITY_INSPECTORS)]
    builder.add_numbered(Role.INSPECTOR, "巡查员", inspectors, region)
    supervisors = [*((code, SUPERVISORS_OF_A_COUNTY) for code in counties), (CITY, CITY_SUPERVISORS)]
    builder.add_numbered(Role.SUPERVISOR, "监督员", supervisors, region)
    by_id = {unit.id: unit.code for unit in region.units.values()}
    builder.add_numbered(Role.MONITOR, "监测员", [(by_id[point.unit_id], 1) for point in points], region)  # type: ignore[index]
    for code in (*counties, CITY):
        place, office = region.units[code], region.office(code)
        shown = f"{office.name}0"
        builder.add(Role.OFFICER, code, f"officer.{code}", f"{shown}1", place, office, Clearance.IDENTITY)
        builder.add(Role.OFFICER, code, f"clerk.{code}", f"{shown}2", place, office)
    centre = region.units[f"{CITY}-TSZX"]
    city = region.units[CITY]
    builder.add(Role.OFFICER, centre.code, "complaints1", f"{centre.name}01", city, centre, Clearance.IDENTITY)
    builder.add(Role.OFFICER, centre.code, "complaints2", f"{centre.name}02", city, centre)
    for department in _with_windows(region):
        builder.add(
            Role.LIAISON,
            department.code,
            f"liaison.{department.code}",
            f"{department.name}联络员",
            department,
            department,
        )
    builder.add(Role.ADMIN, PROVINCE, "admin", "系统管理员", region.units[PROVINCE], region.office(CITY))
    return builder.people


def _with_windows(region: Region) -> list[Unit]:
    above = {id for unit in region.units.values() if unit.level is UnitLevel.WINDOW for id in unit.ancestor_ids}
    return [unit for unit in region.units.values() if unit.level is UnitLevel.DEPARTMENT and unit.id in above]
