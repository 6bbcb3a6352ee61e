"""Query the viewer's own account, and the people in the scope of a supervisor, officer or administrator."""

import strawberry

from api.graphql.context import Context, Info
from api.graphql.lists import paged
from api.graphql.loaders import by_id
from api.graphql.nodes import RecordKind, find_by_loader
from api.registration import Registration
from schema.access.guards import query
from schema.access.viewers import Role
from schema.accounts import users
from schema.accounts.users import Me, User
from schema.core.ids import validate_id
from schema.core.pagination import DEFAULT_PAGE, Connection
from schema.core.refusals import Refusal, RefusalCode
from schema.organisation.units import Unit
from storage.access import visibility
from storage.access.visibility import colleagues
from storage.accounts.users import keyset_of
from storage.mongodb.combined_reads import Read


@strawberry.type
class UserQueries:
    @query(description="The viewer's own account (我的账户).")
    async def me(self, info: Info) -> Me:
        viewer = info.context.actor
        user = await info.context.store.users.by_id(viewer.user_id)
        if user is None:
            raise Refusal(RefusalCode.SESSION_ENDED)
        return Me(
            user=user,
            user_name=user.user_name,
            clearances=list(user.clearances),
            devices=sorted(user.devices, key=lambda device: device.signed_in_at, reverse=True),
            this_device_id=strawberry.ID(viewer.device_id) if viewer.device_id else None,
        )

    @query(
        description="People who work in the viewer's scope, sorted by name (人员). Supervisors find only supervisors and"
        " officers."
    )
    async def users(
        self,
        info: Info,
        role: Role | None = None,
        unit_id: strawberry.ID | None = None,
        first: int = DEFAULT_PAGE,
        after: str | None = None,
    ) -> Connection[User]:
        below = None
        if unit_id is not None:
            unit = await info.context.load.one(Unit, validate_id(unit_id, "unt", field="unitId"))
            if unit is None:
                raise Refusal(RefusalCode.NOT_FOUND, field="unitId")
            below = unit.path
        return await paged(
            info.context,
            ("users", role, unit_id),
            first,
            after,
            lambda page: info.context.store.users.page(colleagues(info.context.actor), page, role=role, below=below),
            keyset_of,
        )


def _visible_people(context: Context, ids: list[str]) -> Read[list[User]]:
    return context.store.users.read_many(ids, visibility.people(context.actor))


REGISTRATION = Registration(
    queries=(UserQueries,),
    kinds=(RecordKind("usr", find_by_loader(User)),),
    loaders=(by_id(User, _visible_people),),
    permits=users.PERMITS,
)
