"""Load related records for one request and viewer, with one database command per level of the query.

Each area registers its loaders. The filters in `storage.access` decide which records the viewer finds.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from schema.core.context import Kind
from schema.core.nodes import Node
from storage.mongodb.client import Mongo
from storage.mongodb.combined_reads import Read, run_together

if TYPE_CHECKING:
    from api.graphql.context import Context

T = TypeVar("T")
N = TypeVar("N", bound=Node)
Future = asyncio.Future[Any]
Values = Awaitable[Sequence[Any]]
Relation = tuple[str, tuple[str, ...]]
"""Identifies a loader: the name of the loaded type, and the sorted names of the keys by which it is loaded. An example
is `("Flag", ("observation",))`."""
BY_ID = ("id",)


@dataclass(frozen=True)
class _Loader:
    """A loader of one relation.

    `by` has the names of the parts of a key. If there is one name, a key is its value. If there are several, a key is a
    tuple of their values, in alphabetical order of the names.
    """

    kind: type | Kind[Any]
    by: tuple[str, ...]

    @property
    def relation(self) -> Relation:
        return self.kind.__name__, tuple(sorted(self.by))


@dataclass(frozen=True)
class Loader(_Loader):
    """A loader that reads by itself.

    `fetch` returns one value for each key, in the order of the keys. A value that is an exception is raised for its key.
    """

    fetch: "Callable[[Context, list[Any]], Values]"


@dataclass(frozen=True)
class LoaderRead:
    """What a `ReadLoader` reads for its keys.

    `arrange` gets the result of each read, and returns one value for each key, in the order of the keys.
    """

    reads: Sequence[Read[list[Any]]]
    arrange: Callable[..., Values]


@dataclass(frozen=True)
class ReadLoader(_Loader):
    """A loader that says what it reads. One command reads what all such loaders need at one level of a query."""

    prepare: "Callable[[Context, list[Any]], LoaderRead]"


def by_id(
    kind: type[N],
    read_many: "Callable[[Context, list[str]], Read[list[N]] | None]",
    fetch_others: "Callable[[Context, list[str]], Awaitable[Sequence[N]]] | None" = None,
) -> ReadLoader:
    """Return a loader of records by id.

    `read_many` reads the records that exist. If it reads only some of those that the viewer may see, `fetch_others`
    returns the others of the given ids.
    """

    def prepare(context: "Context", ids: list[str]) -> LoaderRead:
        async def arrange(found: Sequence[N] = ()) -> list[N | None]:
            records = {str(record.id): record for record in found}
            others = [id for id in ids if id not in records] if fetch_others else []
            if fetch_others and others:
                records |= {str(record.id): record for record in await fetch_others(context, others)}
            return [records.get(id) for id in ids]

        read = read_many(context, ids)
        return LoaderRead([read] if read else [], arrange)

    return ReadLoader(kind, BY_ID, prepare)


def group_by_key(keys: Sequence[str], pairs: Iterable[tuple[str | None, T]]) -> list[list[T]]:
    """Return one list of values for each of `keys`, from (key, value) pairs. The given order is kept."""
    groups: dict[str | None, list[T]] = {key: [] for key in keys}
    for key, value in pairs:
        if key in groups:
            groups[key].append(value)
    return [groups[key] for key in keys]


@dataclass
class _Batch:
    """The loads of one relation. `asked` are those that no command has read yet."""

    loader: Loader | ReadLoader
    futures: dict[Hashable, Future] = field(default_factory=dict)
    asked: list[tuple[Any, Future]] = field(default_factory=list)


class ContextLoad:
    """Load records by type, with the registered loaders.

    The loads that are asked for in one turn of the event loop are batched. Each record is loaded once for a request.
    """

    def __init__(self, context: "Context", loaders: Mapping[Relation, Loader | ReadLoader]) -> None:
        self._context = context
        self._loaders = loaders
        self._batches: dict[Relation, _Batch] = {}
        self._waiting: list[_Batch] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def one(self, kind: type[T] | Kind[T], id: str | None = None, /, **key: Any) -> T | None:
        if key:
            related: T | None = await self._load_related(kind, key)
            return related
        if id is None:
            return None
        record: T | None = await self._load(self._batch(kind, BY_ID), id)
        return record

    async def many(self, kind: type[T] | Kind[T], ids: Sequence[str], /) -> list[T]:
        batch = self._batch(kind, BY_ID)
        records = [await future for future in [self._load(batch, id) for id in ids]]
        return [record for record in records if record is not None]

    async def related(self, kind: type[T] | Kind[T], /, **key: Any) -> list[T]:
        records: list[T] = await self._load_related(kind, key)
        return records

    def _load_related(self, kind: type[T] | Kind[T], key: Mapping[str, Any]) -> Future:
        names = tuple(sorted(key))
        value = key[names[0]] if len(names) == 1 else tuple(key[name] for name in names)
        return self._load(self._batch(kind, names), value)

    def _batch(self, kind: type[T] | Kind[T], by: tuple[str, ...]) -> _Batch:
        relation = kind.__name__, by
        batch = self._batches.get(relation)
        if batch is None:
            batch = self._batches[relation] = _Batch(self._loaders[relation])
        return batch

    def _load(self, batch: _Batch, key: Any) -> Future:
        place = _cache_key(key)
        future = batch.futures.get(place)
        if future is None or future.cancelled():
            loop = asyncio.get_running_loop()
            future = batch.futures[place] = loop.create_future()
            if not self._waiting:
                loop.call_soon(self._begin)
            if not batch.asked:
                self._waiting.append(batch)
            batch.asked.append((key, future))
        return future

    def _begin(self) -> None:
        self._start(self._read_waiting())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the event loop itself keeps no strong reference
        task.add_done_callback(self._tasks.discard)

    async def _read_waiting(self) -> None:
        """Read all that was asked for until now. Each loader that reads by itself has a task."""
        waiting, self._waiting = self._waiting, []
        reads: list[tuple[list[Future], LoaderRead]] = []
        for batch in waiting:
            keys, futures = [key for key, _ in batch.asked], [future for _, future in batch.asked]
            batch.asked = []
            if isinstance(batch.loader, Loader):
                self._start(_settle(futures, batch.loader.fetch(self._context, keys)))
                continue
            try:
                reads.append((futures, batch.loader.prepare(self._context, keys)))
            except Exception as error:  # noqa: BLE001  those who wait get it
                _fail(futures, error)
        await _run(self._context.store.mongo, reads)


async def _run(mongo: Mongo, loads: Sequence[tuple[list[Future], LoaderRead]]) -> None:
    """Run the reads of all `loads` by one command, and give each future its value."""
    try:
        if reads := [read for _, load in loads for read in load.reads]:
            await run_together(mongo, reads)
    except Exception as error:  # noqa: BLE001  those who wait get it
        for futures, _ in loads:
            _fail(futures, error)
        return
    # At once, because one may wait for what another has read.
    await asyncio.gather(
        *(_settle(futures, load.arrange(*(read.result for read in load.reads))) for futures, load in loads)
    )


async def _settle(futures: Sequence[Future], values: Values) -> None:
    """Give each future its value. If there are no values because of an error, give them the error."""
    try:
        pairs = list(zip(futures, await values, strict=True))
    except Exception as error:  # noqa: BLE001  those who wait get it
        _fail(futures, error)
        return
    for future, value in pairs:
        if isinstance(value, Exception):
            _fail([future], value)
        elif not future.done():
            future.set_result(value)


def _fail(futures: Sequence[Future], error: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
            future.exception()  # so that asyncio does not log an error that nobody has waited for


def _cache_key(key: Any) -> Hashable:
    """Return the id of a record as its cache key, so that two copies of one record share a load."""
    if isinstance(key, tuple):
        return tuple(map(_cache_key, key))
    return str(key.id) if isinstance(key, Node) else key
