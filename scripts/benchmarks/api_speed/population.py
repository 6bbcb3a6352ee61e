"""Name the people and places of the measurement. They are the demo's."""

from datetime import UTC, datetime
from functools import cache

import strawberry

from schema.access.viewers import Role
from schema.accounts.users import User
from scripts.demo.loading import SEED, DemoPlan, make_demo_plan
from scripts.demo.region import CITY

AS_OF = datetime(2026, 11, 1, 2, 0, tzinfo=UTC)
"""The latest moment of the loaded records. What a workload adds is newer."""


@cache
def plan_population() -> DemoPlan:
    """Return the demo's units, points, catalogue and people. Nobody has a password."""
    return make_demo_plan(SEED, AS_OF, "none")


def device_of(user: User) -> strawberry.ID:
    """Return the id of the person's only device."""
    return strawberry.ID(f"dev_{user.id[4:]}")


def session_of(user: User) -> str:
    return f"ses_{user.id[4:]}"


def place_of(county: str) -> tuple[float, float]:
    """Return the middle of a county as (latitude, longitude)."""
    position = plan_population().region.units[county].position
    if position is None or position.place is None:
        raise ValueError(f"{county} has no position.")
    return position.place


def viewers() -> list[User]:
    """Return the supervisors of the whole city, who read the cases and lists of the workloads."""
    people = plan_population().people
    return [people.users[name] for name in people.of(Role.SUPERVISOR, CITY)]


def authors() -> list[User]:
    """Return the inspectors of the counties, who submit and sync."""
    plan = plan_population()
    names = [name for county in plan.region.counties for name in plan.people.of(Role.INSPECTOR, county)]
    return [plan.people.users[name] for name in names]
