"""Build a small world for tests in a real store, and ask the GraphQL schema as one of its people.

The world is a city and two counties with their efficiency offices (效能办), a bureau with a window in each county, one
monitoring point, and people of each role.
"""

import hashlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import strawberry

from api.accounts.key_ring import KeyRing
from api.accounts.passwords import HashCost, Passwords
from api.evidence.evidence_keys import EvidenceKeys
from api.evidence.pack_urls import pack_link
from api.graphql.context import Context, Services, clock
from api.server.areas import REGISTRY
from api.server.graphql_schema import build_schema
from api.settings import Settings
from schema.access.viewers import Clearance, Role, Viewer
from schema.accounts.users import User
from schema.core.ids import compose
from schema.core.refusals import Refusal
from schema.organisation.monitoring_points import MonitoringPoint
from schema.organisation.units import Unit, UnitLevel, path_below
from storage.store import Store
from tests.support.shared_indexes import prepare

SCHEMA = build_schema(Settings(execution=os.environ.get("MINGCHA_EXECUTION", "plan")))
LIGHT = HashCost(passes=1, memory_kib=8)
"""The cost of a password hash in tests."""


def new_id(prefix: str, at: datetime | None = None) -> strawberry.ID:
    return compose(prefix, at or datetime.now(UTC), secrets.token_bytes(10))


def _unit(parent: Unit | None, code: str, name: str, level: UnitLevel) -> Unit:
    id = new_id("unt")
    return Unit(
        id=id,
        code=code,
        name=name,
        level=level,
        path=path_below(parent.path if parent else "", id),
        parent_id=parent.id if parent else None,
        ancestor_ids=(*parent.ancestor_ids, parent.id) if parent else (),
    )


@dataclass
class World:
    store: Store
    settings: Settings
    keys: KeyRing
    evidence: EvidenceKeys = field(init=False)
    passwords: Passwords = field(default_factory=lambda: Passwords(cost=LIGHT))
    units: dict[str, Unit] = field(default_factory=dict)
    people: dict[str, User] = field(default_factory=dict)
    point: MonitoringPoint | None = None
    devices: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.evidence = EvidenceKeys(self.settings.keys_folder)

    async def build(self) -> "World":
        await prepare(self.store.mongo)
        province = self._add(None, "360000", "江西省", UnitLevel.PROVINCE)
        city = self._add(province, "360700", "赣州市", UnitLevel.CITY)
        self._add(city, "360700-XNB", "赣州市效能办", UnitLevel.DEPARTMENT)
        for code, name in (("360703", "南康区"), ("360783", "龙南市")):
            county = self._add(city, code, name, UnitLevel.COUNTY)
            self._add(county, f"{code}-XNB", f"{name}效能办", UnitLevel.DEPARTMENT)
            bureau = self._add(county, f"{code}-JT", f"{name}交通局", UnitLevel.DEPARTMENT)
            self._add(bureau, f"{code}-JT-1", f"{name}交通局一号窗口", UnitLevel.WINDOW)
        await self.store.units.put_all(list(self.units.values()))
        county_people = (
            ("inspector", Role.INSPECTOR, ()),
            ("inspector2", Role.INSPECTOR, ()),
            ("monitor", Role.MONITOR, ()),
            ("supervisor", Role.SUPERVISOR, ()),
            ("supervisor2", Role.SUPERVISOR, ()),
            ("officer", Role.OFFICER, (Clearance.IDENTITY,)),
            ("clerk", Role.OFFICER, ()),
            ("liaison", Role.LIAISON, ()),
            ("admin", Role.ADMIN, ()),
        )
        for name, role, clearances in county_people:
            self._person(name, role, "360703", clearances)
        self._person("neighbour", Role.OFFICER, "360783", (Clearance.IDENTITY,))
        self._person("neighbour_supervisor", Role.SUPERVISOR, "360783", ())
        self._person("city_officer", Role.OFFICER, "360700", (Clearance.IDENTITY,))
        self._person("city_inspector", Role.INSPECTOR, "360700", ())
        await self.store.users.put_all(list(self.people.values()))
        self.point = MonitoringPoint(
            id=new_id("pnt"),
            code="GZ-001",
            enterprise="南康示范家具厂",
            industry="家具",
            unit_id=self.units["360703"].id,
            path=self.units["360703"].path,
            monitor_ids=(self.people["monitor"].id,),
        )
        await self.store.monitoring_points.put_all([self.point])
        return self

    def _add(self, parent: Unit | None, code: str, name: str, level: UnitLevel) -> Unit:
        self.units[code] = _unit(parent, code, name, level)
        return self.units[code]

    def _person(self, name: str, role: Role, code: str, clearances: tuple[Clearance, ...]) -> None:
        scope, office = self.units[code], self.units[f"{code}-XNB"]
        if role is Role.LIAISON:
            scope = office = self.units[f"{code}-JT"]
        self.people[name] = User(
            id=new_id("usr"),
            display_name=f"甲{name}",
            roles=[role],
            user_name=name,
            scope_ids=(scope.id,),
            scope_paths=(scope.path,),
            office_id=office.id,
            office_path=office.path,
            clearances=clearances,
        )

    def viewer(self, name: str) -> Viewer:
        user = self.people[name]
        return Viewer(
            user_id=user.id,
            roles=frozenset(user.roles),
            scopes=user.scope_paths,
            office_id=user.office_id,
            office_path=user.office_path,
            clearances=frozenset(user.clearances),
            device_id=self.devices.setdefault(name, new_id("dev")),
            signed_in_at=clock(),
        )

    def context(self, name: str | None, *, later: timedelta = timedelta()) -> Context:
        services = Services(self.store, self.settings, self.keys, self.evidence, self.passwords, REGISTRY, pack_link)
        return Context(services, self.viewer(name) if name else None, now=clock() + later)

    async def ask(self, name: str | None, operation: str, **variables: Any) -> dict[str, Any]:
        """Ask an operation that must succeed as that person, and return its data."""
        result = await SCHEMA.execute(operation, variable_values=variables, context_value=self.context(name))
        assert not result.errors, result.errors
        assert result.data is not None
        return result.data

    async def errors(self, name: str | None, operation: str, **variables: Any) -> list[str]:
        """Ask an operation that must fail, and return the codes of its errors."""
        result = await SCHEMA.execute(operation, variable_values=variables, context_value=self.context(name))
        assert result.errors
        return [
            error.original_error.code.value if isinstance(error.original_error, Refusal) else error.message
            for error in result.errors
        ]

    async def submit(self, name: str, *drafts: Mapping[str, Any]) -> list[dict[str, Any]]:
        answer = await self.ask(name, SUBMIT, input={"drafts": list(drafts)})
        results: list[dict[str, Any]] = answer["submitObservations"]["results"]
        return results

    async def observe(self, name: str = "inspector", **fields: Any) -> str:
        """Submit one observation and return its id."""
        [result] = await self.submit(name, draft(**fields))
        assert result["outcome"] == "ACCEPTED", result
        id: str = result["id"]
        return id

    async def open_case(self, name: str = "officer", *observation_ids: str, **fields: Any) -> dict[str, Any]:
        ids = list(observation_ids) or [await self.observe()]
        given = {"id": new_id("cas"), "title": "窗口无人在岗", "observationIds": ids} | fields
        answer = await self.ask(name, OPEN, input=given)
        case: dict[str, Any] = answer["openCase"]["case"]
        return case

    async def snapshot(self) -> dict[str, list[dict[str, Any]]]:
        """Return the documents of most collections, so that a test can check that nothing changes."""
        evidence = (
            "observations",
            "media",
            "cases",
            "assignments",
            "notices",
            "flags",
            "thresholds",
            "limits",
            "redactions",
            "ratings",
        )
        known = ("clock_readings", "likenesses", "likeness_marks", "outlines", "monitoring_points")
        names = (*evidence, *known, "counters", "set_aside", "units", "users")
        return {name: await self.store.mongo.collection(name).find({}, sort=[("_id", 1)]) for name in names}


