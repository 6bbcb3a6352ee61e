"""Test a phone that several people use.

Each person sees only their own data, no file is readable, and the data of one person can be erased alone.
"""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx

from mobile_contract.documents import text_of
from mobile_contract.phone.ids import new_id
from mobile_contract.phone.storage.key_wrapping import StoreKey
from mobile_contract.phone.storage.photo_copies import Originals
from tests.support.network_faults import NetworkFault
from tests.support.phone_cli import Spawner, Terminal, photo
from tests.support.phone_folder import contents, readable
from tests.support.phone_sessions import PASSWORD
from tests.support.running_product import RunningProduct
from tests.support.world import World


def set_password(served: RunningProduct, user: str, password: str) -> None:
    async def work(world: World) -> None:
        found = await world.store.users.by_user_name(user)
        assert found
        hashed = await world.passwords.hash(password)
        assert await world.store.users.set_password(found.id, hashed, world.context(None).now)

    served.within(work)


def test_each_user_sees_and_sends_only_their_own_and_one_can_be_wiped_alone(
    terminal: Terminal, served: RunningProduct, inspector: str, tmp_path: Path
) -> None:
    terminal.do("take", photo(tmp_path, "a.jpg"), "--text", "甲")
    second = served.person()
    terminal.sign_in(served.address, second, PASSWORD)  # the same password opens both stores, but they stay apart
    assert terminal.states() == []
    terminal.do("take", "--text", "乙")
    terminal.do("send")
    assert [each["content"]["text"] for each in served.kept(second)["observations"].values()] == ["乙"]
    assert served.kept(inspector)["observations"] == {}
    rows = json.loads(terminal.do("users", "--json"))
    assert [(each["inUse"], each["locked"]) for each in sorted(rows, key=lambda each: each["locked"])] == [
        (True, False),
        (False, True),
    ]
    assert inspector not in terminal.do("users")
    assert inspector in terminal.do("users", "--try", password=PASSWORD)
    assert terminal.run("--as", served.person(), "status", password=PASSWORD) == 4
    terminal.do("--as", inspector.upper(), "send", "--wait", password=PASSWORD)
    assert [each["content"]["text"] for each in served.kept(inspector)["observations"].values()] == ["甲"]
    assert terminal.run("--as", inspector, "--at", "http://127.0.0.1:9", "status", password=PASSWORD) == 4
    assert [each["draft"]["text"] for each in terminal.status()["observations"]] == ["乙"], "still the one in use"

    terminal.do("--as", inspector, "take", "--text", "未发送", password=PASSWORD)
    wipe_from_elsewhere(served, inspector, terminal.stores.device_id)
    kept = terminal.unlocked()[0]
    [going] = [each for each in terminal.stores.all() if each.id != kept.id]
    before = contents(kept.root)
    assert terminal.run("--as", inspector, "send", password=PASSWORD) == 4
    assert "已全部清除" in terminal.output
    assert "未发送" not in terminal.output
    assert [each.id for each in terminal.stores.all()] == [kept.id]
    assert not [path for path in terminal.folder.rglob("*") if going.id in path.name]
    assert contents(kept.root) == before
    assert len(served.kept(inspector)["observations"]) == 1
    terminal.do("take", "--text", "丙")
    terminal.do("send")
    terminal.sign_in(served.address, inspector, PASSWORD)
    assert terminal.states() == []


def wipe_from_elsewhere(served: RunningProduct, user: str, device_id: str) -> None:
    def ask(operation: str, given: dict[str, Any], token: str = "") -> dict[str, Any]:
        body = {"query": text_of(operation), "variables": {"input": given}}
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        [root] = httpx.post(f"{served.own_address}/graphql", json=body, headers=headers).json()["data"].values()
        return dict(root)

    signed = ask(
        "SignIn", {"userName": user, "password": PASSWORD, "deviceId": new_id("dev"), "deviceName": "elsewhere"}
    )
    revoked = ask("RevokeDevice", {"deviceId": device_id, "wipe": True}, signed["accessToken"])
    assert revoked["device"]["wipeOrderedAt"]


def test_files_on_the_phone_reveal_nothing_even_after_a_kill(
    terminal: Terminal, served: RunningProduct, inspector: str, tmp_path: Path
) -> None:
    body = photo(tmp_path, "retaliation.jpg", 200_000).read_bytes()
    terminal.do("pull")
    terminal.do("take", tmp_path / "retaliation.jpg", "--text", "窗口吃拿卡要", "--unit", "360703-JT-1")
    assert terminal.run("send", kill_at=3) == -9
    [observation] = terminal.status()["observations"]
    assert terminal.run("take", "--text", "又一次", kill_at=2) == -9
    assert [path for path in terminal.folder.rglob("*-wal") if path.stat().st_size]
    session = terminal.session()
    with terminal.outbox() as outbox:
        [medium] = outbox.media()
    place, key = terminal.unlocked()
    assert b"".join(Originals(place.originals, key.originals).read(medium.file, 0, len(body))) == body
    secrets = (session.user_name, session.display_name, session.endpoint, served.address.rpartition("/")[2])
    tokens = (session.access_token, session.refresh_token, session.device_secret)
    assert all(tokens)
    words = (
        "窗口吃拿卡要",
        "又一次",
        "retaliation",
        "360703-JT-1",
        "南康",
        "INSPECTOR",
        "SQLite format 3",
        "observations",
    )
    ids = (
        observation["id"],
        medium.id,
        medium.sha256,
        sha256(body).digest(),
        PASSWORD,
        key.text.partition(".")[2],
        key.raw,
    )
    pieces = (b"\xff\xd8\xff\xe0", body[100:140], bytes(64))
    assert readable(terminal.folder, *secrets, *map(str, tokens), *words, *ids, *pieces[:2]) == []
    assert not [path for path in terminal.copies if pieces[2] in path.read_bytes()]
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "retaliation.jpg").write_bytes(body)
    assert readable(plain, "retaliation", *pieces), "what is looked for would be found"


