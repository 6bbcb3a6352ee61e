"""Find, make and erase the stores of this phone's users.

A store's name is random. A digest of the user's name would let a finder of the phone check guessed names.
So the phone finds a store by trying the given key or password on each store.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import BinaryIO

from mobile_contract.phone.errors import DamagedStoreError
from mobile_contract.phone.ids import new_id
from mobile_contract.phone.outbox.outbox import Outbox
from mobile_contract.phone.storage.database import KEY_BYTES
from mobile_contract.phone.storage.folder import Folder, erase, sync_folder, write_private
from mobile_contract.phone.storage.key_wrapping import Lock, StoreKey
from mobile_contract.phone.users.session import Session

_MAKING, _GOING = ".making", ".going"


@dataclass(frozen=True)
class StoreLocation:
    """The paths of one store."""

    id: str
    root: Path

    @property
    def keys(self) -> Path:
        return self.root / "keys.json"

    @property
    def outbox(self) -> Path:
        return self.root / "outbox.sqlite"

    @property
    def originals(self) -> Path:
        return self.root / "originals"

    @property
    def lock(self) -> Lock:
        """Read `keys.json`. Raise `DamagedStoreError` if it is missing or invalid."""
        try:
            return Lock.read(self.keys, self.id)
        except FileNotFoundError:
            raise DamagedStoreError(self.keys) from None


class UserStores:
    """The stores of a folder. Only the process that has locked the folder may change them."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def all(self) -> list[StoreLocation]:
        """List the stores in the order of their random names."""
        users = self._folder.users
        names = sorted(path.name for path in users.iterdir()) if users.is_dir() else []
        return [StoreLocation(name, users / name) for name in names if "." not in name]

    def find(self, id: str) -> StoreLocation | None:
        return next((place for place in self.all() if place.id == id), None)

    def current(self) -> StoreLocation | None:
        """Return the store that commands use if they select no user. Return None if there is no such store."""
        try:
            return self.find(self._folder.current.read_text(encoding="ascii").strip())
        except (FileNotFoundError, ValueError):
            return None

    def unowned(self) -> StoreLocation | None:
        """Return the store of items taken before the first sign-in. The first person to sign in gets it."""
        return next((place for place in self.all() if _is_nobodys(place)), None)

    def use(self, id: str) -> None:
        """Make this store the current one."""
        if (known := self.current()) is None or known.id != id:
            write_private(self._folder.current, id)

    def unlock_each(self, by: Callable[[Lock], StoreKey | None]) -> Iterator[tuple[StoreLocation, StoreKey]]:
        """Yield each store for which `by` returns a valid key, with this key. The current store comes first.

        Skip stores whose `keys.json` is damaged.
        """
        current = self.current()
        for place in sorted(self.all(), key=lambda place: current is None or place.id != current.id):
            try:
                lock = place.lock
            except DamagedStoreError:
                continue
            key = by(lock)
            if key is not None and lock.admits(key):
                yield place, key

    def session_in(self, place: StoreLocation, key: StoreKey) -> Session | None:
        """Return the owner's session, or None if nobody has signed in to the store. Raise `DamagedStoreError`."""
        with closing(Outbox(place.outbox, key.database)) as outbox:
            return Session.read(outbox)

    @property
    def device_id(self) -> str:
        """Return the device's id. Make one if there is none. Raise `DamagedStoreError` if its file is damaged."""
        path = self._folder.device
        try:
            return str(json.loads(path.read_bytes())["deviceId"])
        except FileNotFoundError:
            self.set_device_id(new_id("dev"))
            return self.device_id
        except (ValueError, LookupError, TypeError) as error:
            raise DamagedStoreError(path) from error

    def set_device_id(self, id: str) -> None:
        write_private(self._folder.device, json.dumps({"deviceId": id}))

    def make(
        self,
        password: str,
        fill: Callable[[StoreLocation, StoreKey], None] | None = None,
        *,
        id: str | None = None,
        is_nobodys: bool = False,
    ) -> tuple[StoreLocation, StoreKey]:
        """Make a store that `password` opens, all or nothing. `fill` writes first content into the store."""
        key = StoreKey(id or token_hex(8), token_bytes(KEY_BYTES))
        self._folder.users.mkdir(mode=0o700, exist_ok=True)
        temporary = StoreLocation(key.store_id, self._folder.users / f"{key.store_id}{_MAKING}")
        if temporary.root.exists():
            shutil.rmtree(temporary.root)
        temporary.root.mkdir(mode=0o700)
        write_private(temporary.keys, Lock.make(key, password, is_nobodys=is_nobodys).text)
        if fill:
            fill(temporary, key)
        with closing(Outbox(temporary.outbox, key.database, self.device_id)):
            pass
        sync_folder(temporary.root)
        location = StoreLocation(key.store_id, self._folder.users / key.store_id)
        temporary.root.rename(location.root)
        sync_folder(self._folder.users)
        return location, key

    def relock(self, place: StoreLocation, lock: Lock) -> None:
        """Replace `keys.json` and overwrite the old file on disk, so that no former password opens remains of it."""
        with place.keys.open("r+b") as former:
            write_private(place.keys, lock.text)
            _overwrite(former)

    def erase(self, place: StoreLocation) -> None:
        """Erase one store for good. Erase its keys first, because the rest is unreadable without them."""
        _blank(place.keys)
        going = place.root.with_name(f"{place.id}{_GOING}")
        place.root.rename(going)
        sync_folder(self._folder.users)
        if not self.current():
            self._folder.current.unlink(missing_ok=True)
        self._remove(going)

    def sweep(self) -> None:
        """Remove stores that are partly erased or partly made, because the process was killed."""
        users = self._folder.users
        for path in list(users.iterdir()) if users.is_dir() else ():
            if path.name.endswith((_MAKING, _GOING)):
                self._remove(path)
            elif _is_blank(path / "keys.json"):
                self.erase(StoreLocation(path.name, path))

    def _remove(self, root: Path) -> None:
        for path in root.glob("keys.json*"):
            erase(path)
        shutil.rmtree(root)
        sync_folder(self._folder.users)


def _is_nobodys(place: StoreLocation) -> bool:
    try:
        return place.lock.is_nobodys
    except DamagedStoreError:
        return False


def _blank(keys: Path) -> None:
    """Overwrite `keys.json` with zeros on disk. A `keys.json` of zeros marks a store that must be erased."""
    if keys.exists():
        with keys.open("r+b") as file:
            _overwrite(file)


def _overwrite(file: BinaryIO) -> None:
    file.write(bytes(os.fstat(file.fileno()).st_size))
    file.flush()
    os.fsync(file.fileno())


def _is_blank(keys: Path) -> bool:
    try:
        content = keys.read_bytes()
    except FileNotFoundError:
        return False
    return bool(content) and not content.strip(b"\0")
