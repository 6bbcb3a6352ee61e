"""A phone that several people use: each sees and sends the own, nothing can be read on it, and one alone is wiped."""

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from mobile_contract.documents import text_of
from mobile_contract.phone import locks
from mobile_contract.phone.backoff import Backoff
from mobile_contract.phone.device import Device
from mobile_contract.phone.faults import Damaged, Locked, SignInAgain, Wiped
from mobile_contract.phone.folder import Folder
from mobile_contract.phone.ids import new_id
from mobile_contract.phone.locks import Lock, StoreKey
from mobile_contract.phone.orders import secret_of
from mobile_contract.phone.originals import Originals
from mobile_contract.phone.sealing import CHUNK, Broken, seal, unseal
from mobile_contract.phone.session import Account, Session
from mobile_contract.phone.stores import Stores
from mobile_contract.phone.tables import LEVEL, statements
from schema.sessions import device_secret, wipe_proof
from tests.bad_network import Fate
from tests.made_pictures import saved
from tests.phones import PASSWORD
from tests.served import Served
from tests.terminals import Spawner, Terminal, photo
from tests.world import World

SECRET = bytes(range(32))
LETTERS = device_secret("usr_1", "dev_1", SECRET)


def readable(folder: Path, *wanted: str | bytes) -> list[tuple[str, str | bytes]]:
    """What of `wanted` stands in a file of the folder or in the name of one, in UTF-8 or UTF-16."""
    found: list[tuple[str, str | bytes]] = []
    for path in folder.rglob("*"):
        content = str(path.relative_to(folder)).encode() + (path.read_bytes() if path.is_file() else b"")
        for each in wanted:
            spelt = [each] if isinstance(each, bytes) else [each.encode(), each.encode("utf-16-le")]
            found += [(path.name, each) for one in spelt if one in content]
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock" and not path.name.endswith("-shm")
    }


def set_password(served: Served, user: str, password: str) -> None:
    async def work(world: World) -> None:
        found = await world.store.users.by_user_name(user)
        assert found
        hashed = await world.passwords.hash(password)
        assert await world.store.users.set_password(found.id, hashed, world.context(None).now)

    served.within(work)


def test_each_user_sees_and_sends_the_own_and_one_is_wiped_alone(
    terminal: Terminal, served: Served, inspector: str, tmp_path: Path
) -> None:
    terminal.do("take", photo(tmp_path, "a.jpg"), "--text", "甲")
    second = served.person()
    terminal.sign_in(served.address, second, PASSWORD)  # the same password: it opens both, and is told from the first
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


def wipe_from_elsewhere(served: Served, user: str, device_id: str) -> None:
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


