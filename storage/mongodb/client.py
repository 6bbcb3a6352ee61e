"""The one file that imports the MongoDB driver: connections, collections, transactions, errors translated once.

What the documents mean, and which filter a viewer gets, is left to the file of each noun.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pymongo
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient, InsertOne, ReturnDocument, UpdateOne, monitoring
from pymongo.errors import BulkWriteError, ConnectionFailure, DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from schema.core.refusals import Refusal, RefusalCode
from storage.mongodb.causal_reads import session_for
from storage.mongodb.errors import DUPLICATE_KEY, HISTORY_LOST, NOT_NOW, DuplicateError, HistoryLostError, StoreError

Document = dict[str, Any]
Filter = Mapping[str, Any]
Sort = Sequence[tuple[str, int | str]]
Projection = Mapping[str, int] | None
Session = Any
T = TypeVar("T")

ASCENDING, DESCENDING = pymongo.ASCENDING, pymongo.DESCENDING
CommandListener = monitoring.CommandListener
UNKNOWN_RESULT = "UnknownTransactionCommitResult"
TRANSIENT = ("TransientTransactionError", UNKNOWN_RESULT)
COMMIT_SECONDS = 20.0
INDEX_SECONDS = 6 * 3600.0


@contextlib.contextmanager
def translated(*, outermost: bool = False) -> Iterator[None]:
    """Translate driver errors: unreachable to `Refusal(UNAVAILABLE)`, taken key to `DuplicateError`, rest `StoreError`.

    Inside a transaction, errors labelled as transient pass as they are: the driver runs the block again for them.
    """
    try:
        yield
    except PyMongoError as error:
        transient = any(error.has_error_label(label) for label in TRANSIENT)
        if transient and not outermost:
            raise
        if isinstance(error, DuplicateKeyError):
            raise _already_there(error.details) from None
        if not HISTORY_LOST.isdisjoint(_faults(error)):
            raise HistoryLostError from None
        if isinstance(error, ConnectionFailure) or error.timeout or not NOT_NOW.isdisjoint(_faults(error)):
            raise Refusal(RefusalCode.UNAVAILABLE) from error
        if transient:
            raise Refusal(RefusalCode.BUSY) from error
        raise StoreError(_without_values(error)) from None


def _already_there(details: Mapping[str, Any] | None) -> DuplicateError:
    return DuplicateError(tuple((details or {}).get("keyPattern", {})))


def _without_values(error: PyMongoError) -> str:
    """Name the fault in the server's own words for it: its sentences quote documents, which may not reach a log."""
    return " ".join([type(error).__name__, *_faults(error).values()])


def _faults(error: PyMongoError) -> dict[int, str]:
    """What the server reports: names by code."""
    details = getattr(error, "details", None) or {}
    faults = [details, *details.get("writeErrors", []), *details.get("writeConcernErrors", [])]
    return {fault["code"]: str(fault.get("codeName") or fault["code"]) for fault in faults if "code" in fault}


@dataclass(frozen=True)
class Inserted:
    """What an unordered insert did: the ids whose unique key was taken already; all others are stored."""

    already_there: frozenset[str]


class Collection:
    """One collection, the same under both drivers; documents are plain dicts, times are aware UTC."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    async def _session(self) -> Session:
        return await _opened(self._raw.database.client.start_session(causal_consistency=True))

    async def find(
        self,
        filter: Filter,
        *,
        sort: Sort | None = None,
        limit: int = 0,
        projection: Projection = None,
        session: Session = None,
    ) -> list[Document]:
        with translated():
            async with session_for(session, self._session) as within:
                cursor = self._raw.find(filter, projection, sort=sort, limit=limit, batch_size=10_000, session=within)
                return list(await cursor.to_list(None))

    async def find_one(
        self, filter: Filter, *, sort: Sort | None = None, projection: Projection = None, session: Session = None
    ) -> Document | None:
        with translated():
            async with session_for(session, self._session) as within:
                found: Document | None = await self._raw.find_one(filter, projection, sort=sort, session=within)
                return found

    async def insert_one(self, document: Document, *, session: Session = None) -> None:
        """Raise `DuplicateError` where a unique key is taken."""
        with translated():
            await self._raw.insert_one(document, session=session)

    async def insert_many(self, documents: Sequence[Document]) -> Inserted:
        """Insert all that can be; a taken unique key stops only its own document."""
        taken: list[int] = []
        with translated():
            try:
                if documents:
                    await self._raw.bulk_write([InsertOne(document) for document in documents], ordered=False)
            except BulkWriteError as error:
                taken = _only_duplicates(error)
        return Inserted(frozenset(documents[index]["_id"] for index in taken))

    async def upsert_many(self, changes: Sequence[tuple[Filter, Document]], *, session: Session = None) -> None:
        """Apply each (filter, update) in one command, inserting what is missing; all are tried before `DuplicateError`."""
        if not changes:
            return
        with translated():
            operations = [UpdateOne(wanted, update, upsert=True) for wanted, update in changes]
            try:
                await self._raw.bulk_write(operations, ordered=False, session=session)
            except BulkWriteError as error:
                _only_duplicates(error)
                raise _already_there(error.details["writeErrors"][0]) from None

    async def update_one(
        self, filter: Filter, update: Document, *, upsert: bool = False, session: Session = None
    ) -> bool:
        """True when a document matched, or was inserted by `upsert`."""
        with translated():
            result = await self._raw.update_one(filter, update, upsert=upsert, session=session)
            return bool(result.matched_count or result.upserted_id is not None)

    async def update_many(self, filter: Filter, update: Document | list[Document], *, session: Session = None) -> int:
        """Return how many documents matched."""
        with translated():
            result = await self._raw.update_many(filter, update, session=session)
            return int(result.matched_count)

    async def change_one(
        self,
        filter: Filter,
        update: Document | list[Document],
        *,
        sort: Sort | None = None,
        upsert: bool = False,
        session: Session = None,
    ) -> Document | None:
        """Change one matching document atomically and return it as it is afterwards; None when nothing matched."""
        with translated():
            changed: Document | None = await self._raw.find_one_and_update(
                filter, update, sort=sort, upsert=upsert, return_document=ReturnDocument.AFTER, session=session
            )
            return changed

    async def delete_many(self, filter: Filter, *, session: Session = None) -> int:
        with translated():
            result = await self._raw.delete_many(filter, session=session)
            return int(result.deleted_count)

    async def aggregate(self, pipeline: Sequence[Document], *, session: Session = None) -> list[Document]:
        with translated():
            async with session_for(session, self._session) as within:
                cursor = await _opened(self._raw.aggregate(list(pipeline), session=within))
                found: list[Document] = await cursor.to_list(None)
                return found

    async def count(self, filter: Filter) -> int:
        with translated():
            return int(await self._raw.count_documents(filter))

    async def create_index(self, keys: Sort, **options: Any) -> None:
        """Wait for it, however long: of a large collection it takes many times what any other answer does."""
        with translated(), pymongo.timeout(INDEX_SECONDS):
            await self._raw.create_index(list(keys), **options)

    @contextlib.asynccontextmanager
    async def changes(self, pipeline: Sequence[Document], **options: Any) -> AsyncIterator[Any]:
        """A change stream over this collection, closed on leaving the block."""
        with translated():
            async with await _opened(self._raw.watch(list(pipeline), **options)) as stream:
                yield stream


async def _opened(stream: Any) -> Any:
    """PyMongo's own client answers with an awaitable, Motor with the stream or the cursor."""
    return await stream if hasattr(stream, "__await__") else stream


