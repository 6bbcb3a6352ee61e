"""Store users and their devices in MongoDB.

A stored device also has the `session_id` of its newest sign-in. Older sessions of the device may no longer act.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from schema.access.viewers import Role
from schema.accounts.sessions import normalize_user_name
from schema.accounts.users import Device, User
from schema.core.pagination import Page
from schema.core.sequences import KnownSequences
from storage.access.visibility import works_within
from storage.mongodb import keyset_pagination
from storage.mongodb.certain_reads import find_one_for_certain
from storage.mongodb.client import ASCENDING, Document, Filter, Mongo, Sort
from storage.mongodb.codecs import from_document, to_document
from storage.mongodb.combined_reads import Read
from storage.mongodb.filters import all_of
from storage.mongodb.records import Records

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
        self._mongo = mongo
        self._users = mongo.collection("users")
        self._records = Records(mongo, "users", User)

    async def by_id(self, id: str) -> User | None:
        return await self._one({"_id": id})

    async def by_user_name(self, user_name: str) -> User | None:
        """Return the user with this user name. Upper and lower case, and full and half width, are not distinguished."""
        return await self._one({"user_name": normalize_user_name(user_name)})

    async def by_subject(self, subject: str) -> User | None:
        """Return the active user with this identity-provider subject."""
        return await self._one({"subject": subject, "active": True})

    async def by_session(self, user_id: str, device_id: str, session_id: str) -> User | None:
        """Return the user if the account is active and this session of this device may act, otherwise None.

        None ends the session on the phone, so it must not come from a majority read, which can miss a sign-in just after
        a failover: a new primary may not know yet which of its writes the majority has.
        """
        acting = _acting_filter(user_id, device_id, session_id)
        if user := await self._one(acting):
            return user
        document = await find_one_for_certain(self._mongo, "users", acting)
        return from_document(User, document) if document else None

    async def many(self, ids: Sequence[str], visible: Filter | None = None) -> list[User]:
        """Return the users with these ids that match `visible`, in any order."""
        return await self._records.find(all_of({"_id": {"$in": list(ids)}}, visible or {}))

    def read_many(self, ids: Sequence[str], visible: Filter | None = None) -> Read[list[User]]:
        """Return what `many` does as a read that can run together with others."""
        return self._records.read(all_of({"_id": {"$in": list(ids)}}, visible or {}))

    async def named(self, user_names: Sequence[str]) -> list[User]:
        """Return the users with these user names. The names must be normalized."""
        return await self._records.find({"user_name": {"$in": list(user_names)}})

    async def page(
        self, visible: Filter, page: Page, *, role: Role | None = None, below: str | None = None
    ) -> list[User]:
        """Return a page of users, sorted by display name.

        `role` selects the users with this role. `below` selects the users with an office or a scope in the subtree at
        this path.
        """
        filters = all_of(visible, {"roles": role.value} if role else {}, works_within([below]) if below else {})
        return await keyset_pagination.fetch(self._records, filters, SORT, page)

    async def office_ids(self) -> list[str]:
        """Return the ids of the offices that have or had people."""
        found = await self._users.aggregate(
            [{"$match": {"office_id": {"$ne": None}}}, {"$group": {"_id": "$office_id"}}]
        )
        return sorted(document["_id"] for document in found)

    async def put_all(self, users: Sequence[User]) -> None:
        """Store each user under its id. A repeated call changes nothing.

        If a given user has no password or no devices, the stored password or devices are kept. Raise `DuplicateError`
        if a user name or subject belongs to another user. The other given users may be stored then.
        """
        await self._users.upsert_many([({"_id": user.id}, _upsert_of(user)) for user in users])

    async def set_password(self, user_id: str, password_hash: str, now: datetime) -> bool:
        """Set a new password and sign out every device of the user. Return False if the user does not exist."""
        fields = {"password_hash": {"$literal": password_hash}, "devices": _revoked_devices(now, which=True)}
        return await self._users.change_one({"_id": user_id}, [{"$set": fields}]) is not None

    async def change_password(self, user_id: str, old: str, new: str, device_id: str, now: datetime) -> User | None:
        """Replace the password hash `old` by `new`. Sign out all devices of the user except `device_id`.

        Return None if `old` is not the current hash or the account is closed.
        """
        others = {"$ne": ["$$this.id", {"$literal": device_id}]}
        fields = {"password_hash": {"$literal": new}, "devices": _revoked_devices(now, others)}
        changed = await self._users.change_one(
            {"_id": user_id, "active": True, "password_hash": old}, [{"$set": fields}]
        )
        return from_document(User, changed) if changed else None

    async def close(self, ids: Sequence[str], now: datetime) -> None:
        """Close these accounts, so that nobody can sign in, and sign out all their devices."""
        fields = {"active": False, "devices": _revoked_devices(now, which=True)}
        await self._users.update_many({"_id": {"$in": list(ids)}}, [{"$set": fields}])

    async def by_subjects(self, subjects: Sequence[str]) -> list[User]:
        """Return the users with these identity-provider subjects. Closed accounts are included."""
        return await self._records.find({"subject": {"$in": list(subjects)}})

    async def renew_password_hash(self, user_id: str, old: str, new: str) -> None:
        """Replace the hash `old` by `new`, a hash of the same password at the current cost.

        Do nothing if the password was changed meanwhile.
        """
        await self._users.update_one({"_id": user_id, "password_hash": old}, {"$set": {"password_hash": new}})

    async def add_device(self, user_id: str, device: Device, session_id: str) -> User | None:
        """Store the device as the user's newest, with `session_id` as the session that may act.

        Return None if the account does not exist or is closed. If there are more than `MAX_DEVICES` devices, signed-out
        devices are dropped first, and then the devices with the oldest sign-in.
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
        """Record that the device renewed its session. Return None if this session may no longer act."""
        changed = await self._users.change_one(
            _acting_filter(user_id, device_id, session_id), {"$set": {"devices.$.seen_at": now}}
        )
        return from_document(User, changed) if changed else None

    async def remember_sequences(self, user_id: str, device_id: str, known: KnownSequences) -> None:
        """Remember with the device which of its sequence numbers are stored. The next sign-in on it forgets them."""
        device: Filter = {"_id": user_id, "devices.id": device_id}
        await self._users.update_one(device, {"$set": {"devices.$.sequences": to_document(known)}})

    async def revoke_device(
        self, user_id: str, device_id: str, now: datetime, *, wiped_by: str | None = None
    ) -> Device | None:
        """Sign out the device for good and return it. Return None if the user has no such device.

        If `wiped_by` is given, the device must also erase the user's data. `wiped_by` is the person who orders this.
        """
        devices = _revoked_devices(now, {"$eq": ["$$this.id", {"$literal": device_id}]}, wiped_by)
        changed = await self._users.change_one(
            {"_id": user_id, "devices.id": device_id}, [{"$set": {"devices": devices}}]
        )
        known_devices = from_document(User, changed).devices if changed else ()
        return next((device for device in known_devices if device.id == device_id), None)

    async def wipe_devices(self, user_id: str, visible: Filter, now: datetime, wiped_by: str) -> User | None:
        """Sign out all devices of the user and order them to erase the user's data.

        Return None if the user does not exist or does not match `visible`.
        """
        fields = {"devices": _revoked_devices(now, which=True, wiped_by=wiped_by)}
        changed = await self._users.change_one(all_of({"_id": user_id}, visible), [{"$set": fields}])
        return from_document(User, changed) if changed else None

    async def revoke_session(self, user_id: str, session_id: str, now: datetime) -> None:
        """Sign out the device whose acting session is `session_id`. If the device has a newer session, do nothing."""
        devices = _revoked_devices(now, {"$eq": ["$$this.session_id", {"$literal": session_id}]})
        await self._users.change_one(
            {"_id": user_id, "devices.session_id": session_id}, [{"$set": {"devices": devices}}]
        )

    async def _one(self, filter: Filter) -> User | None:
        return await self._records.find_one(filter)


