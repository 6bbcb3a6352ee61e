"""Test the stores of a phone: what opens one, what erases one, and how a damaged one is reported."""

import os
import shutil
from pathlib import Path

import httpx
import pytest

from mobile_contract.phone.device import PhoneDevice
from mobile_contract.phone.errors import DamagedStoreError, LockedError, SignInNeededError, WipeOrderedError
from mobile_contract.phone.network.backoff import Backoff
from mobile_contract.phone.storage.file_encryption import CHUNK, BrokenFileError, seal, unseal
from mobile_contract.phone.storage.folder import Folder
from mobile_contract.phone.storage.key_wrapping import Lock, StoreKey
from mobile_contract.phone.users.session import Account, Session
from mobile_contract.phone.users.user_stores import UserStores
from schema.accounts.sessions import wipe_proof
from tests.support.phone_cli import Spawner
from tests.support.phone_folder import LETTERS, SECRET, Killed, dying_at
from tests.support.phone_sessions import PASSWORD


def test_an_interrupted_erasure_of_a_store_is_finished_at_the_next_start(
    cheap: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills, survived = 0, False
    while not survived:
        root = tmp_path / f"phone-{kills}"
        made = UserStores(Folder.open(root))
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
            assert kept.lock.unwrap_with_password("one")
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
async def test_only_a_proven_order_of_the_server_erases_a_store(
    cheap: None,
    tmp_path: Path,
    said: dict[str, str],
    erases: bool,
) -> None:
    refused = {"__typename": "Refused", "message": "m", "messageZh": "m", "nextStep": "SIGN_IN_AGAIN"} | said

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"data": {"answer": refused}})

    with PhoneDevice.open(tmp_path, makes=True) as device:
        a_session().save(device.outbox)
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            account = Account(device.outbox, client, Backoff())
            with pytest.raises(WipeOrderedError if erases else SignInNeededError):
                await account.ask("MyReports", {"first": 1})
        kept = Session.read(device.outbox)
        assert kept
        assert kept.is_open == (said["code"] == "DEVICE_WIPED"), "what isn't proven lets go of nothing"
    if erases:
        with pytest.raises(WipeOrderedError), PhoneDevice.open(tmp_path) as device:
            raise WipeOrderedError
        assert UserStores(Folder(tmp_path)).all() == []


def test_a_damaged_file_is_named_and_left_unchanged(cheap: None, tmp_path: Path, spawner: Spawner) -> None:
    with PhoneDevice.open(tmp_path, makes=True) as device:
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
            with pytest.raises(DamagedStoreError):
                _ = UserStores(Folder(tmp_path)).device_id
        else:
            with pytest.raises(DamagedStoreError, match=path.name), PhoneDevice.open(tmp_path):
                pass
        assert path.read_bytes() == content
        path.write_bytes(whole)
    with PhoneDevice.open(tmp_path):
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


def test_the_security_page_states_the_cost_of_guessing_a_password() -> None:
    lock = Lock.make(StoreKey("a", bytes(32)), PASSWORD, is_nobodys=True)
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text("utf-8")
    assert f"Argon2id, {lock.passes} passes, {lock.memory_kib // 1024} MiB" in page


def test_another_stores_key_and_swapped_key_files_open_nothing(cheap: None, tmp_path: Path) -> None:
    made = UserStores(Folder.open(tmp_path))
    (one, key), (two, other) = made.make("one"), made.make("two")
    assert one.lock.unwrap_with_password("one") == key
    assert one.lock.unwrap_with_password("two") is None
    assert not one.lock.admits(other)
    with pytest.raises(LockedError):
        StoreKey.read("nonsense")
    shutil.copy(one.keys, two.keys)
    assert two.lock.unwrap_with_password("one") is None, "a store's keys are bound to it"
    locked = one.lock.with_device(key, SECRET)
    assert Lock.unwrap_with_device(locked, SECRET) == key
    assert locked.unwrap_with_device(bytes(32)) is None
    assert one.lock.unwrap_with_device(SECRET) is None


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_any_range_of_a_sealed_file_is_readable_and_any_change_is_detected(tmp_path: Path, size: int) -> None:
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
        with pytest.raises(BrokenFileError):
            b"".join(unseal(SECRET, path, 0, size))
    (tmp_path / "b").write_bytes(sealed)
    with pytest.raises(BrokenFileError):
        b"".join(unseal(SECRET, tmp_path / "b", 0, size))
