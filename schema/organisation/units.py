"""Define units (单位). They form a tree from province to service window.

Each unit has a path in the tree. The path is made from the ids of the unit and its ancestors, so a new name or code
changes no path. The paths of a subtree form one range.
"""

import enum
import hashlib
from datetime import date, datetime
from typing import Annotated, NamedTuple

import strawberry

from schema.access.guards import UnitScoreOnly
from schema.access.permissions import SEEN, SIGNED_IN, UNIT_SCORE_READERS, Row, connection
from schema.core.context import Info
from schema.core.nodes import Node
from schema.geography.positions import Datum, GeoPoint

SEPARATOR = "/"


@strawberry.enum(description="The level of a unit in the tree (层级).")
class UnitLevel(enum.Enum):
    PROVINCE = strawberry.enum_value("PROVINCE", description="省")
    CITY = strawberry.enum_value("CITY", description="设区市")
    COUNTY = strawberry.enum_value("COUNTY", description="县（市、区）, and development zones of that rank")
    TOWNSHIP = strawberry.enum_value("TOWNSHIP", description="乡镇、街道")
    DEPARTMENT = strawberry.enum_value("DEPARTMENT", description="局、委、办")
    SECTION = strawberry.enum_value("SECTION", description="股室、科室")
    WINDOW = strawberry.enum_value("WINDOW", description="服务窗口")


ALLOWED_PARENTS: dict[UnitLevel, frozenset[UnitLevel]] = {
    UnitLevel.PROVINCE: frozenset(),
    UnitLevel.CITY: frozenset({UnitLevel.PROVINCE}),
    UnitLevel.COUNTY: frozenset({UnitLevel.CITY}),
    UnitLevel.TOWNSHIP: frozenset({UnitLevel.COUNTY}),
    UnitLevel.DEPARTMENT: frozenset({UnitLevel.PROVINCE, UnitLevel.CITY, UnitLevel.COUNTY, UnitLevel.TOWNSHIP}),
    UnitLevel.SECTION: frozenset({UnitLevel.DEPARTMENT, UnitLevel.TOWNSHIP}),
    UnitLevel.WINDOW: frozenset({UnitLevel.SECTION, UnitLevel.DEPARTMENT, UnitLevel.TOWNSHIP}),
}
"""For each level, the levels that its parent may have."""


@strawberry.type(description="A former name and code of a unit (原名、原代码).")
class FormerName:
    name: str = strawberry.field(description="The former name.")
    code: str = strawberry.field(description="The former code.")
    until: int | None = strawberry.field(
        description="The last year in which the unit had this name and code.", default=None
    )


class MonthlyScore(NamedTuple):
    """Mean of the published ratings of one unit and month, 0 to 100 (月度得分)."""

    value: float


@strawberry.type(description="A unit of government, from province to service window (单位).")
class Unit(Node, prefix="unt"):
    code: str = strawberry.field(
        description="Official code, unique (代码). Administrative divisions have their GB/T 2260 code."
    )
    name: str = strawberry.field(description="Name of the unit (名称).")
    level: UnitLevel = strawberry.field(description="Level of the unit in the tree (层级).")
    former_names: list[FormerName] = strawberry.field(
        description="Former names and codes of the unit.", default_factory=list
    )
    position: strawberry.Private[GeoPoint | None] = None
    path: strawberry.Private[str]
    parent_id: strawberry.Private[str | None] = None
    ancestor_ids: strawberry.Private[tuple[str, ...]] = ()
    created_at: strawberry.Private[datetime | None] = None

    @strawberry.field(
        name="position",
        description="Position of the unit's service counter, in `datum` (坐标). Request the datum of the map on which"
        " you show it.",
    )
    def position_in(self, datum: Datum = Datum.WGS84) -> GeoPoint | None:
        return self.position.to_datum(datum) if self.position else None

    @strawberry.field(description="The unit directly above (上级).")
    async def parent(self, info: Info) -> Annotated["Unit", strawberry.lazy("schema.organisation.units")] | None:
        return await info.context.load.one(Unit, self.parent_id)

    @strawberry.field(description="All units above, from the province down (上级链).")
    async def ancestors(self, info: Info) -> list[Annotated["Unit", strawberry.lazy("schema.organisation.units")]]:
        return await info.context.load.many(Unit, self.ancestor_ids)

    @strawberry.field(
        description="Mean of the ratings that count in a month, 0 to 100 (月度得分). `month` is the first day of the month."
        " Null until the ratings are published, and null if there are too few ratings to hide who rated."
        " Only supervisors and officers with the unit in their scope see the score, all others get null.",
        extensions=[UnitScoreOnly()],
    )
    async def monthly_score(self, info: Info, month: date) -> float | None:
        score = await info.context.load.one(MonthlyScore, unit=self, month=month)
        return score.value if score else None


def path_below(parent_path: str, id: str) -> str:
    """Return the path of the unit `id` below the unit at `parent_path`. The path ends with the separator.

    `parent_path` is empty for a root. A path holds 12 characters for each level instead of the whole id, because every
    index that is searched by scope contains paths. With 2^48 values, two units with one parent practically never get
    the same path.
    """
    return f"{parent_path}{hashlib.sha256(id.encode()).hexdigest()[:12]}{SEPARATOR}"


def range_end(path: str) -> str:
    """Return the end (exclusive) of the range of paths in the subtree at `path`."""
    return path[: -len(SEPARATOR)] + chr(ord(SEPARATOR) + 1)


def paths_above(path: str) -> list[str]:
    """Return the path of the root (""), the paths of all units above the unit at `path`, and `path` itself."""
    return ["", *(path[: end + 1] for end, letter in enumerate(path) if letter == SEPARATOR)]


PERMITS: tuple[Row, ...] = (
    ("Query", SIGNED_IN, "unit units"),
    ("FormerName", SEEN, "name code until"),
    ("Unit", SEEN, "id code name level formerNames position parent ancestors"),
    ("Unit", UNIT_SCORE_READERS, "monthlyScore"),
    *connection("Unit"),
)
