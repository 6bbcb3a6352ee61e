"""Catalogue entries (目录): grades, service items and fee items that phones carry along, each valid from a day to a day.

An entry holds in the subtree of the unit that it was loaded for. How it is read from a file is left to `api`.
"""

import enum
from collections.abc import Iterable
from datetime import date

import strawberry

from schema.access.permissions import SEEN, SIGNED_IN, Row, connection
from schema.core.context import Info
from schema.core.nodes import Node
from schema.organisation.units import Unit


@strawberry.enum(description="Of which catalogue an entry is (目录类别).")
class CatalogueKind(enum.Enum):
    RATING_GRADE = strawberry.enum_value(
        "RATING_GRADE", description="满意度等级: a word for a score, such as 优 for 90."
    )
    SERVICE_ITEM = strawberry.enum_value("SERVICE_ITEM", description="行政审批事项: what a unit decides, and how soon.")
    FEE_ITEM = strawberry.enum_value("FEE_ITEM", description="涉企收费目录: what may be charged, by which right.")


@strawberry.type(description="How soon a matter is decided, by whom, and what it takes (行政审批事项).")
class ServiceTerms:
    statutory_days: int | None = strawberry.field(description="Statutory limit, working days (法定时限).", default=None)
    promised_days: int | None = strawberry.field(description="Promised limit, working days (承诺时限).", default=None)
    documents: list[str] = strawberry.field(description="What has to be handed in (所需材料).", default_factory=list)
    steps: list[str] = strawberry.field(description="The steps, the first first (办理流程).", default_factory=list)
    unit_id: strawberry.Private[str | None] = None

    @strawberry.field(description="The section that answers for it (责任科室).")
    async def unit(self, info: Info) -> Unit | None:
        return await info.context.load.one(Unit, self.unit_id)


@strawberry.type(description="What may be charged, and by which right (收费标准).")
class FeeTerms:
    standard: str = strawberry.field(description="How much, of what (收费标准).")
    legal_basis: str | None = strawberry.field(description="By which right (收费依据).", default=None)


@strawberry.type(description="An entry of a catalogue in one wording, with the days on which it holds (目录条目).")
class CatalogueEntry(Node, prefix="cat"):
    kind: CatalogueKind = strawberry.field(description="Of which catalogue (类别).")
    code: str = strawberry.field(description="The same in all wordings of the entry (编号).")
    name: str = strawberry.field(description="Name (名称).")
    valid_from: date = strawberry.field(description="First day on which it holds, Beijing date (生效日期).")
    valid_to: date | None = strawberry.field(
        description="Last day on which it holds; null while none is set (失效日期).", default=None
    )
    score: int | None = strawberry.field(description="Of a grade: its score, 0 to 100 (分值).", default=None)
    service: ServiceTerms | None = strawberry.field(description="Of a service item: its terms.", default=None)
    fee: FeeTerms | None = strawberry.field(description="Of a fee item: its terms.", default=None)
    path: strawberry.Private[str]
    unit_id: strawberry.Private[str | None] = None

    @strawberry.field(
        description="The unit in whose subtree it holds; null for what came with the product (适用地区或单位)."
    )
    async def office(self, info: Info) -> Unit | None:
        return await info.context.load.one(Unit, self.unit_id)

    def holds(self, path: str, day: date) -> bool:
        """Whether it holds at the unit at `path` on `day`."""
        return path.startswith(self.path) and self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


def grades_of(entries: Iterable[CatalogueEntry], path: str, day: date) -> dict[str, int]:
    """Scores by grade as they hold at the unit at `path` on `day`; of two grades of one code the nearest unit's."""
    held = [each for each in entries if each.kind is CatalogueKind.RATING_GRADE and each.holds(path, day)]
    nearest_last = sorted(held, key=lambda each: len(each.path))
    return {each.code: each.score for each in nearest_last if each.score is not None}


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
"""What is stored for the whole tree of a new installation; once stored it is data like any other, and no code reads it."""

PERMITS: tuple[Row, ...] = (
    ("Query", SIGNED_IN, "catalogue"),
    ("CatalogueEntry", SEEN, "id kind code name validFrom validTo score service fee office"),
    ("FeeTerms", SEEN, "standard legalBasis"),
    ("ServiceTerms", SEEN, "statutoryDays promisedDays documents steps unit"),
    *connection("CatalogueEntry"),
)
