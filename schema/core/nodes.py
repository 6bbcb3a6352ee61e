"""Define the GraphQL interface `Node`, which every record with an id implements."""

import re

import strawberry

from schema.core.ids import PREFIXES


@strawberry.interface(description="A record with an id.")
class Node:
    """The base class of records with an id. A subclass states its id prefix: `class Case(Node, prefix="cas")`."""

    id: strawberry.ID = strawberry.field(
        description="A prefix for the kind of record, and a UUIDv7. The creator of the record makes the id."
    )

    def __init_subclass__(cls, *, prefix: str) -> None:
        super().__init_subclass__()
        PREFIXES[prefix] = re.sub(r"(?<!^)([A-Z])", r" \1", cls.__name__).lower()