def test_nothing_on_the_phone_can_be_read_also_after_a_kill(
    terminal: Terminal, served: Served, inspector: str, tmp_path: Path
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


def test_without_a_line_the_password_unlocks_and_another_changes_nothing(
    terminal: Terminal, served: Served, inspector: str
) -> None:
    terminal.do("take", "--text", "甲")
    terminal.do("sign-out")
    assert "1 observations wait" in terminal.output
    served.server.fate = lambda _: Fate.LOSE
    before = contents(terminal.folder)
    assert terminal.run("sign-in", served.address, "--user", inspector, password="wrong") == 3
    assert "opens nothing that is kept here" in terminal.output
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


def test_a_password_set_anew_on_the_server_opens_the_old_outbox(
    terminal: Terminal, served: Served, inspector: str, tmp_path: Path
) -> None:
    terminal.do("take", photo(tmp_path, "a.jpg"))
    set_password(served, inspector, "another-密码")
    assert terminal.run("send") == 4
    terminal.do("status", password=PASSWORD)  # until the phone has heard of the other
    terminal.sign_in(served.address, inspector, "another-密码")
    assert len(terminal.stores.all()) == 1
    assert terminal.run("status", password=PASSWORD) == 4
    terminal.do("send", "--wait", password="another-密码")
    assert terminal.states() == [("ACCEPTED", ["READY"])]


def test_what_was_taken_before_the_first_sign_in_becomes_the_first_ones(
    spawner: Spawner, served: Served, inspector: str, tmp_path: Path
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


def test_a_key_spares_the_password_and_nothing_opens_without_either(spawner: Spawner, tmp_path: Path) -> None:
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


# In this process: what takes many kills, or answers that no server gives


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "MEMORY_KIB", 8)
    monkeypatch.setattr(locks, "PASSES", 1)
    monkeypatch.setenv("MINGCHA_PHONE_PASSWORD", PASSWORD)
    monkeypatch.delenv("MINGCHA_PHONE_KEY", raising=False)


class Killed(BaseException):
    pass


def earlier_phone(root: Path) -> bytes:
    """A folder as phones wrote it before they encrypted anything; the bytes of its photo."""
    (root / "originals").mkdir(parents=True)
    body = saved(Image.new("RGB", (48, 36), "#2a6")) + bytes(CHUNK)
    (root / "originals" / "med_1.jpeg").write_bytes(body)
    (root / "originals" / "med_1.jpeg").chmod(0o400)
    said = {
        "endpoint": "http://old.example/graphql",
        "user_name": "laowang",
        "display_name": "老王",
        "roles": ["INSPECTOR"],
    }
    tokens = {"access_token": "old-access", "refresh_token": "old-refresh", "refresh_expires_at": None}
    (root / "session.json").write_text(json.dumps(said | tokens, ensure_ascii=False))
    with closing(sqlite3.connect(root / "outbox.sqlite", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        for statement in statements(0):
            database.execute(statement)
        facts = [("device_id", "dev_old"), ("last_sequence", "7"), ("first_own_sequence", "5")]
        database.executemany("INSERT INTO facts VALUES (?, ?)", facts)
        database.execute(
            "INSERT INTO observations (id, sequence, draft, state) VALUES ('obs_7', 7, '{\"text\": \"旧\"}', 'QUEUED')"
        )
        row = ("med_1", "obs_7", 0, "med_1.jpeg", "a.jpg", sha256(body).hexdigest(), len(body), "image/jpeg", "WAITING")
        database.execute(
            "INSERT INTO media (id, observation_id, place, file, name, sha256, byte_size, content_type, state)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        database.execute(f"PRAGMA user_version={LEVEL}")
    return body


def test_an_earlier_phones_folder_is_taken_over_whenever_it_is_killed(
    cheap: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = earlier_phone(tmp_path / "earlier")
    kills = 0
    while True:
        root = tmp_path / f"phone-{kills}"
        shutil.copytree(tmp_path / "earlier", root)
        with dying_at(kills, monkeypatch):
            try:
                with Device.opened(root):
                    survived = True
            except Killed:
                survived = False
        with Device.opened(root) as device:
            [observation] = device.outbox.observations()
            assert (observation.draft, observation.sequence) == ({"text": "旧"}, 7)
            assert device.outbox.device_id == Stores(Folder(root)).device_id == "dev_old"
            session = Session.read(device.outbox)
            assert session
            assert (session.user_name, session.refresh_token) == ("laowang", "old-refresh")
            [medium] = observation.media
            device.outbox.note("session", json.dumps(vars(replace(session, device_secret=LETTERS))))
            assert device.originals.verify(medium.file, medium.sha256) == {}
        [place] = Stores(Folder(root)).all()
        assert place.lock.opened_by_device(secret_of(LETTERS)), "once it has met the server, its secret opens it too"
        assert {path.name for path in root.iterdir()} == {"current", "device.json", "lock", "users"}
        assert readable(root, "laowang", "老王", "old-refresh", "obs_7", "med_1", "SQLite format", body[100:140]) == []
        if survived:
            break
        kills += 1
    assert kills > 15


@contextmanager
def dying_at(moment: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Killed at the moment of that number: before a file is made last, and before one is renamed or removed."""
    left = moment
    with monkeypatch.context() as patched:

        def dying(real: Any) -> Any:
            def step(*arguments: Any, **named: Any) -> Any:
                nonlocal left
                if left == 0:
                    raise Killed
                left -= 1
                return real(*arguments, **named)

            return step

        patched.setattr(os, "fsync", dying(os.fsync))
        patched.setattr(Path, "rename", dying(Path.rename))
        patched.setattr(Path, "unlink", dying(Path.unlink))
        yield


def test_nobody_elses_password_locks_what_an_earlier_phone_kept(spawner: Spawner, tmp_path: Path) -> None:
    earlier_phone(tmp_path / "phone")
    terminal = Terminal(spawner, tmp_path / "phone")
    before = contents(terminal.folder)
    assert terminal.run("sign-in", "http://old.example", "--user", "xiaoli", password="hers") == 4
    assert "laowang" in terminal.output
    assert terminal.run("status", password="") == 4
    assert contents(terminal.folder) == before
    assert terminal.run("sign-in", "http://127.0.0.1:1", "--user", "xiaoli", password="hers") == 4
    assert contents(terminal.folder) == before
    assert [each["draft"] for each in terminal.status()["observations"]] == [{"text": "旧"}]


def test_a_store_that_was_being_erased_is_erased_at_the_next_start(
    cheap: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills, survived = 0, False
    while not survived:
        root = tmp_path / f"phone-{kills}"
        made = Stores(Folder.open(root))
        kept, _ = made.make("one")
        going, _ = made.make("two")
        made.use(going.id)
        with dying_at(kills, monkeypatch):
            try:
                made.erase(going)
                survived = True
            except Killed:
                pass
        if kills:
            assert not going.keys.exists() or not going.keys.read_bytes().strip(b"\0"), "its keys went first"
            made.sweep()
            assert [each.id for each in made.all()] == [kept.id]
            assert sorted(path.name for path in (root / "users").iterdir()) == [kept.id]
            assert kept.lock.opened_by_password("one")
        kills += 1
    assert kills > 4


def a_session() -> Session:
    return Session("http://x/graphql", "u", "U", ("INSPECTOR",), "access", "ses_1.aaa", None, LETTERS)


@pytest.mark.parametrize(
    ("said", "erases"),
    [
        ({"code": "DEVICE_WIPED", "proof": wipe_proof("usr_1", "dev_1", "ses_1.aaa", SECRET)}, True),
        ({"code": "DEVICE_WIPED", "proof": wipe_proof("usr_1", "dev_1", "ses_0.aaa", SECRET)}, False),  # replayed
        ({"code": "DEVICE_WIPED", "proof": wipe_proof("usr_2", "dev_1", "ses_1.aaa", SECRET)}, False),
        ({"code": "DEVICE_WIPED", "proof": "清除"}, False),
        ({"code": "DEVICE_WIPED"}, False),
        ({"code": "SESSION_ENDED", "proof": wipe_proof("usr_1", "dev_1", "ses_1.aaa", SECRET)}, False),
    ],
)
async def test_only_the_servers_own_order_erases(
    cheap: None,
    tmp_path: Path,
    said: dict[str, str],
    erases: bool,
) -> None:
    refused = {"__typename": "Refused", "message": "m", "messageZh": "m", "nextStep": "SIGN_IN_AGAIN"} | said

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"data": {"answer": refused}})

    with Device.opened(tmp_path, makes=True) as device:
        a_session().keep(device.outbox)
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            account = Account(device.outbox, client, Backoff())
            with pytest.raises(Wiped if erases else SignInAgain):
                await account.ask("MyReports", {"first": 1})
        kept = Session.read(device.outbox)
        assert kept
        assert kept.is_open == (said["code"] == "DEVICE_WIPED"), "what isn't proven lets go of nothing"
    if erases:
        with pytest.raises(Wiped), Device.opened(tmp_path) as device:
            raise Wiped
        assert Stores(Folder(tmp_path)).all() == []


def test_what_is_damaged_is_said_and_left_alone(cheap: None, tmp_path: Path, spawner: Spawner) -> None:
    with Device.opened(tmp_path, makes=True) as device:
        place = device.place
    keys = place.keys.read_bytes()
    outbox = place.outbox.read_bytes()
    garbled = keys.replace(b'"memoryKib": 8', b'"memoryKib": 99999999')
    for path, content in (
        (place.keys, b"{}"),
        (place.keys, b"\xff" * 10),
        (place.keys, garbled),
        (place.outbox, outbox[:100] + b"?" * 100 + outbox[200:]),
        (tmp_path / "device.json", b"[]"),
    ):
        whole = path.read_bytes()
        path.chmod(0o600)
        path.write_bytes(content)
        if path.name == "device.json":
            with pytest.raises(Damaged):
                _ = Stores(Folder(tmp_path)).device_id
        else:
            with pytest.raises(Damaged, match=path.name), Device.opened(tmp_path):
                pass
        assert path.read_bytes() == content
        path.write_bytes(whole)
    with Device.opened(tmp_path):
        pass
    place.keys.write_bytes(b"{}")
    code = spawner.run(
        lambda _: None,
        arguments=["status"],
        environment={
            "MINGCHA_PHONE_FOLDER": str(tmp_path),
            "MINGCHA_PHONE_PASSWORD": PASSWORD,
            "MINGCHA_PHONE_KEY": "",
        },
        output=str(tmp_path / "out"),
        kill_at=0,
        dies_after=0,
    )
    assert code == 2
    assert "keys.json is damaged" in (tmp_path / "out").read_text()


def test_guessing_a_password_costs_what_the_page_says() -> None:
    lock = Lock.make(StoreKey("a", bytes(32)), PASSWORD, is_nobodys=True)
    page = (Path(__file__).parent.parent / "docs" / "security.md").read_text("utf-8")
    assert f"Argon2id, {lock.passes} passes, {lock.memory_kib // 1024} MiB" in page


def test_a_key_of_another_store_and_keys_that_were_swapped_open_nothing(cheap: None, tmp_path: Path) -> None:
    made = Stores(Folder.open(tmp_path))
    (one, key), (two, other) = made.make("one"), made.make("two")
    assert one.lock.opened_by_password("one") == key
    assert one.lock.opened_by_password("two") is None
    assert not one.lock.admits(other)
    with pytest.raises(Locked):
        StoreKey.read("nonsense")
    shutil.copy(one.keys, two.keys)
    assert two.lock.opened_by_password("one") is None, "a store's keys are bound to it"
    locked = one.lock.under_device(key, SECRET)
    assert Lock.opened_by_device(locked, SECRET) == key
    assert locked.opened_by_device(bytes(32)) is None
    assert one.lock.opened_by_device(SECRET) is None


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_any_stretch_of_a_sealed_file_is_read_and_any_change_is_noticed(tmp_path: Path, size: int) -> None:
    plain = os.urandom(size)
    path = tmp_path / "a"
    with path.open("wb") as writer:
        seal(SECRET, "a", [plain[:10], plain[10:]], writer)
    for start, count in ((0, size), (0, 1), (size - 1, 1), (size // 2, CHUNK), (size // 3, size // 2)):
        assert b"".join(unseal(SECRET, path, start, count)) == plain[start : start + count]
    sealed = path.read_bytes()
    chunks = [sealed[at : at + CHUNK + 16] for at in range(16, len(sealed), CHUNK + 16)]
    changed = [sealed[:-1], sealed[:20], sealed[:10], sealed[:16] + bytes(1) + sealed[17:], bytes(1) + sealed[1:]]
    changed += [sealed[:16] + b"".join(chunks[:-1])] if len(chunks) > 1 else []
    changed += [sealed[:16] + b"".join([chunks[1], chunks[0], *chunks[2:]])] if len(chunks) > 2 else []
    for each in changed:
        if each == sealed:
            continue
        path.write_bytes(each)
        with pytest.raises(Broken):
            b"".join(unseal(SECRET, path, 0, size))
    (tmp_path / "b").write_bytes(sealed)
    with pytest.raises(Broken):
        b"".join(unseal(SECRET, tmp_path / "b", 0, size))
