"""Wrap the MongoDB driver: connections, collections, transactions and error translation.

No other file imports the driver.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pymongo
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient, InsertOne, ReturnDocument, UpdateOne, monitoring
from pymongo.errors import BulkWriteError, ConfigurationError, ConnectionFailure, DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from schema.core.refusals import Refusal, RefusalCode
from storage.mongodb.causal_reads import session_for
from storage.mongodb.connection_pools import run_with_sessions
from storage.mongodb.driver_calls import RawChangeStream, await_if_needed, open_stream, uncancelled
from storage.mongodb.errors import NoSessionsError, duplicate_error, duplicates, reply_error

Document = dict[str, Any]
Filter = Mapping[str, Any]
Sort = Sequence[tuple[str, int | str]]
Projection = Mapping[str, Any] | None
Session = Any
T = TypeVar("T")

ASCENDING, DESCENDING = pymongo.ASCENDING, pymongo.DESCENDING
CommandListener = monitoring.CommandListener
HeartbeatListener = monitoring.ServerHeartbeatListener
Heartbeat = Any  # an event of a `HeartbeatListener`
UNKNOWN_RESULT = "UnknownTransactionCommitResult"
TRANSIENT = ("TransientTransactionError", UNKNOWN_RESULT)
COMMIT_SECONDS = 20.0
INDEX_SECONDS = 6 * 3600.0
BATCH = 10_000  # documents in one reply. With the server's default of 101, an aggregation of more takes two commands.


@contextlib.contextmanager
def translate_errors(*, outermost: bool = False) -> Iterator[None]:
    """Translate driver errors to `DuplicateError`, `HistoryLostError`, `Refusal(UNAVAILABLE | BUSY)` or `StoreError`.

    Without `outermost`, transient errors pass unchanged, so that the driver runs the transaction again.
    """
    try:
        yield
    except PyMongoError as error:
        transient = any(map(error.has_error_label, TRANSIENT))
        if transient and not outermost:
            raise
        details = getattr(error, "details", None)
        if isinstance(error, DuplicateKeyError):
            raise duplicate_error(details) from None
        if isinstance(error, ConfigurationError):
            raise NoSessionsError from error
        if isinstance(error, ConnectionFailure) or error.timeout:
            raise Refusal(RefusalCode.UNAVAILABLE) from error
        shown = reply_error(type(error).__name__, details, error.has_error_label, is_transient=transient)
        raise shown from (error if isinstance(shown, Refusal) else None)


@dataclass(frozen=True)
class InsertResult:
    """The result of `insert_many`. `duplicate_ids` are the ids of documents whose unique key was taken."""

    duplicate_ids: frozenset[str]


@uncancelled(lasting="create_index")
class Collection:
    """One collection, with the same methods under both drivers. Documents are dicts. Times are aware and in UTC."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    async def _session(self) -> Session:
        return await await_if_needed(self._raw.database.client.start_session(causal_consistency=True))

    async def _read(self, session: Session, read: Callable[[Session], Awaitable[T]]) -> T:
        async def attempt() -> T:
            with translate_errors():
                async with session_for(session, self._session) as reader:
                    return await read(reader)

        return await (attempt() if session is not None else run_with_sessions(self._raw.database.client, attempt))

    async def find(
        self,
        filter: Filter,
        *,
        sort: Sort | None = None,
        limit: int = 0,
        projection: Projection = None,
        session: Session = None,
    ) -> list[Document]:
        shown = {"filter": filter, "projection": projection, "sort": sort, "limit": limit, "batch_size": BATCH}
        return await self._read(session, lambda reader: _fetch(self._raw.find(session=reader, **shown)))

    async def find_one(
        self, filter: Filter, *, sort: Sort | None = None, projection: Projection = None, session: Session = None
    ) -> Document | None:
        return await self._read(
            session, lambda reader: self._raw.find_one(filter, projection, sort=sort, session=reader)
        )

    async def insert_one(self, document: Document, *, session: Session = None) -> None:
        """Insert the document. Raise `DuplicateError` if a unique key is taken."""
        with translate_errors():
            await self._raw.insert_one(document, session=session)

    async def insert_many(self, documents: Sequence[Document], *, session: Session = None) -> InsertResult:
        """Insert all documents, but skip those with a unique key that is taken. The result lists the skipped ids."""
        operations, taken = [InsertOne(document) for document in documents], list[int]()
        with translate_errors():
            try:
                if operations:
                    await self._raw.bulk_write(operations, ordered=False, session=session)
            except BulkWriteError as error:
                taken = _duplicate_indexes(error)
        return InsertResult(frozenset(documents[index]["_id"] for index in taken))

    async def upsert_many(self, changes: Sequence[tuple[Filter, Document]], *, session: Session = None) -> None:
        """Apply each pair (filter, update), by one command. If no document matches a filter, insert one.

        After all pairs were tried, raise `DuplicateError` if a unique key was taken.
        """
        operations = [UpdateOne(filter, update, upsert=True) for filter, update in changes]
        with translate_errors():
            try:
                if operations:
                    await self._raw.bulk_write(operations, ordered=False, session=session)
            except BulkWriteError as error:
                _duplicate_indexes(error)
                raise duplicate_error(error.details["writeErrors"][0]) from None

    async def update_one(
        self, filter: Filter, update: Document, *, upsert: bool = False, session: Session = None
    ) -> bool:
        """Update one matching document. Return whether a document matched or was inserted."""
        with translate_errors():
            result = await self._raw.update_one(filter, update, upsert=upsert, session=session)
            return bool(result.matched_count or result.upserted_id is not None)

    async def update_many(self, filter: Filter, update: Document | list[Document], *, session: Session = None) -> int:
        """Update all matching documents. Return how many matched."""
        with translate_errors():
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
        """Update one matching document atomically. Return the updated document, or None if no document matches."""
        with translate_errors():
            changed: Document | None = await self._raw.find_one_and_update(
                filter, update, sort=sort, upsert=upsert, return_document=ReturnDocument.AFTER, session=session
            )
            return changed

    async def delete_many(self, filter: Filter, *, session: Session = None) -> int:
        with translate_errors():
            result = await self._raw.delete_many(filter, session=session)
            return int(result.deleted_count)

    async def aggregate(self, pipeline: Sequence[Document], *, session: Session = None) -> list[Document]:
        shown = {"pipeline": list(pipeline), "batchSize": BATCH}
        return await self._read(session, lambda reader: _fetch(self._raw.aggregate(session=reader, **shown)))

    async def distinct(self, field: str, filter: Filter) -> list[Any]:
        """Return the different values of the field in all matching documents, in no order."""
        with translate_errors():
            return list(await self._raw.distinct(field, filter))

    async def count(self, filter: Filter) -> int:
        with translate_errors():
            return int(await self._raw.count_documents(filter))

    async def create_index(self, keys: Sort, **options: Any) -> None:
        """Create an index. The time limit is `INDEX_SECONDS`, because indexing a large collection can take hours."""
        with translate_errors(), pymongo.timeout(INDEX_SECONDS):
            await self._raw.create_index(list(keys), **options)

    @contextlib.asynccontextmanager
    async def changes(self, pipeline: Sequence[Document], **options: Any) -> AsyncIterator[RawChangeStream]:
        """Open a change stream over this collection. Leaving the block closes it."""
        with translate_errors():
            async with open_stream(lambda: self._raw.watch(list(pipeline), **options)) as stream:
                yield stream


