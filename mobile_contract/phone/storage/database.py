"""Open the phone's database: SQLite with SQLCipher, which encrypts every page and the write-ahead log.

Only this module uses the SQLCipher library.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from sqlcipher3 import dbapi2

from mobile_contract.phone.errors import DamagedStoreError

Error: type[Exception] = dbapi2.Error
KEY_BYTES = 32


class DatabaseRow(Protocol):
    """A row; its values are read by column name or position."""

    def __getitem__(self, key: str | int, /) -> Any: ...

    def keys(self) -> list[str]: ...


class Cursor(Protocol):
    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Any: ...


class DatabaseConnection(Protocol):
    def execute(self, statement: str, values: Sequence[object] = ..., /) -> Cursor: ...

    def executemany(self, statement: str, values: Iterable[Sequence[object]], /) -> Cursor: ...

    def close(self) -> None: ...


def connect(path: Path, key: bytes) -> DatabaseConnection:
    """Open or create a database with a raw key of 32 bytes. Raise `DamagedStoreError` if the key doesn't open it."""
    database = _open(path)
    try:
        database.execute(f"PRAGMA key = \"x'{_check_key(key).hex()}'\"")
        database.execute("PRAGMA temp_store = MEMORY")
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except dbapi2.DatabaseError as error:
        database.close()
        if isinstance(error, dbapi2.OperationalError):
            raise
        raise DamagedStoreError(path) from error
    return database


def copy_plain(source: Path, to: Path, key: bytes) -> None:
    """Copy an unencrypted database into a new encrypted database.

    Raise `DamagedStoreError` if the source is not a database.
    """
    plain = _open(source)
    try:
        level = plain.execute("PRAGMA user_version").fetchone()[0]
        plain.execute(f"ATTACH DATABASE ? AS kept KEY \"x'{_check_key(key).hex()}'\"", (str(to),))
        plain.execute("SELECT sqlcipher_export('kept')").fetchone()
        plain.execute(f"PRAGMA kept.user_version = {int(level)}")
        plain.execute("DETACH DATABASE kept")
    except dbapi2.DatabaseError as error:
        if isinstance(error, dbapi2.OperationalError):
            raise
        raise DamagedStoreError(source) from error
    finally:
        plain.close()


def _open(path: Path) -> DatabaseConnection:
    database = dbapi2.connect(path, isolation_level=None, timeout=10)
    database.row_factory = dbapi2.Row
    connection: DatabaseConnection = database
    return connection


def _check_key(key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise ValueError("A key has 32 bytes.")
    return key
