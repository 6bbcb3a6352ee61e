"""Store users and their devices in MongoDB.

A device also holds the `session_id` of its newest sign-in. Any other session of that device may no longer act.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from schema.access.viewers import Role
from schema.accounts.sessions import normalize_user_name
from schema.accounts.users import Device, User
from schema.core.pagination import Page
from storage.access.visibility import works_within
from storage.mongodb import keyset_pagination
from storage.mongodb.client import ASCENDING, Document, Filter, Mongo, Sort
from storage.mongodb.codecs import from_document, to_document
from storage.mongodb.filters import all_of

MAX_DEVICES = 20
SORT: Sort = (("display_name", ASCENDING), ("_id", ASCENDING))
INDEXES: list[tuple[Sort, dict[str, Any]]] = [
    ((("user_name", ASCENDING),), {"unique": True}),
    ((("subject", ASCENDING),), {"unique": True, "sparse": True}),
    ((("scope_paths", ASCENDING),), {}),
    ((("office_path", ASCENDING),), {}),
    (SORT, {}),
]
_DEVICES: Document = {"$ifNull": ["$devices", []]}


class Users:
    def __init__(self, mongo: Mongo) -> None:
        self._users = mongo.collection("users")

    async def by_id(self, id: str) -> User | None:
        return await self._one({"_id": id})

    async def by_user_name(self, user_name: str) -> User | None:
        """Find the user with that name, in any case and width."""
        return await self._one({"user_name": normalize_user_name(user_name)})

    async def by_subject(self, subject: str) -> User | None:
        """Find the active user whom an identity provider knows by `subject`."""
        return await self._one({"subject": subject, "active": True})

    async def by_session(self, user_id: str, device_id: str, session_id: str) -> User | None:
        """Find the user if that session of that device may act."""
        return await self._one(_acting_filter(user_id, device_id, session_id))

    async def many(self, ids: Sequence[str], visible: Filter | None = None) -> list[User]:
        """Find the users with these ids, in no order."""
        documents = await self._users.find(all_of({"_id": {"$in": list(ids)}}, visible or {}))
        return [from_document(User, document) for document in documents]

    async def named(self, user_names: Sequence[str]) -> list[User]:
        """Find the users with these names, which must be normalized."""
        documents = await self._users.find({"user_name": {"$in": list(user_names)}})
        return [from_document(User, document) for document in documents]

    async def page(
        self, visible: Filter, page: Page, *, role: Role | None = None, below: str | None = None
    ) -> list[User]:
        """Return users by name: with `role`, and with an office or scope in the subtree at the path `below`."""
        filters = all_of(visible, {"roles": role.value} if role else {}, works_within([below]) if below else {})
        return [
            from_document(User, document)
            for document in await keyset_pagination.fetch(self._users, filters, SORT, page)
        ]

    async def put_all(self, users: Sequence[User]) -> None:
        """Store each user under its id, idempotently. A record without password or devices keeps the stored ones.

        Raise `DuplicateError` if a user name or subject belongs to another user; other users may be stored by then.
        """
        await self._users.upsert_many([({"_id": user.id}, _upsert_of(user)) for user in users])

    async def set_password(self, user_id: str, password_hash: str, now: datetime) -> bool:
        """Set a new password and sign out every device. Return False if there is no such user."""
        fields = {"password_hash": {"$literal": password_hash}, "devices": _revoked_devices(now, which=True)}
        return await self._users.change_one({"_id": user_id}, [{"$set": fields}]) is not None

    async def change_password(self, user_id: str, old: str, new: str, device_id: str, now: datetime) -> User | None:
        """Replace the hash `old` by `new` and sign out every other device. Return None if `old` is not the current hash."""
        others = {"$ne": ["$$this.id", {"$literal": device_id}]}
        fields = {"password_hash": {"$literal": new}, "devices": _revoked_devices(now, others)}
        changed = await self._users.change_one(
            {"_id": user_id, "active": True, "password_hash": old}, [{"$set": fields}]
        )
        return from_document(User, changed) if changed else None

    async def close(self, ids: Sequence[str], now: datetime) -> None:
        """Close these accounts to sign-in and sign out every device of theirs."""
        fields = {"active": False, "devices": _revoked_devices(now, which=True)}
        await self._users.update_many({"_id": {"$in": list(ids)}}, [{"$set": fields}])

    async def by_subjects(self, subjects: Sequence[str]) -> list[User]:
        """Find the users whom an identity provider knows by `subjects`, also closed accounts."""
        documents = await self._users.find({"subject": {"$in": list(subjects)}})
        return [from_document(User, document) for document in documents]

    async def renew_password_hash(self, user_id: str, old: str, new: str) -> None:
        """Store the same password hashed at today's cost, unless the password has changed meanwhile."""
        await self._users.update_one({"_id": user_id, "password_hash": old}, {"$set": {"password_hash": new}})

    async def add_device(self, user_id: str, device: Device, session_id: str) -> User | None:
        """Put the device first and let `session_id` act for it. Return None if the user may not sign in.

        Beyond `MAX_DEVICES`, signed-out devices are dropped first, then those with the oldest sign-in.
        """
        others = {"$filter": {"input": _DEVICES, "cond": {"$ne": ["$$this.id", {"$literal": device.id}]}}}
        live, revoked = (
            {"$filter": {"input": others, "cond": {operator: [{"$ifNull": ["$$this.revoked_at", None]}, None]}}}
            for operator in ("$eq", "$ne")
        )
        new = {"$literal": to_document(device) | {"session_id": session_id}}
        devices = {"$slice": [{"$concatArrays": [[new], live, revoked]}, MAX_DEVICES]}
        changed = await self._users.change_one({"_id": user_id, "active": True}, [{"$set": {"devices": devices}}])
        return from_document(User, changed) if changed else None

    async def touch_device(self, user_id: str, device_id: str, session_id: str, now: datetime) -> User | None:
        """Record that the device renewed its session. Return None if that session may no longer act."""
        changed = await self._users.change_one(
            _acting_filter(user_id, device_id, session_id), {"$set": {"devices.$.seen_at": now}}
        )
        return from_document(User, changed) if changed else None

    async def revoke_device(
        self, user_id: str, device_id: str, now: datetime, *, wiped_by: str | None = None
    ) -> Device | None:
        """Sign out the device for good. Return None if the user has no such device.

        With `wiped_by`, the person who orders it, the device must also erase its data of the user.
        """
        devices = _revoked_devices(now, {"$eq": ["$$this.id", {"$literal": device_id}]}, wiped_by)
        changed = await self._users.change_one(
            {"_id": user_id, "devices.id": device_id}, [{"$set": {"devices": devices}}]
        )
        known_devices = from_document(User, changed).devices if changed else ()
        return next((device for device in known_devices if device.id == device_id), None)

    async def wipe_devices(self, user_id: str, visible: Filter, now: datetime, wiped_by: str) -> User | None:
        """Sign out every device and order each to erase its data. Return None if no such user is `visible`."""
        fields = {"devices": _revoked_devices(now, which=True, wiped_by=wiped_by)}
        changed = await self._users.change_one(all_of({"_id": user_id}, visible), [{"$set": fields}])
        return from_document(User, changed) if changed else None

    async def revoke_session(self, user_id: str, session_id: str, now: datetime) -> None:
        """Sign out the device if this is its acting session. A newer session of the device stays."""
        devices = _revoked_devices(now, {"$eq": ["$$this.session_id", {"$literal": session_id}]})
        await self._users.change_one(
            {"_id": user_id, "devices.session_id": session_id}, [{"$set": {"devices": devices}}]
        )

    async def _one(self, filter: Filter) -> User | None:
        document = await self._users.find_one(filter)
        return from_document(User, document) if document else None


