"""Move the unencrypted data of an earlier phone version into an encrypted store, and erase the unencrypted files.

If the process is killed, either the old data or the complete store remains.
The file `taking-over` holds the new store's id. It is written before the store, and removed after the last old file.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from secrets import token_hex

from mobile_contract.phone.errors import DamagedStoreError
from mobile_contract.phone.outbox.outbox import Outbox
from mobile_contract.phone.storage.database import copy_plain
from mobile_contract.phone.storage.folder import Folder, erase, sync_folder, write_private
from mobile_contract.phone.storage.key_wrapping import StoreKey
from mobile_contract.phone.storage.photo_copies import READ_BYTES, Originals
from mobile_contract.phone.users.session import Session
from mobile_contract.phone.users.user_stores import StoreLocation, UserStores


class LegacyImport:
    def __init__(self, folder: Folder, stores: UserStores) -> None:
        self._stores = stores
        self._root = folder.root
        self._outbox = folder.root / "outbox.sqlite"
        self._session = folder.root / "session.json"
        self._originals = folder.root / "originals"
        self._device = folder.device
        self._mark = folder.root / "taking-over"

    @property
    def is_due(self) -> bool:
        return self._outbox.exists() or self._session.exists() or self._mark.exists()

    def run(self, ask_new: Callable[[Session | None], str]) -> None:
        """Import the data into a store that the password from `ask_new` opens.

        If that fails, raise a `PhoneError` and leave the old data unchanged.
        """
        store_id = self._mark.read_text(encoding="ascii") if self._mark.exists() else ""
        if not store_id or self._stores.find(store_id) is None:
            if not self._outbox.exists():  # an earlier phone creates it before its session
                raise DamagedStoreError(self._outbox)
            password = ask_new(Session.of_earlier_phone(self._session) if self._session.exists() else None)
            store_id = store_id or token_hex(8)
            write_private(self._mark, store_id)
            self._stores.make(password, self._fill, id=store_id, is_nobodys=not self._session.exists())
        self._stores.use(store_id)
        self._erase_old_files()

    def _fill(self, place: StoreLocation, key: StoreKey) -> None:
        copy_plain(self._outbox, place.outbox, key.database)
        with closing(Outbox(place.outbox, key.database)) as outbox:
            if not self._device.exists():
                self._stores.set_device_id(outbox.device_id)
            if self._session.exists():
                Session.of_earlier_phone(self._session).save(outbox)
            originals = Originals(place.originals, key.originals)
            for medium in outbox.media():
                path = self._originals / medium.file
                if path.is_file():
                    file = token_hex(16)
                    originals.write(file, _read_chunks(path))
                    outbox.rename_copy(medium.id, file)

    def _erase_old_files(self) -> None:
        for path in sorted(self._originals.iterdir()) if self._originals.exists() else ():
            erase(path)
        if self._originals.exists():
            shutil.rmtree(self._originals)
        for path in (self._session, *self._beside("-wal"), *self._beside("-shm"), self._outbox):
            erase(path)
        sync_folder(self._root)
        self._mark.unlink(missing_ok=True)

    def _beside(self, ending: str) -> list[Path]:
        return [self._outbox.with_name(self._outbox.name + ending)]


def _read_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as reader:
        while chunk := reader.read(READ_BYTES):
            yield chunk
