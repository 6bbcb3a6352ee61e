"""Define the interface of the request's context, which resolvers find in `info.context`.

This module imports no record type, so every record type can import this module.
A resolver loads a related record by its type: `await info.context.load.one(Unit, self.unit_id)`.
The API loads records of one type in batches, and leaves out those that the viewer must not see.
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
    """The name of a record type, for a module that must not import the type: `CASE: "Kind[Case]" = Kind("Case")`."""

    def __init__(self, name: str) -> None:
        self.__name__ = name


class Load(Protocol):
    """Load records that are related to a record that the viewer sees.

    Units and monitoring points are always found.
    A person is found only if the viewer may know that person.
    Cases, observations and assignments are found only if the viewer may see them.
    """

    async def one(self, kind: "type[T] | Kind[T]", id: str | None = None, /, **key: Any) -> T | None:
        """Load the record with this id, or the record that `key` identifies, such as `unit=unit, month=month`.

        Return None if there is no such record, or if the viewer must not see the record.
        """

    async def many(self, kind: "type[T] | Kind[T]", ids: Sequence[str], /) -> list[T]:
        """Load the records with these ids, in the order of `ids`. Leave out records that the viewer must not see."""

    async def related(self, kind: "type[T] | Kind[T]", /, **key: Any) -> list[T]:
        """Load all records of this type that `key` selects: `case=self.id` selects the records of one case."""


class Context(Protocol):
    """The context of a request, which a resolver finds in `info.context`."""

    @property
    def viewer(self) -> "Viewer | None": ...
    @property
    def denial(self) -> Refusal | None:
        """The refusal for an invalid token. None if the token is valid, or if no token was sent.

        The refusal is not raised at once, because public operations must work with a stale token too.
        """

    @property
    def outdated(self) -> Refusal | None:
        """The refusal if the phone's contract level is too old, else None. Such a phone may only empty its outbox."""

    @property
    def is_disk_full(self) -> bool:
        """Whether a disk that holds the data has too little space for writes."""

    @property
    def now(self) -> datetime:
        """The time of the request. It is read once, so that all writes of a request have the same time."""

    def check_clock(self) -> None:
        """Raise `Refusal(UNAVAILABLE)` if this machine's clock is too wrong for a time to be stored or signed."""

    @property
    def permits(self) -> "Mapping[str, Permit]":
        """The permit of each `Type.field`: who may call or read the field."""

    @property
    def load(self) -> Load: ...
    def clear_loaded(self) -> None:
        """Drop all loaded records, because a mutation may have changed them. Later loads read the database again."""

    def pack(self, id: str, *, identities: bool) -> "PackLink":
        """Return a short-lived link to the evidence pack of the record with this id, for this viewer."""

    def sign(self, kind: str, claims: Mapping[str, Any]) -> str:
        """Return `claims` as a compact JWS of type `kind`, signed with the server's evidence key."""

    def count_refusal(self, refusal: Refusal) -> None:
        """Count a refusal that is returned as data. Such a refusal raises no error that the metrics could count."""


Info = strawberry.Info[Context, None]
