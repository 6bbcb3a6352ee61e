"""Load related records for one request and viewer, with one database command per relation and level of the query.

Each area registers its loaders. The filters in `storage.access` decide which records the viewer finds.
"""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from strawberry.dataloader import DataLoader

from schema.core.context import Kind
from schema.core.nodes import Node

if TYPE_CHECKING:
    from api.graphql.context import Context

T = TypeVar("T")
N = TypeVar("N", bound=Node)
Relation = tuple[str, tuple[str, ...]]
"""Identifies a loader: the name of the loaded type, and the sorted names of the keys by which it is loaded. An example
is `("Flag", ("observation",))`."""
BY_ID = ("id",)


@dataclass(frozen=True)
class Loader:
    """A loader of one relation. `fetch` returns one value for each key, in the order of the keys.

    `by` has the names of the parts of a key. If there is one name, a key is its value. If there are several, a key is a
    tuple of their values, in alphabetical order of the names.
    """

    kind: type
    by: tuple[str, ...]
    fetch: "Callable[[Context, list[Any]], Awaitable[Sequence[Any]]]"

    @property
    def relation(self) -> Relation:
        return self.kind.__name__, tuple(sorted(self.by))


def by_id(kind: type[N], fetch_many: "Callable[[Context, list[str]], Awaitable[Sequence[N]]]") -> Loader:
    """Return a loader of records by id. `fetch_many` returns the records that exist, in any order."""

    async def fetch(context: "Context", ids: list[str]) -> list[N | None]:
        records = {str(record.id): record for record in await fetch_many(context, ids)}
        return [records.get(id) for id in ids]

    return Loader(kind, BY_ID, fetch)


def group_by_key(keys: Sequence[str], pairs: Iterable[tuple[str | None, T]]) -> list[list[T]]:
    """Return one list of values for each of `keys`, from (key, value) pairs. The given order is kept."""
    groups: dict[str | None, list[T]] = {key: [] for key in keys}
    for key, value in pairs:
        if key in groups:
            groups[key].append(value)
    return [groups[key] for key in keys]


class ContextLoad:
    """Load records by type, with the registered loaders. Loads of one relation within a request are batched."""

    def __init__(self, context: "Context", loaders: Mapping[Relation, Loader]) -> None:
        self._context = context
        self._loaders = loaders
        self._batches: dict[Relation, DataLoader[Any, Any]] = {}

    async def one(self, kind: type[T] | Kind[T], id: str | None = None, /, **key: Any) -> T | None:
        if key:
            related: T | None = await self._load(kind, key)
            return related
        if id is None:
            return None
        record: T | None = await self._batch((kind.__name__, BY_ID)).load(id)
        return record

    async def many(self, kind: type[T] | Kind[T], ids: Sequence[str], /) -> list[T]:
        records = await self._batch((kind.__name__, BY_ID)).load_many(ids)
        return [record for record in records if record is not None]

    async def related(self, kind: type[T] | Kind[T], /, **key: Any) -> list[T]:
        records: list[T] = await self._load(kind, key)
        return records

    def _load(self, kind: type[T] | Kind[T], key: Mapping[str, Any]) -> Awaitable[Any]:
        names = tuple(sorted(key))
        batch = self._batch((kind.__name__, names))
        return batch.load(key[names[0]] if len(names) == 1 else tuple(key[name] for name in names))

    def _batch(self, relation: Relation) -> DataLoader[Any, Any]:
        batch = self._batches.get(relation)
        if batch is None:
            fetch = partial(self._loaders[relation].fetch, self._context)
            batch = self._batches[relation] = DataLoader(load_fn=fetch, cache_key_fn=_cache_key)
        return batch


def _cache_key(key: Any) -> Hashable:
    """Return the id of a record as its cache key, so that two copies of one record share a load."""
    if isinstance(key, tuple):
        return tuple(map(_cache_key, key))
    return str(key.id) if isinstance(key, Node) else key
