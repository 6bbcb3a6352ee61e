"""Users in MongoDB: people by id, user name or subject, and the devices embedded in them, which say who may still act.

A device holds, beside what `schema/accounts/users.py` says, the `session_id` of its newest sign-in: what asks in the name of
another session of that device finds nobody. The tokens of a session are left to `storage/accounts/sessions.py`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from schema.access.viewers import Role
from schema.accounts.sessions import normal_user_name
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
        """Whoever signs in by that name, however it is written."""
        return await self._one({"user_name": normal_user_name(user_name)})

    async def by_subject(self, subject: str) -> User | None:
        """The active user that an identity provider knows by `subject`."""
        return await self._one({"subject": subject, "active": True})

    async def signed_in(self, user_id: str, device_id: str, session_id: str) -> User | None:
        """The user as long as that session of that device is the one that may act."""
        return await self._one(_acting(user_id, device_id, session_id))

    async def many(self, ids: Sequence[str], visible: Filter | None = None) -> list[User]:
        """Those of `ids` that there are, in no order."""
        found = await self._users.find(all_of({"_id": {"$in": list(ids)}}, visible or {}))
        return [from_document(User, document) for document in found]

    async def named(self, user_names: Sequence[str]) -> list[User]:
        """Whoever signs in by any of these names, which are in the form of `normal_user_name`."""
        found = await self._users.find({"user_name": {"$in": list(user_names)}})
        return [from_document(User, document) for document in found]

    async def page(
        self, visible: Filter, page: Page, *, role: Role | None = None, below: str | None = None
    ) -> list[User]:
        """By name: those who have `role`, and who work in the subtree at the path `below`, by office or by scope."""
        filters = all_of(visible, {"roles": role.value} if role else {}, works_within([below]) if below else {})
        return [
            from_document(User, document)
            for document in await keyset_pagination.fetch(self._users, filters, SORT, page)
        ]

    async def put_all(self, users: Sequence[User]) -> None:
        """Store each under its id, as often as one likes; a password or devices only where the record has them.

        Raises `AlreadyThere` where a user name or a subject is another user's; the others may be stored by then.
        """
        await self._users.upsert_many([({"_id": user.id}, _put(user)) for user in users])

    async def set_password(self, user_id: str, password_hash: str, now: datetime) -> bool:
        """Set a new password, which signs every device out; False where there is no such user."""
        fields = {"password_hash": {"$literal": password_hash}, "devices": _revoking(now, which=True)}
        return await self._users.change_one({"_id": user_id}, [{"$set": fields}]) is not None

    async def change_password(self, user_id: str, old: str, new: str, device_id: str, now: datetime) -> User | None:
        """Set the hash `new` where `old` still holds, and sign every device but this one out; None where it doesn't."""
        others = {"$ne": ["$$this.id", {"$literal": device_id}]}
        fields = {"password_hash": {"$literal": new}, "devices": _revoking(now, others)}
        changed = await self._users.change_one(
            {"_id": user_id, "active": True, "password_hash": old}, [{"$set": fields}]
        )
        return from_document(User, changed) if changed else None

    async def close(self, ids: Sequence[str], now: datetime) -> None:
        """Nobody signs in to these accounts any more, and every device of theirs is signed out."""
        fields = {"active": False, "devices": _revoking(now, which=True)}
        await self._users.update_many({"_id": {"$in": list(ids)}}, [{"$set": fields}])

    async def known_as(self, subjects: Sequence[str]) -> list[User]:
        """Whom an identity provider knows by one of `subjects`, closed accounts among them."""
        found = await self._users.find({"subject": {"$in": list(subjects)}})
        return [from_document(User, document) for document in found]

    async def renew_password_hash(self, user_id: str, old: str, new: str) -> None:
        """The same password hashed at today's cost; nothing where the password has been changed meanwhile."""
        await self._users.update_one({"_id": user_id, "password_hash": old}, {"$set": {"password_hash": new}})

    async def admit_device(self, user_id: str, device: Device, session_id: str) -> User | None:
        """Put the device first, with `session_id` as the session that may act; None where the user may not sign in.

        Beyond `MAX_DEVICES`, those signed out go first, then those that signed in longest ago.
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

    async def see_device(self, user_id: str, device_id: str, session_id: str, now: datetime) -> User | None:
        """Note that the device renewed its session; None where that session may not act any more."""
        changed = await self._users.change_one(
            _acting(user_id, device_id, session_id), {"$set": {"devices.$.seen_at": now}}
        )
        return from_document(User, changed) if changed else None

    async def revoke_device(
        self, user_id: str, device_id: str, now: datetime, *, wiped_by: str | None = None
    ) -> Device | None:
        """Sign the device out for good, from this moment on; None where the user has no such device.

        Where `wiped_by` names who orders it, the device is also to erase what it keeps of the user.
        """
        devices = _revoking(now, {"$eq": ["$$this.id", {"$literal": device_id}]}, wiped_by)
        changed = await self._users.change_one(
            {"_id": user_id, "devices.id": device_id}, [{"$set": {"devices": devices}}]
        )
        found = from_document(User, changed).devices if changed else ()
        return next((device for device in found if device.id == device_id), None)

    async def wipe_devices(self, user_id: str, visible: Filter, now: datetime, wiped_by: str) -> User | None:
        """Sign every device out, and have each erase what it keeps; None where no such user is `visible`."""
        fields = {"devices": _revoking(now, which=True, wiped_by=wiped_by)}
        changed = await self._users.change_one(all_of({"_id": user_id}, visible), [{"$set": fields}])
        return from_document(User, changed) if changed else None

    async def revoke_session(self, user_id: str, session_id: str, now: datetime) -> None:
        """Sign out the device whose acting session this is; a newer session of the same device goes on."""
        devices = _revoking(now, {"$eq": ["$$this.session_id", {"$literal": session_id}]})
        await self._users.change_one(
            {"_id": user_id, "devices.session_id": session_id}, [{"$set": {"devices": devices}}]
        )

    async def _one(self, filter: Filter) -> User | None:
        found = await self._users.find_one(filter)
        return from_document(User, found) if found else None


def keyset_of(user: User) -> tuple[str, str]:
    return user.display_name, user.id


def _acting(user_id: str, device_id: str, session_id: str) -> Filter:
    device = {"id": device_id, "session_id": session_id, "revoked_at": None}
    return {"_id": user_id, "active": True, "devices": {"$elemMatch": device}}


def _revoking(now: datetime, which: Any, wiped_by: str | None = None) -> Document:
    """The devices with those of which `which` (an expression of `$$this`) holds signed out; who was so already stays so.

    Where `wiped_by` names who orders it, they are to be wiped too; of two orders the first stays on record.
    """
    marks: Document = {"revoked_at": {"$ifNull": ["$$this.revoked_at", now]}}
    if wiped_by is not None:
        marks["wipe_ordered_by"] = {"$ifNull": ["$$this.wipe_ordered_by", {"$literal": wiped_by}]}
        marks["wipe_ordered_at"] = {"$ifNull": ["$$this.wipe_ordered_at", now]}
    revoked = {"$mergeObjects": ["$$this", marks]}
    return {"$map": {"input": _DEVICES, "in": {"$cond": [which, revoked, "$$this"]}}}


def _put(user: User) -> Document:
    """The update that stores `user`; what is known only after a first sign-in is set where it is given."""
    fields = to_document(user)
    id, created_at = fields.pop("_id"), fields.pop("created_at")
    fields["user_name"] = normal_user_name(fields["user_name"])
    once: Document = {"_id": id, "created_at": created_at}
    update: Document = {"$set": fields, "$setOnInsert": once}
    for name, empty in (("password_hash", None), ("devices", [])):
        if not fields[name]:
            del fields[name]
            once[name] = empty
    if fields["subject"] is None:  # absent, or the sparse index would hold one user without a subject and no more
        del fields["subject"]
        update["$unset"] = {"subject": ""}
    return update
