"""Define the interface of every record that has an id."""

import re

import strawberry

from schema.core.ids import PREFIXES


@strawberry.interface(description="A record with an id.")
class Node:
    """A subclass names the prefix of its ids: `class Case(Node, prefix="cas")`."""

    id: strawberry.ID = strawberry.field(
        description="A prefix for the kind and a UUIDv7. The creator of the record makes it."
    )

    def __init_subclass__(cls, *, prefix: str) -> None:
        super().__init_subclass__()
        PREFIXES[prefix] = re.sub(r"(?<!^)([A-Z])", r" \1", cls.__name__).lower()
