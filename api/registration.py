"""Register what nouns and areas bring to the API.

Each noun has a `REGISTRATION` beside its operations, each area collects its nouns in `area.py`, and the server
composes the areas once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from api.graphql.loaders import Loader, Relation
from api.graphql.nodes import RecordKind
from api.jobs.job import Job, Queue
from schema.access.permissions import Permit, Row, compose


@dataclass(frozen=True)
class Registration:
    """What a noun, an area or the whole product brings; `permits` are the rows beside the noun's types."""

    queries: tuple[type, ...] = ()
    mutations: tuple[type, ...] = ()
    subscriptions: tuple[type, ...] = ()
    kinds: tuple[RecordKind, ...] = ()
    loaders: tuple[Loader, ...] = ()
    jobs: tuple[Job | Queue, ...] = ()
    permits: tuple[Row, ...] = ()


def merge(registrations: Iterable[Registration]) -> Registration:
    """Concatenate the parts of registrations, in their order."""
    registrations = list(registrations)
    parts = {
        part.name: tuple(item for registration in registrations for item in getattr(registration, part.name))
        for part in fields(Registration)
    }
    return Registration(**parts)


@dataclass(frozen=True)
class Registry:
    """The composed registrations, to look up by relation, id prefix and `Type.field`."""

    loaders: Mapping[Relation, Loader]
    kinds: Mapping[str, RecordKind]
    permits: Mapping[str, Permit]

    @classmethod
    def of(cls, registration: Registration) -> "Registry":
        """Index a registration. Raise `ValueError` if two nouns register the same relation or prefix."""
        loaders = {loader.relation: loader for loader in registration.loaders}
        kinds = {kind.prefix: kind for kind in registration.kinds}
        if len(loaders) < len(registration.loaders) or len(kinds) < len(registration.kinds):
            raise ValueError("Two nouns register the same relation or prefix.")
        return cls(loaders, kinds, compose(registration.permits))