def draft(**fields: Any) -> dict[str, Any]:
    """Return the draft of an observation, as a phone sends it."""
    return {
        "id": new_id("obs"),
        "method": "PATROL",
        "category": "ABSENCE",
        "severity": "MINOR",
        "text": "上午九点窗口无人在岗",
        "capturedAt": "2026-11-20T09:05:00+08:00",
        "unit": "360703-JT-1",
    } | fields


def medium(body: bytes = b"picture", **fields: Any) -> dict[str, Any]:
    """Return a medium as a phone announces it."""
    return {
        "id": new_id("med"),
        "sha256": hashlib.sha256(body).hexdigest(),
        "byteSize": len(body),
        "contentType": "image/jpeg",
    } | fields


REFUSED = "... on Refused { code message messageZh nextStep field }"
SUBMIT = f"""
mutation Submit($input: SubmitObservationsInput!) {{
  submitObservations(input: $input) {{
    ... on SubmitObservationsPayload {{
      results {{
        id outcome
        receipt {{ observationId contentSha256 receivedAt }}
        observation {{ id placement receivedAt unit {{ code }} monitoringPoint {{ code }} mediaExpected mediaArrived }}
        uploads {{ mediaId kind url headers {{ name value }} expiresAt }}
        refusal {{ code message messageZh nextStep field }}
      }}
    }}
    {REFUSED}
  }}
}}"""
CASE_FIELDS = """
id number year sequence title state category openedAt closedAt outcome reply
office { code } unit { code } monitoringPoint { code } firstResponder { id } responsible { id }
observations { id } assignments { id state } history { id kind state note by { id } }
"""
OPEN = f"""
mutation Open($input: OpenCaseInput!) {{
  openCase(input: $input) {{ ... on CasePayload {{ case {{ {CASE_FIELDS} }} }} {REFUSED} }}
}}"""
CASE = f"query One($id: ID!) {{ case(id: $id) {{ {CASE_FIELDS} }} }}"
ASSIGNMENT_FIELDS = (
    "id kind state dueOn acceptedAt endedAt result assignee { id } offeredBy { id } case { id state } unit { code }"
)


def step(name: str, input_type: str) -> str:
    """Return the text of the mutation of this name, which changes an assignment."""
    return f"""
mutation Step($input: {input_type}!) {{
  {name}(input: $input) {{
    ... on AssignmentPayload {{ assignment {{ {ASSIGNMENT_FIELDS} }} case {{ {CASE_FIELDS} }} }} {REFUSED}
  }}
}}"""


ASSIGN = step("assign", "AssignInput")
ACCEPT = step("acceptAssignment", "StepAssignmentInput")
FINISH = step("finishAssignment", "FinishAssignmentInput")
HAND_ON = step("handOnAssignment", "HandOnAssignmentInput")
WITHDRAW = step("withdrawAssignment", "StepAssignmentInput")
