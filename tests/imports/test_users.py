"""Test the import of people and monitoring points: roles, scopes, passwords, monitors, and all faults at once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from api.accounts.passwords import Passwords
from api.imports.runner import Noun
from schema.access.viewers import Clearance, Role
from schema.accounts.users import Device, User
from tests.support.import_office import HEADER, NOW, UNITS, Office, counts
from tests.support.world import World, new_id

PEOPLE = ["用户名", "姓名", "角色", "管辖范围", "所属机构", "特别授权", "初始密码"]
POINTS = ["编号", "企业名称", "产业", "所属地区代码", "地址", "纬度", "经度", "坐标系", "监测员"]


async def test_users_are_imported_with_roles_scopes_and_passwords(office: Office) -> None:
    await office.load([HEADER, *UNITS])
    rows = [
        PEOPLE,
        ["XNB０１", "效能办01", "效能办、监督员", "360782；360783", "360703-JT", "身份", "a long password"],
        ["jc01", "监测员01", "monitor", "360703", "", "", ""],
    ]
    done = await office.load(rows, Noun.USERS)
    assert "a long password" not in " ".join([*done.lines(), repr(done)])
    assert done.remarks == (
        "row 2: 360782 is a former code of 360703 南康区; that unit is used.",
        "row 3: jc01 belongs to no office, so no office answers for what jc01 sends.",
    )
    units = await office.units()
    user = await office.store.users.by_user_name("xnb01")
    assert user
    assert user.roles == [Role.SUPERVISOR, Role.OFFICER]
    assert user.clearances == (Clearance.IDENTITY,)
    assert user.scope_paths == (units["360703"].path, units["360783"].path)
    assert user.office_path == units["360703-JT"].path
    assert (await Passwords().verify(user.password_hash, "a long password")).is_right
    rows[1][6] = "another password"
    rows[2][6] = "a first password"
    done = await office.load(rows, Noun.USERS)
    assert counts(done) == (0, 1, 1)
    assert done.remarks[-1] == "1 people have a password already; their initial password was ignored."
    again = await office.store.users.by_user_name("xnb01")
    assert again == user


async def test_all_faults_in_a_file_of_users_are_reported_without_passwords(office: Office) -> None:
    await office.load([HEADER, *UNITS])
    rows = [
        PEOPLE,
        ["a", "甲", "巡视员", "369999", "369998", "全部", "short1"],
        ["Ａ", "乙", "ADMIN", "", "", "", ""],
        ["b", "", "", "", "", "", ""],
    ]
    assert await office.faults(rows, Noun.USERS) == [
        (
            "row 2, column C (角色): 巡视员 is unknown: write one of INSPECTOR, MONITOR, SUPERVISOR, OFFICER, LIAISON, ADMIN, "
            "or its Chinese name."
        ),
        "row 2, column D (管辖范围): No unit has the code 369999: import it first, or correct the code.",
        "row 2, column E (所属机构): No unit has the code 369998: import it first, or correct the code.",
        "row 2, column F (特别授权): 全部 is unknown: write one of IDENTITY, or its Chinese name.",
        "row 2, column G (初始密码): A password needs 8 characters or more.",
        "row 3, column A (用户名): Row 2 has this user name already: keep one of the two.",
        "row 4, column B (姓名): A value is needed.",
        "row 4, column C (角色): A value is needed.",
    ]


async def test_an_import_without_passwords_keeps_the_stored_password(world: World, tmp_path: Path) -> None:
    office = Office(world.store, tmp_path)
    [before] = await world.store.users.many([world.people["inspector"].id])
    await world.store.users.put_all([replace(before, password_hash="kept")])
    done = await office.load([PEOPLE[:3], ["inspector", "新名字", "巡查员"]], Noun.USERS)
    assert [each.column for each in done.plan.changed[0].differences] == ["name"]
    [after] = await world.store.users.many([before.id])
    assert after == replace(before, display_name="新名字", password_hash="kept")


async def test_a_file_can_close_and_reopen_accounts_and_reset_passwords(world: World, tmp_path: Path) -> None:
    office, users = Office(world.store, tmp_path), world.store.users
    before = world.people["inspector"]
    device = Device(id=new_id("dev"), name="手机", signed_in_at=NOW, seen_at=NOW)
    await users.set_password(before.id, await Passwords().hash("forgotten password"), NOW)
    await users.add_device(before.id, device, "ses_1")
    header = [*PEOPLE[:3], "重设密码", "状态", "统一身份标识"]

    async def load(password: str, state: str, subject: str) -> tuple[list[str], User]:
        done = await office.load([header, ["inspector", "巡查员", "巡查员", password, state, subject]], Noun.USERS)
        assert password == "" or password not in " ".join([*done.lines(), repr(done)])
        [after] = await users.many([before.id])
        return [each.column for change in done.plan.changed for each in change.differences], after

    changed, after = await load("", "启用", "idp-7")
    assert (changed, after.subject) == (["name", "subject"], "idp-7")
    assert await users.by_subject("idp-7") == after
    assert after.devices[0].revoked_at is None
    changed, after = await load("a new password", "", "idp-7")
    assert changed == ["password"]
    assert (await Passwords().verify(after.password_hash, "a new password")).is_right
    assert after.devices[0].revoked_at
    assert await users.add_device(before.id, device, "ses_2")
    assert (await load("a new password", "ACTIVE", "idp-7"))[0] == []
    assert await users.by_session(before.id, device.id, "ses_2")
    changed, after = await load("", "停用", "")
    assert (changed, after.active, after.subject) == (["state", "subject"], False, None)
    assert after.devices[0].revoked_at
    assert await users.add_device(before.id, device, "ses_3") is None
    assert (await load("", "启用", ""))[0] == ["state"]
    assert await users.by_session(before.id, device.id, "ses_2") is None
    assert await users.add_device(before.id, device, "ses_4")


async def test_a_shared_subject_or_an_unknown_state_is_a_fault(office: Office) -> None:
    header = [*PEOPLE[:3], "状态", "subject", "重设密码"]
    await office.load([header, ["a", "甲", "ADMIN", "", "idp-1", ""]], Noun.USERS)
    rows = [
        header,
        ["b", "乙", "ADMIN", "休假", "idp-1", "short12"],
        ["c", "丙", "ADMIN", "", "idp-2", ""],
        ["d", "丁", "ADMIN", "", "idp-2", ""],
    ]
    assert await office.faults(rows, Noun.USERS) == [
        "row 2, column D (状态): An account is ACTIVE (启用) or CLOSED (停用).",
        "row 2, column E (subject): a has this subject: clear it there first.",
        "row 2, column F (重设密码): A password needs 8 characters or more.",
        "row 4, column E (subject): Row 3 has this subject already: keep one of the two.",
    ]


async def test_points_are_imported_with_positions_and_monitors(office: Office) -> None:
    await office.load([HEADER, *UNITS])
    await office.load(
        [PEOPLE[:4], ["jc01", "监测员01", "监测员", "360703"], ["jc02", "监测员02", "监测员", "360703"]], Noun.USERS
    )
    rows: list[list[Any]] = [
        POINTS,
        ["P1", "甲子家具厂（虚构）", "家具", 360703, "示范路1号", 25.66, 114.76, "高德", "jc01、JC02"],
        ["P2", "乙丑厂（虚构）", "钨", "360727"],
    ]
    assert counts(await office.load(rows, Noun.POINTS)) == (2, 0, 0)
    [point] = await office.store.monitoring_points.named(["P1"])
    county = (await office.units())["360703"]
    assert (point.unit_id, point.path, point.enterprise) == (county.id, county.path, "甲子家具厂（虚构）")
    assert point.position
    assert point.position.original_longitude == 114.76
    assert point.position.longitude != 114.76
    assert len(point.monitor_ids) == 2
    rows[1][8] = "jc02"
    done = await office.load(rows, Noun.POINTS)
    assert counts(done) == (0, 1, 1)
    assert "    monitors: jc01; jc02 -> jc02" in done.lines()
    assert (await office.store.monitoring_points.named(["P1"]))[0].id == point.id


async def test_all_faults_in_a_file_of_points_are_reported_at_once(office: Office) -> None:
    await office.load([HEADER, *UNITS])
    await office.load([PEOPLE[:3], ["jd01", "监督员01", "监督员"]], Noun.USERS)
    rows = [
        POINTS,
        ["P1", "", "家具", "360703-JT", "", "95", "200", "WGS84", "jd01; nobody"],
        ["P1", "厂", "", "369999", "", "abc", "114", "北京54"],
    ]
    assert await office.faults(rows, Noun.POINTS) == [
        "row 2, column B (企业名称): A value is needed.",
        "row 2, column D (所属地区代码): Name a region, such as a county; 360703-JT 南康区交通局 is a DEPARTMENT.",
        "row 2, column F (纬度): Not coordinates: latitude is within 90 degrees, longitude within 180, and not both are 0.",
        "row 2, column I (监测员): No user has the name nobody: import users before points.",
        "row 2, column I (监测员): jd01 is not a monitor: give the role MONITOR (监测员) first.",
        "row 3, column A (编号): Row 2 has the code P1 already: keep one of the two.",
        "row 3, column C (产业): A value is needed.",
    ]
