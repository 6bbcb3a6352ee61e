"""Monitoring points: the lists that people browse and phones carry along."""

import strawberry

from api.graphql.context import Info
from api.organisation.units import path_of
from schema.access.guards import query
from schema.core.pagination import DEFAULT_PAGE, Connection
from schema.organisation.monitoring_points import MonitoringPoint
from storage.access import visibility


@strawberry.type
class MonitoringPointQueries:
    @query(description="Monitoring points of one's scope, by code; a monitor finds the monitor's own (监测点).")
    async def monitoring_points(
        self,
        info: Info,
        below: strawberry.ID | None = None,
        industry: str | None = None,
        first: int = DEFAULT_PAGE,
        after: str | None = None,
    ) -> Connection[MonitoringPoint]:
        seal = info.context.seal("monitoring_points", below, industry)
        page = seal.page(first, after)
        path = await path_of(info, below, "below")
        visible = visibility.monitoring_points(info.context.actor)
        found = await info.context.store.monitoring_points.page(visible, page, below=path, industry=industry)
        return seal.connection(found, page, lambda point: (point.code, point.id))