def keyset_of(user: User) -> tuple[str, str]:
    return user.display_name, user.id


def _acting_filter(user_id: str, device_id: str, session_id: str) -> Filter:
    device = {"id": device_id, "session_id": session_id, "revoked_at": None}
    return {"_id": user_id, "active": True, "devices": {"$elemMatch": device}}


def _revoked_devices(now: datetime, which: Any, wiped_by: str | None = None) -> Document:
    """Return the expression that signs out the devices for which `which` (an expression of `$$this`) is true.

    With `wiped_by` they must also be wiped. An earlier sign-out or order stays on record.
    """
    changes: Document = {"revoked_at": {"$ifNull": ["$$this.revoked_at", now]}}
    if wiped_by is not None:
        changes["wipe_ordered_by"] = {"$ifNull": ["$$this.wipe_ordered_by", {"$literal": wiped_by}]}
        changes["wipe_ordered_at"] = {"$ifNull": ["$$this.wipe_ordered_at", now]}
    revoked = {"$mergeObjects": ["$$this", changes]}
    return {"$map": {"input": _DEVICES, "in": {"$cond": [which, revoked, "$$this"]}}}


def _upsert_of(user: User) -> Document:
    """Return the update that stores `user`. It sets password and devices only if the record has them."""
    fields = to_document(user)
    id, created_at = fields.pop("_id"), fields.pop("created_at")
    fields["user_name"] = normalize_user_name(fields["user_name"])
    once: Document = {"_id": id, "created_at": created_at}
    update: Document = {"$set": fields, "$setOnInsert": once}
    for name, empty in (("password_hash", None), ("devices", [])):
        if not fields[name]:
            del fields[name]
            once[name] = empty
    if fields["subject"] is None:  # a stored null would enter the sparse unique index, which allows only one
        del fields["subject"]
        update["$unset"] = {"subject": ""}
    return update
