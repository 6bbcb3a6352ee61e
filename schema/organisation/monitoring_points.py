"""Define monitoring points (监测点): enterprises that report what agencies do to them."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from schema.access.permissions import SEEN, Row, connection, only
from schema.access.viewers import Owner, Role
from schema.core.context import Info, Kind
from schema.core.nodes import Node
from schema.geography.positions import Datum, GeoPoint
from schema.organisation.units import Unit

if TYPE_CHECKING:
    from schema.accounts.users import User

USER: "Kind[User]" = Kind("User")


@strawberry.type(description="An enterprise that is a monitoring point (监测点).")
class MonitoringPoint(Node, prefix="pnt"):
    code: str = strawberry.field(description="The office's code for the monitoring point, unique (编号).")
    enterprise: str = strawberry.field(description="Name of the enterprise (企业名称).")
    industry: str = strawberry.field(description="Industry of the enterprise, such as 钨, 稀土 or 脐橙 (产业).")
    address: str | None = strawberry.field(description="Address of the enterprise (地址).", default=None)
    position: strawberry.Private[GeoPoint | None] = None
    unit_id: strawberry.Private[str]
    path: strawberry.Private[str]
    monitor_ids: strawberry.Private[tuple[str, ...]] = ()
    created_at: strawberry.Private[datetime | None] = None

    @strawberry.field(
        name="position",
        description="Position of the enterprise, in `datum` (坐标). Request the datum of the map on which you show it.",
    )
    def position_in(self, datum: Datum = Datum.WGS84) -> GeoPoint | None:
        return self.position.to_datum(datum) if self.position else None

    @strawberry.field(description="The county or development zone of the enterprise (所属地区).")
    async def unit(self, info: Info) -> Unit | None:
        return await info.context.load.one(Unit, self.unit_id)

    @strawberry.field(
        description="The monitors who report from here. Only people whom the viewer may know are listed (监测员)."
    )
    async def monitors(self, info: Info) -> list[Annotated["User", strawberry.lazy("schema.accounts.users")]]:
        """Return the monitors. To report from here is covert, also if a monitor has only open roles by now."""
        viewer = info.context.viewer
        known = [id for id in self.monitor_ids if viewer and viewer.knows(Owner(id, self.path))]
        return await info.context.load.many(USER, known)


PERMITS: tuple[Row, ...] = (
    ("Query", only(Role.INSPECTOR, Role.MONITOR, Role.SUPERVISOR, Role.OFFICER, Role.ADMIN), "monitoringPoints"),
    ("MonitoringPoint", SEEN, "id code enterprise industry address position unit monitors"),
    *connection("MonitoringPoint"),
)
