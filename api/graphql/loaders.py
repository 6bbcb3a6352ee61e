"""Load neighbours of records for one request and viewer: one command per relation and level, however many ask.

Each area registers its loaders; what a viewer finds is decided in the filters of storage.
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
"""Name of the type that is loaded, and the sorted names of what it is loaded by."""
BY_ID = ("id",)


@dataclass(frozen=True)
class Loader:
    """One relation: `fetch` returns one value for each key, in the order of the keys.

    A key is the value of the one name in `by`, or a tuple of values in the order of the names.
    """

    kind: type
    by: tuple[str, ...]
    fetch: "Callable[[Context, list[Any]], Awaitable[Sequence[Any]]]"

    @property
    def relation(self) -> Relation:
        return self.kind.__name__, tuple(sorted(self.by))


def by_id(kind: type[N], fetch_many: "Callable[[Context, list[str]], Awaitable[Sequence[N]]]") -> Loader:
    """Make a loader from a fetch that returns the records it finds, in no order."""

    async def fetch(context: "Context", ids: list[str]) -> list[N | None]:
        found = {str(record.id): record for record in await fetch_many(context, ids)}
        return [found.get(id) for id in ids]

    return Loader(kind, BY_ID, fetch)


def grouped(keys: Sequence[str], pairs: Iterable[tuple[str | None, T]]) -> list[list[T]]:
    """Group the second of each pair under its first, for each of `keys` and in the order of both."""
    groups: dict[str | None, list[T]] = {key: [] for key in keys}
    for key, value in pairs:
        if key in groups:
            groups[key].append(value)
    return [groups[key] for key in keys]


class ContextLoad:
    """Implement `schema.core.context.Load` over the registered loaders; each relation has one batch a request."""

    def __init__(self, context: "Context", loaders: Mapping[Relation, Loader]) -> None:
        self._context = context
        self._loaders = loaders
        self._batches: dict[Relation, DataLoader[Any, Any]] = {}

    async def one(self, kind: type[T] | Kind[T], id: str | None = None, /, **key: Any) -> T | None:
        if key:
            found: T | None = await self._load(kind, key)
            return found
        if id is None:
            return None
        record: T | None = await self._batch((kind.__name__, BY_ID)).load(id)
        return record

    async def many(self, kind: type[T] | Kind[T], ids: Sequence[str], /) -> list[T]:
        found = await self._batch((kind.__name__, BY_ID)).load_many(ids)
        return [record for record in found if record is not None]

    async def related(self, kind: type[T] | Kind[T], /, **key: Any) -> list[T]:
        found: list[T] = await self._load(kind, key)
        return found

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
    """Records stand for their ids: two copies of one record ask for the same."""
    if isinstance(key, tuple):
        return tuple(map(_cache_key, key))
    return str(key.id) if isinstance(key, Node) else key