def _only_duplicates(error: BulkWriteError) -> list[int]:
    """Positions of the documents whose unique key was taken; any other write error is raised again."""
    details = error.details or {}
    faults = details.get("writeErrors", [])
    if details.get("writeConcernErrors") or any(fault["code"] != DUPLICATE_KEY for fault in faults):
        raise error
    return [fault["index"] for fault in faults]


class Mongo:
    """A connection to one database through the driver chosen by name (`motor` or `pymongo`)."""

    def __init__(
        self,
        url: str,
        database: str,
        *,
        driver: str = "motor",
        listeners: Sequence[monitoring.CommandListener] = (),
        timeout_seconds: float = 10,
    ) -> None:
        clients: dict[str, Callable[..., Any]] = {"motor": AsyncIOMotorClient, "pymongo": AsyncMongoClient}
        if driver not in clients:
            raise ValueError(f"Unknown MongoDB driver {driver!r}: choose motor or pymongo.")
        milliseconds = int(timeout_seconds * 1000)
        self.driver, self.name = driver, database
        self._client = clients[driver](
            url,
            event_listeners=list(listeners),
            tz_aware=True,
            serverSelectionTimeoutMS=milliseconds,
            connectTimeoutMS=milliseconds,
            # A wire that swallows packets must end in a typed refusal, not in a hanging phone.
            socketTimeoutMS=milliseconds * 3,
            appname="mingcha",
        )
        self._database = self._client.get_database(
            database,
            read_concern=ReadConcern("majority"),
            write_concern=WriteConcern("majority", wtimeout=milliseconds),
        )

    def collection(self, name: str) -> Collection:
        return Collection(self._database[name])

    def changes(self, pipeline: Sequence[Document], **options: Any) -> contextlib.AbstractAsyncContextManager[Any]:
        """A change stream over the whole database."""
        return Collection(self._database).changes(pipeline, **options)

    async def command(self, *command: Any, **arguments: Any) -> Document:
        """Run one database command, such as `ping` or `buildInfo`."""
        with translated():
            return dict(await self._database.command(*command, **arguments))

    async def transact(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Run `work(session)` in a majority transaction, run again whole by the driver on a transient conflict."""

        async def committed(session: Session) -> T:
            # Within the block: Motor commits on leaving it, where neither driver nor caller would try again.
            done = await work(session)
            await _commit(session)
            return done

        with translated(outermost=True):
            async with await _opened(self._client.start_session()) as session:
                done: T = await session.with_transaction(
                    committed, read_concern=ReadConcern("snapshot"), write_concern=WriteConcern("majority")
                )
                return done

    async def drop(self) -> None:
        """Drop the whole database; tests only."""
        with translated():
            await self._client.drop_database(self.name)

    async def close(self) -> None:
        if (closed := self._client.close()) is not None:
            await closed


async def _commit(session: Session) -> None:
    """Commit, and again where the answer was lost: the server does it once. A transient conflict passes to the driver."""
    deadline = time.monotonic() + COMMIT_SECONDS
    while True:
        try:
            await session.commit_transaction()
        except PyMongoError as error:
            if not error.has_error_label(UNKNOWN_RESULT) or error.timeout or time.monotonic() > deadline:
                raise
        else:
            return
