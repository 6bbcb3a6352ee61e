"""Define users: people with an account, their roles and scopes, and the devices that they sign in from."""

from datetime import datetime

import strawberry

from schema.access.permissions import SEEN, SIGNED_IN, Row, connection, only
from schema.access.viewers import Capacity, Clearance, Role
from schema.core.context import Info
from schema.core.nodes import Node
from schema.core.sequences import KnownSequences
from schema.core.times import to_minute
from schema.organisation.units import Unit


@strawberry.type(description="A phone or browser that a person signs in from (设备).")
class Device:
    id: strawberry.ID = strawberry.field(description="Id of the device: dev_ and a UUIDv7. The device makes the id.")
    name: str = strawberry.field(description="The owner's name for the device.")
    signed_in_at: datetime = strawberry.field(
        description="When the person last signed in on this device with a password."
    )
    seen_at: datetime = strawberry.field(description="When the device last renewed its session.")
    revoked_at: datetime | None = strawberry.field(
        description="When the device was signed out for good, or null.", default=None
    )
    wipe_ordered_at: datetime | None = strawberry.field(
        description="When the device was ordered to erase the data that it keeps for this account (远程清除), or null."
        " The device erases the data when it next connects.",
        default=None,
    )
    wipe_ordered_by: strawberry.Private[str | None] = None
    sequences: strawberry.Private[KnownSequences | None] = None


@strawberry.type(description="A person with an account (用户).")
class User(Node, prefix="usr"):
    display_name: str = strawberry.field(description="The name shown to others (姓名).")
    roles: list[Role] = strawberry.field(description="The person's roles (角色).")
    user_name: strawberry.Private[str]
    scope_ids: strawberry.Private[tuple[str, ...]] = ()
    scope_paths: strawberry.Private[tuple[str, ...]] = ()
    office_id: strawberry.Private[str | None] = None
    office_path: strawberry.Private[str | None] = None
    clearances: strawberry.Private[tuple[Clearance, ...]] = ()
    subject: strawberry.Private[str | None] = None
    active: strawberry.Private[bool] = True
    password_hash: strawberry.Private[str | None] = None
    devices: strawberry.Private[tuple[Device, ...]] = ()
    created_at: strawberry.Private[datetime | None] = None

    def __repr__(self) -> str:
        return f"User(id={self.id!r})"  # a traceback must not name people or carry a password's hash

    @strawberry.field(description="The office that the person works for (所属机构).")
    async def office(self, info: Info) -> Unit | None:
        return await info.context.load.one(Unit, self.office_id)

    @strawberry.field(description="The units in whose subtrees the person works (管辖范围).")
    async def scopes(self, info: Info) -> list[Unit]:
        return await info.context.load.many(Unit, self.scope_ids)


async def load_named(info: Info, id: str | None, capacity: Capacity) -> User | None:
    """Load the person of an act. Return None if the viewer must not learn who acted in that capacity.

    Also return None if `id` is None, because then no person acted.
    """
    viewer = info.context.viewer
    if id is None or viewer is None or not viewer.may_name(id, capacity):
        return None
    return await info.context.load.one(User, id)


def show_time(info: Info, at: datetime, by_id: str, capacity: Capacity) -> datetime:
    """Return the time of an act. Cut it to the minute if the viewer must not learn who acted in that capacity.

    Acts that one phone sends together have the same millisecond.
    """
    viewer = info.context.viewer
    return at if viewer is not None and viewer.may_name(by_id, capacity) else to_minute(at)


@strawberry.type(description="The signed-in person's own account (我的账户).")
class Me:
    user: User = strawberry.field(description="The account as others see it.")
    user_name: str = strawberry.field(description="The name to sign in with (用户名).")
    clearances: list[Clearance] = strawberry.field(description="Permissions in addition to the roles (特别授权).")
    devices: list[Device] = strawberry.field(
        description="The devices that the person signed in on, by last sign-in, newest first. Signed-out devices stay"
        " listed."
    )
    this_device_id: strawberry.ID | None = strawberry.field(
        description="Id of the device that sent this request. Null if an identity provider signs people in.",
        default=None,
    )


PERMITS: tuple[Row, ...] = (
    ("Query", SIGNED_IN, "me"),
    ("Query", only(Role.SUPERVISOR, Role.OFFICER, Role.ADMIN), "users"),
    ("Device", SEEN, "id name signedInAt seenAt revokedAt wipeOrderedAt"),
    ("Me", SEEN, "user userName clearances devices thisDeviceId"),
    ("User", SEEN, "id displayName roles office scopes"),
    *connection("User"),
)