async def _fetch(cursor: Any) -> list[Document]:
    return list(await (await await_if_needed(cursor)).to_list(None))


def _duplicate_indexes(error: BulkWriteError) -> list[int]:
    """Return the indexes of the documents whose unique key was taken. Raise `error` if it reports any other error."""
    if (taken := duplicates(error.details or {})) is None:
        raise error
    return taken


@uncancelled()
class Mongo:
    """A connection to one database. `driver` is the driver's name: `motor` or `pymongo`."""

    def __init__(
        self,
        url: str,
        database: str,
        *,
        driver: str = "motor",
        listeners: Sequence[CommandListener | HeartbeatListener] = (),
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
            socketTimeoutMS=milliseconds * 3,  # a phone must get a refusal even if the network swallows packets
            appname="mingcha",
        )
        self._database = self._client.get_database(
            database,
            read_concern=ReadConcern("majority"),
            write_concern=WriteConcern("majority", wtimeout=milliseconds),
        )

    def collection(self, name: str, *, has_naive_times: bool = False) -> Collection:
        """Return a collection. With `has_naive_times`, what is read from it has naive times, in UTC."""
        options = self._database.codec_options.with_options(tz_aware=not has_naive_times)
        return Collection(self._database.get_collection(name, codec_options=options))

    def changes(
        self, pipeline: Sequence[Document], **options: Any
    ) -> contextlib.AbstractAsyncContextManager[RawChangeStream]:
        """Open a change stream over the whole database."""
        return Collection(self._database).changes(pipeline, **options)

    async def command(self, *command: Any, **arguments: Any) -> Document:
        """Run one database command, such as `ping` or `buildInfo`."""
        with translate_errors():
            return dict(await self._database.command(*command, **arguments))

    async def transact(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Run `work(session)` in a majority transaction. On a transient conflict, the driver runs `work` again."""

        async def work_and_commit(session: Session) -> T:
            # Commit here: Motor would commit on leaving the block, where neither the driver nor the caller retries.
            result = await work(session)
            await _commit(session)
            return result

        async def attempt() -> T:
            with translate_errors(outermost=True):
                async with await await_if_needed(self._client.start_session()) as session:
                    result: T = await session.with_transaction(
                        work_and_commit, read_concern=ReadConcern("snapshot"), write_concern=WriteConcern("majority")
                    )
                    return result

        return await run_with_sessions(self._client, attempt)

    async def drop(self) -> None:
        """Drop the whole database. For tests only."""
        with translate_errors():
            await self._client.drop_database(self.name)

    async def close(self) -> None:
        await await_if_needed(self._client.close())


async def _commit(session: Session) -> None:
    """Commit. If the reply is lost, commit again, because the server commits only once. Raise transient conflicts."""
    deadline = time.monotonic() + COMMIT_SECONDS
    while True:
        try:
            await session.commit_transaction()
        except PyMongoError as error:
            if not error.has_error_label(UNKNOWN_RESULT) or error.timeout or time.monotonic() > deadline:
                raise
        else:
            return
