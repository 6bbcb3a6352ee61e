"""Register the parts of the API: GraphQL fields, record kinds, loaders, background jobs and permits.

A module with GraphQL fields defines a `REGISTRATION`. The `area.py` of each folder merges the registrations of its
modules. `api.server.areas` merges all areas.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from api.graphql.loaders import Loader, ReadLoader, Relation
from api.graphql.nodes import RecordKind
from api.jobs.job import Job, Queue
from schema.access.permissions import Permit, Row, compose


@dataclass(frozen=True)
class Registration:
    """The parts that one module, one area or the whole product adds to the API.

    `permits` are rows that say who may call or read which fields. The rows are defined beside the types in `schema`.
    """

    queries: tuple[type, ...] = ()
    mutations: tuple[type, ...] = ()
    subscriptions: tuple[type, ...] = ()
    kinds: tuple[RecordKind, ...] = ()
    loaders: tuple[Loader | ReadLoader, ...] = ()
    jobs: tuple[Job | Queue, ...] = ()
    permits: tuple[Row, ...] = ()


def merge(registrations: Iterable[Registration]) -> Registration:
    """Return one registration that has the parts of all `registrations`, in the given order."""
    registrations = list(registrations)
    parts = {
        part.name: tuple(item for registration in registrations for item in getattr(registration, part.name))
        for part in fields(Registration)
    }
    return Registration(**parts)


@dataclass(frozen=True)
class Registry:
    """Lookup tables of a registration: loaders by relation, record kinds by id prefix, permits by `Type.field`."""

    loaders: Mapping[Relation, Loader | ReadLoader]
    kinds: Mapping[str, RecordKind]
    permits: Mapping[str, Permit]

    @classmethod
    def of(cls, registration: Registration) -> "Registry":
        """Build the tables. Raise `ValueError` if two loaders have the same relation, or two kinds the same prefix."""
        loaders = {loader.relation: loader for loader in registration.loaders}
        kinds = {kind.prefix: kind for kind in registration.kinds}
        if len(loaders) < len(registration.loaders) or len(kinds) < len(registration.kinds):
            raise ValueError("Two nouns register the same relation or prefix.")
        return cls(loaders, kinds, compose(registration.permits))