def test_the_password_unlocks_offline_and_a_wrong_one_changes_nothing(
    terminal: Terminal, served: RunningProduct, inspector: str
) -> None:
    terminal.do("take", "--text", "甲")
    terminal.do("sign-out")
    assert "1 observations on this phone are not sent" in terminal.output
    served.server.choose_fault = lambda _: NetworkFault.LOSE
    before = contents(terminal.folder)
    assert terminal.run("sign-in", served.address, "--user", inspector, password="wrong") == 3
    assert "opens no store of that user" in terminal.output
    assert terminal.run("status", password="wrong") == 4
    assert terminal.run("take", "--text", "乙", password="wrong") == 4
    assert contents(terminal.folder) == before
    assert "离线解锁" in terminal.do("sign-in", served.address, "--user", inspector, password=PASSWORD)
    terminal.do("take", "--text", "乙")
    served.calm()
    before = contents(terminal.folder)
    assert terminal.run("sign-in", served.address, "--user", inspector, password="wrong") == 1
    assert contents(terminal.folder) == before
    terminal.sign_in(served.address, inspector, PASSWORD)
    terminal.do("send")
    assert terminal.states() == 2 * [("ACCEPTED", [])]


def test_a_new_password_set_on_the_server_opens_the_old_outbox(
    terminal: Terminal, served: RunningProduct, inspector: str, tmp_path: Path
) -> None:
    terminal.do("take", photo(tmp_path, "a.jpg"))
    set_password(served, inspector, "another-密码")
    assert terminal.run("send") == 4
    terminal.do("status", password=PASSWORD)  # the old password still opens, until the phone signs in with the new one
    terminal.sign_in(served.address, inspector, "another-密码")
    assert len(terminal.stores.all()) == 1
    assert terminal.run("status", password=PASSWORD) == 4
    terminal.do("send", "--wait", password="another-密码")
    assert terminal.states() == [("ACCEPTED", ["READY"])]


def test_observations_taken_before_sign_in_go_to_the_first_person_to_sign_in(
    spawner: Spawner, served: RunningProduct, inspector: str, tmp_path: Path
) -> None:
    terminal = Terminal(spawner, tmp_path / "phone", password="chosen-密码")
    terminal.do("take", "--text", "甲")
    before = contents(terminal.folder)
    assert terminal.run("sign-in", served.address, "--user", inspector, password=PASSWORD) == 4
    assert contents(terminal.folder).keys() - before.keys() == set()
    assert "登录前登记的内容" in terminal.output
    key = terminal.unlocked()[1].text
    code = spawner.run(
        lambda _: None,
        arguments=["sign-in", served.address, "--user", inspector],
        environment=terminal.environment(PASSWORD) | {"MINGCHA_PHONE_KEY": key},
        output=str(tmp_path / "out"),
        kill_at=0,
        dies_after=0,
    )
    assert code == 0, (tmp_path / "out").read_text()
    terminal.password = PASSWORD
    terminal.do("send", password=PASSWORD)
    assert [each["content"]["text"] for each in served.kept(inspector)["observations"].values()] == ["甲"]
    terminal.sign_in(served.address, served.person(), PASSWORD)
    assert (len(terminal.stores.all()), terminal.states()) == (2, [])


def test_a_store_opens_with_a_key_or_a_password_and_not_without(spawner: Spawner, tmp_path: Path) -> None:
    terminal = Terminal(spawner, tmp_path / "phone", password="")
    assert terminal.run("take", "--text", "甲") == 4, "there is nothing to lock it with"
    assert not list(terminal.folder.rglob("outbox.sqlite"))
    terminal.do("take", "--text", "甲", password="some-密码")
    assert terminal.run("status", password="") == 4
    assert 'eval "$(scripts/phone unlock)"' in terminal.output
    printed = terminal.do("unlock", password="some-密码")
    name, _, text = printed.strip().removeprefix("export ").partition("=")
    assert name == "MINGCHA_PHONE_KEY"
    terminal.key = StoreKey.read(text)
    assert [each["draft"]["text"] for each in terminal.status()["observations"]] == ["甲"]
    stale = terminal.environment("some-密码") | {"MINGCHA_PHONE_KEY": replace(terminal.key, raw=bytes(32)).text}
    for command, code in (("status", 4), ("unlock", 0)):
        output = str(tmp_path / "out")
        assert spawner.run(lambda _: None, arguments=[command], environment=stale, output=output) == code
    assert text in (tmp_path / "out").read_text()
