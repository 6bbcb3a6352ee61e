"""List monitoring points. Phones store the points for use offline."""

from collections.abc import Sequence

import strawberry

from api.graphql.context import Context, Info
from api.graphql.lists import paged
from api.graphql.loaders import by_id
from api.graphql.nodes import Pull, RecordKind, first_or_none
from api.organisation.units import path_of
from api.registration import Registration
from schema.access.guards import query
from schema.core.pagination import DEFAULT_PAGE, Connection
from schema.organisation import monitoring_points
from schema.organisation.monitoring_points import MonitoringPoint
from schema.sync.changes import ChangeKind
from storage.access import visibility


@strawberry.type
class MonitoringPointQueries:
    @query(
        description="Monitoring points in the viewer's scope, sorted by code (监测点). A monitor finds only their own"
        " points."
    )
    async def monitoring_points(
        self,
        info: Info,
        below: strawberry.ID | None = None,
        industry: str | None = None,
        first: int = DEFAULT_PAGE,
        after: str | None = None,
    ) -> Connection[MonitoringPoint]:
        path = await path_of(info, below, "below")
        visible = visibility.monitoring_points(info.context.actor)
        return await paged(
            info.context,
            ("monitoring_points", below, industry),
            first,
            after,
            lambda page: info.context.store.monitoring_points.page(visible, page, below=path, industry=industry),
            lambda point: (point.code, point.id),
        )


async def _visible_points(context: Context, ids: Sequence[str]) -> list[MonitoringPoint]:
    return await context.store.monitoring_points.many(ids, visibility.monitoring_points(context.actor))


async def _find(context: Context, id: str) -> MonitoringPoint | None:
    return first_or_none(await _visible_points(context, [id]))


REGISTRATION = Registration(
    queries=(MonitoringPointQueries,),
    kinds=(RecordKind("pnt", _find, "Query.monitoringPoints", Pull(ChangeKind.MONITORING_POINT, _visible_points)),),
    loaders=(by_id(MonitoringPoint, lambda context, ids: context.store.monitoring_points.read_many(ids)),),
    permits=monitoring_points.PERMITS,
)