def keyset_of(user: User) -> tuple[str, str]:
    return user.display_name, user.id


def _acting_filter(user_id: str, device_id: str, session_id: str) -> Filter:
    device = {"id": device_id, "session_id": session_id, "revoked_at": None}
    return {"_id": user_id, "active": True, "devices": {"$elemMatch": device}}


def _revoked_devices(now: datetime, which: Any, wiped_by: str | None = None) -> Document:
    """Return a MongoDB expression for a user's devices, in which the selected devices are signed out.

    `which` is an expression of `$$this` that selects devices. With `wiped_by`, the selected devices must also erase
    their data. The time and person of an earlier sign-out or order are kept.
    """
    changes: Document = {"revoked_at": {"$ifNull": ["$$this.revoked_at", now]}}
    if wiped_by is not None:
        changes["wipe_ordered_by"] = {"$ifNull": ["$$this.wipe_ordered_by", {"$literal": wiped_by}]}
        changes["wipe_ordered_at"] = {"$ifNull": ["$$this.wipe_ordered_at", now]}
    revoked = {"$mergeObjects": ["$$this", changes]}
    return {"$map": {"input": _DEVICES, "in": {"$cond": [which, revoked, "$$this"]}}}


def _upsert_of(user: User) -> Document:
    """Return the update that stores `user`. It changes the password and the devices only if `user` has them."""
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
