"""Define catalogue entries (目录): grades, service items and fee items that phones store for use offline.

An entry is valid from a first to a last day, in the subtree of the unit that it was loaded for.
"""

import enum
from collections.abc import Iterable
from datetime import date

import strawberry

from schema.access.permissions import SEEN, SIGNED_IN, Row, connection
from schema.core.context import Info
from schema.core.nodes import Node
from schema.organisation.units import Unit


@strawberry.enum(description="The catalogue that an entry belongs to (目录类别).")
class CatalogueKind(enum.Enum):
    RATING_GRADE = strawberry.enum_value(
        "RATING_GRADE", description="满意度等级: a word for a score, such as 优 for 90."
    )
    SERVICE_ITEM = strawberry.enum_value(
        "SERVICE_ITEM", description="行政审批事项: an approval that people apply for at a unit, and its time limits."
    )
    FEE_ITEM = strawberry.enum_value(
        "FEE_ITEM", description="涉企收费目录: a fee that enterprises may be charged, and its legal basis."
    )


@strawberry.type(description="The time limits, documents and steps of a service item (行政审批事项).")
class ServiceTerms:
    statutory_days: int | None = strawberry.field(
        description="Statutory time limit, in working days (法定时限).", default=None
    )
    promised_days: int | None = strawberry.field(
        description="Promised time limit, in working days (承诺时限).", default=None
    )
    documents: list[str] = strawberry.field(
        description="Documents that the applicant must hand in (所需材料).", default_factory=list
    )
    steps: list[str] = strawberry.field(
        description="Steps of the procedure, in order (办理流程).", default_factory=list
    )
    unit_id: strawberry.Private[str | None] = None

    @strawberry.field(description="The section that handles the applications (责任科室).")
    async def unit(self, info: Info) -> Unit | None:
        return await info.context.load.one(Unit, self.unit_id)


@strawberry.type(description="A fee that may be charged, and its legal basis (收费标准).")
class FeeTerms:
    standard: str = strawberry.field(description="The amount, and what it is charged for, as text (收费标准).")
    legal_basis: str | None = strawberry.field(description="The legal basis (收费依据).", default=None)


@strawberry.type(description="One version of a catalogue entry, valid from a first to a last day (目录条目).")
class CatalogueEntry(Node, prefix="cat"):
    kind: CatalogueKind = strawberry.field(description="The catalogue that the entry belongs to (类别).")
    code: str = strawberry.field(description="Code of the entry. All versions of an entry have the same code (编号).")
    name: str = strawberry.field(description="Name of the entry (名称).")
    valid_from: date = strawberry.field(
        description="First day on which this version is valid, a date in Beijing (生效日期)."
    )
    valid_to: date | None = strawberry.field(
        description="Last day on which this version is valid. Null if no end is set (失效日期).", default=None
    )
    score: int | None = strawberry.field(
        description="Score of the grade, 0 to 100 (分值). Null unless this entry is a grade.", default=None
    )
    service: ServiceTerms | None = strawberry.field(
        description="Terms of the service item. Null unless this entry is a service item.", default=None
    )
    fee: FeeTerms | None = strawberry.field(
        description="Terms of the fee. Null unless this entry is a fee item.", default=None
    )
    path: strawberry.Private[str]
    unit_id: strawberry.Private[str | None] = None

    @strawberry.field(
        description="The unit in whose subtree the entry is valid (适用地区或单位). Null for entries that come with the"
        " product."
    )
    async def office(self, info: Info) -> Unit | None:
        return await info.context.load.one(Unit, self.unit_id)

    def holds(self, path: str, day: date) -> bool:
        """Whether the entry is valid at the unit at `path` on `day`."""
        return path.startswith(self.path) and self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


def grades_of(entries: Iterable[CatalogueEntry], path: str, day: date) -> dict[str, int]:
    """Return the score of each grade that is valid at the unit at `path` on `day`, by the code of the grade.

    If two units have a grade with the same code, the grade of the unit nearer to `path` applies.
    """
    grades = [entry for entry in entries if entry.kind is CatalogueKind.RATING_GRADE and entry.holds(path, day)]
    nearest_last = sorted(grades, key=lambda grade: len(grade.path))
    return {grade.code: grade.score for grade in nearest_last if grade.score is not None}


_EPOCH = date(1970, 1, 1)
_GRADES = (
    ("cat_01a1c04f-5c00-7000-8000-000000000001", "优", 90),
    ("cat_01a1c04f-5c00-7000-8000-000000000002", "良", 75),
    ("cat_01a1c04f-5c00-7000-8000-000000000003", "一般", 60),
    ("cat_01a1c04f-5c00-7000-8000-000000000004", "较差", 45),
    ("cat_01a1c04f-5c00-7000-8000-000000000005", "差", 30),
)
DEFAULTS = tuple(
    CatalogueEntry(
        id=strawberry.ID(id),
        kind=CatalogueKind.RATING_GRADE,
        code=code,
        name=code,
        valid_from=_EPOCH,
        score=score,
        path="",
    )
    for id, code, score in _GRADES
)
"""The grades that a new installation stores for the whole tree of units.

Once stored they are ordinary data. A later change of this tuple does not change what is stored.
"""

PERMITS: tuple[Row, ...] = (
    ("Query", SIGNED_IN, "catalogue"),
    ("CatalogueEntry", SEEN, "id kind code name validFrom validTo score service fee office"),
    ("FeeTerms", SEEN, "standard legalBasis"),
    ("ServiceTerms", SEEN, "statutoryDays promisedDays documents steps unit"),
    *connection("CatalogueEntry"),
)
