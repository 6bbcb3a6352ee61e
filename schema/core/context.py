"""Describe the request's context to resolvers, without importing any record.

A record asks for its neighbours by their type: `await info.context.load.one(Unit, self.unit_id)`.
The API batches the requests of one moment and applies the viewer's visibility once.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import strawberry

from schema.core.refusals import Refusal

if TYPE_CHECKING:
    from schema.access.permissions import Permit
    from schema.access.viewers import Viewer
    from schema.evidence.packs import PackLink

T = TypeVar("T")


class Kind(Generic[T]):
    """Name a record type that this layer must not import, such as `CASE: "Kind[Case]" = Kind("Case")`."""

    def __init__(self, name: str) -> None:
        self.__name__ = name


class Load(Protocol):
    """Load the neighbours of records that the viewer has been shown.

    Units and points follow from any record that is visible.
    People appear only to those who may know them.
    Cases, observations and assignments obey the viewer's own visibility.
    """

    async def one(self, kind: "type[T] | Kind[T]", id: str | None = None, /, **key: Any) -> T | None:
        """Load the record with this id, or the one that `key` names; None if the viewer does not find it."""

    async def many(self, kind: "type[T] | Kind[T]", ids: Sequence[str], /) -> list[T]:
        """Load the records with these ids, in that order; skip those that the viewer does not find."""

    async def related(self, kind: "type[T] | Kind[T]", /, **key: Any) -> list[T]:
        """Load the records that belong to `key`, such as `case=self.id`."""


class Context(Protocol):
    """What a resolver finds in `info.context`."""

    @property
    def viewer(self) -> "Viewer | None": ...
    @property
    def denial(self) -> Refusal | None:
        """The reason why a sent token gives no viewer. Public operations must work with a stale token too."""

    @property
    def outdated(self) -> Refusal | None:
        """The refusal for a phone of an old contract level, which may only empty its outbox."""

    @property
    def now(self) -> datetime:
        """The time of the request, read once."""

    @property
    def permits(self) -> "Mapping[str, Permit]":
        """Who may call or read each `Type.field`."""

    @property
    def load(self) -> Load: ...
    def clear_loaded(self) -> None:
        """Drop all loaded records: a mutation may have changed them."""

    def pack(self, id: str, *, identities: bool) -> "PackLink":
        """Return a short-lived URL of the record's evidence pack for this viewer."""

    def sign(self, kind: str, claims: Mapping[str, Any]) -> str:
        """Return `claims` as a compact JWS of type `kind`, signed by the server's evidence key."""

    def count_refusal(self, refusal: Refusal) -> None:
        """Count a refusal that travels as data: no transport error reports it."""


Info = strawberry.Info[Context, None]
