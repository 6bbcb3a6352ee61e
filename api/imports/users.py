"""Plan the import of users with roles, scopes, office and initial passwords. A user is identified by the user name.

A user who has a password keeps it, unless the file gives a new password. So importing a file twice signs nobody out.
Import units first.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import TypeVar

import strawberry

from api.accounts.passwords import Passwords
from api.imports.plans import Difference, ImportPlan, UnitNames, batches_of, codes_of, differences_of, fetch_by_names
from api.imports.tables import Column, ImportTable, TableRow, normalize
from schema.access.viewers import Clearance, Role
from schema.accounts.sessions import MAX_USER_NAME, MIN_PASSWORD, normalize_user_name
from schema.accounts.users import User
from schema.core.ids import compose
from schema.organisation.units import Unit
from storage.store import Store

COLUMNS = (
    Column(
        "user_name", ("user name", "用户名", "username", "账号"), required=True, is_code=True, max_length=MAX_USER_NAME
    ),
    Column("name", ("name", "姓名", "display name"), required=True, max_length=100),
    Column("roles", ("roles", "角色", "role"), required=True),
    Column("scopes", ("scopes", "管辖范围", "scope"), has_codes=True, max_length=5000),
    Column("office", ("office", "所属机构", "机构代码"), is_code=True, max_length=100),
    Column("clearances", ("clearances", "特别授权", "clearance")),
    Column("password", ("initial password", "初始密码", "password", "密码"), max_length=1000),
    Column("new_password", ("new password", "重设密码", "重置密码"), max_length=1000),
    Column("state", ("state", "状态", "账号状态")),
    Column("subject", ("subject", "统一身份标识", "身份标识"), max_length=200),
)
ROLES = {
    normalize(words): role
    for role, names in {
        Role.INSPECTOR: "INSPECTOR 巡查员",
        Role.MONITOR: "MONITOR 监测员",
        Role.SUPERVISOR: "SUPERVISOR 监督员",
        Role.OFFICER: "OFFICER 效能办 投诉中心 效能办工作人员",
        Role.LIAISON: "LIAISON 单位联络员 联络员",
        Role.ADMIN: "ADMIN 管理员 系统管理员",
    }.items()
    for words in names.split()
}
CLEARANCES = {normalize(words): Clearance.IDENTITY for words in ("IDENTITY", "身份", "身份知悉", "知悉身份")}
STATES = {
    normalize(words): active
    for active, names in {True: "ACTIVE 启用 在用 正常", False: "CLOSED 停用 注销 离职"}.items()
    for words in names.split()
}
WORKING_FOR_AN_OFFICE = frozenset({Role.INSPECTOR, Role.MONITOR, Role.OFFICER})
EXAMPLE = (
    ("xnb001", "南康区效能办01", "效能办", "360703", "360703-XNB", "身份", "change-me-at-once", "", "启用", ""),
    ("xc001", "巡查员001", "巡查员", "360703", "360703-XNB", "", "change-me-as-well", "", "启用", ""),
    ("jd001", "监督员001", "监督员", "360703; 360700", "360703-XNB", "", "", "", "启用", ""),
    ("jc001", "监测员001", "监测员", "360703", "360703-XNB", "", "", "", "启用", ""),
)
Choice = TypeVar("Choice", bound=Enum)


async def plan(store: Store, table: ImportTable, *, now: datetime, random: Callable[[int], bytes]) -> ImportPlan[User]:
    """Plan the import, and write nothing. Raise `BadTableError` with all faults of the file."""
    rows = _by_name(table)
    known = {user.user_name: user for user in await fetch_by_names(store.users.named, list(rows))}
    old_ids = [id for user in known.values() for id in (*user.scope_ids, user.office_id or "")]
    codes = [code for row in rows.values() for code in (*row.codes("scopes"), row.text("office"))]
    units = await UnitNames.fetch(store, codes)
    by_id = {str(unit.id): unit for unit in [*units.present.values(), *await fetch_by_names(store.units.many, old_ids)]}
    await _check_subjects(store, rows)
    passwords = FilePasswords(Passwords())
    import_plan, changed_users = ImportPlan[User](lambda users: _store(store, passwords, users, now)), []
    for name, row in rows.items():
        old = known.get(name)
        user = _user(row, name, old, units, now, random)
        differences = differences_of(_values(old, by_id), _values(user, by_id)) if old else None
        if (changed := await passwords.read(row, user, old)) and differences is not None:
            differences = [*differences, changed]
        if import_plan.add(row, f"{name} {user.display_name}", user, differences):
            changed_users.append(user)
    table.check()
    if passwords.ignored:
        table.remarks.append(f"{passwords.ignored} people have a password already; their initial password was ignored.")
    import_plan.batches = list(batches_of(changed_users))
    return import_plan


@dataclass
class FilePasswords:
    """The passwords in a file, by user id.

    `initial` is for users without a password, `new` for users who forgot their password. `ignored` counts initial
    passwords for users who already have one.
    """

    passwords: Passwords
    initial: dict[str, str] = field(default_factory=dict, repr=False)
    new: dict[str, str] = field(default_factory=dict, repr=False)
    ignored: int = 0

    async def read(self, row: TableRow, user: User, old: User | None) -> Difference | None:
        """Read the passwords in a row. Return the difference that they make, or None."""
        for column in ("password", "new_password"):
            if row.text(column) and len(row.text(column)) < MIN_PASSWORD:
                row.fault(column, f"A password needs {MIN_PASSWORD} characters or more.")
        known_hash = old.password_hash if old else None
        if new := row.text("new_password"):
            if (await self.passwords.verify(known_hash, new)).is_right:
                return None
            (self.new if known_hash else self.initial)[user.id] = new
            return Difference("password", "set" if known_hash else "none", "another one" if known_hash else "set")
        if not row.text("password"):
            return None
        if known_hash:
            self.ignored += 1
            return None
        self.initial[user.id] = row.text("password")
        return Difference("password", "none", "set")


async def _check_subjects(store: Store, rows: Mapping[str, TableRow]) -> None:
    """Add a fault to a row if its identity-provider subject belongs to another person, too."""
    known = {user.subject: user for user in await fetch_by_names(store.users.by_subjects, _subjects(rows))}
    first: dict[str, TableRow] = {}
    for name, row in rows.items():
        if not (subject := row.text("subject")):
            continue
        if subject in first:
            row.fault("subject", f"Row {first[subject].number} has this subject already: keep one of the two.")
        elif (other := known.get(subject)) and other.user_name != name:
            row.fault("subject", f"{other.user_name} has this subject: clear it there first.")
        first.setdefault(subject, row)


def _subjects(rows: Mapping[str, TableRow]) -> list[str]:
    return [row.text("subject") for row in rows.values()]


async def _store(store: Store, passwords: FilePasswords, users: list[User], now: datetime) -> None:
    """Hash the passwords of one batch of users, and store the batch."""
    # Close accounts first, which signs out their devices. If the records were stored first and this run was killed, the
    # next run would take the accounts for closed already and leave their devices signed in.
    await store.users.close([user.id for user in users if not user.active], now)
    records = []
    for user in users:
        initial = passwords.initial.get(user.id)
        new_hash = await passwords.passwords.hash(initial) if initial else None
        # Write no devices and no unchanged password: the user may be signing in, or changing the password.
        records.append(replace(user, password_hash=new_hash, devices=()))
    await store.users.put_all(records)
    for user in users:
        if new := passwords.new.get(user.id):
            await store.users.set_password(user.id, await passwords.passwords.hash(new), now)


def _by_name(table: ImportTable) -> dict[str, TableRow]:
    rows: dict[str, TableRow] = {}
    for row in table.rows:
        name = normalize_user_name(row.text("user_name"))
        if name in rows:
            row.fault("user_name", f"Row {rows[name].number} has this user name already: keep one of the two.")
        elif name:
            rows[name] = row
    return rows


def _user(
    row: TableRow, name: str, old: User | None, units: UnitNames, now: datetime, random: Callable[[int], bytes]
) -> User:
    user = old or User(
        id=strawberry.ID(compose("usr", now, random(10))), display_name="", roles=[], user_name=name, created_at=now
    )
    user = replace(user, display_name=row.text("name"), roles=_choices(row, "roles", ROLES, Role))
    if row.table.has("clearances"):
        user = replace(user, clearances=tuple(_choices(row, "clearances", CLEARANCES, Clearance)))
    if row.table.has("scopes"):
        scopes = [unit for code in row.codes("scopes") if (unit := units.find(row, "scopes", code))]
        user = replace(
            user, scope_ids=tuple(unit.id for unit in scopes), scope_paths=tuple(unit.path for unit in scopes)
        )
    if row.table.has("office"):
        office = units.find(row, "office", row.text("office")) if row.text("office") else None
        user = replace(user, office_id=office.id if office else None, office_path=office.path if office else None)
    if row.text("state"):
        active = STATES.get(normalize(row.text("state")))
        if active is None:
            row.fault("state", "An account is ACTIVE (启用) or CLOSED (停用).")
        user = replace(user, active=active is not False)
    if row.table.has("subject"):
        user = replace(user, subject=row.text("subject") or None)
    if not user.scope_paths:
        row.remark(f"{name} has no scope, and will see nothing.")
    if not (user.office_id or row.text("office")) and not WORKING_FOR_AN_OFFICE.isdisjoint(user.roles):
        row.remark(f"{name} belongs to no office, so no office answers for what {name} sends.")
    return user


def _choices(row: TableRow, column: str, choices: Mapping[str, Choice], kind: type[Choice]) -> list[Choice]:
    """Return the choices that are listed in a cell, in the order of `kind`."""
    chosen = set()
    for word in row.codes(column):
        if (choice := choices.get(normalize(word))) is None:
            allowed = ", ".join(str(member.value) for member in kind)
            row.fault(column, f"{word} is unknown: write one of {allowed}, or its Chinese name.")
        else:
            chosen.add(choice)
    return [member for member in kind if member in chosen]


def _values(user: User, units: Mapping[str, Unit]) -> dict[str, str]:
    offices = [units[user.office_id]] if user.office_id and user.office_id in units else []
    return {
        "name": user.display_name,
        "roles": "; ".join(str(role.value) for role in user.roles),
        "scopes": codes_of([units[id] for id in user.scope_ids if id in units]),
        "office": codes_of(offices),
        "clearances": "; ".join(str(clearance.value) for clearance in user.clearances),
        "state": "ACTIVE" if user.active else "CLOSED",
        "subject": user.subject or "",
    }
