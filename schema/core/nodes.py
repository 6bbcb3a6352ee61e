"""Define what every record with an id of its own has in common."""

import re

import strawberry

from schema.core.ids import PREFIXES


@strawberry.interface(description="A record with an id.")
class Node:
    """A subclass names the prefix of its ids: `class Case(Node, prefix="cas")`."""

    id: strawberry.ID = strawberry.field(
        description="Prefix of the kind and a UUIDv7, made by whoever created the record."
    )

    def __init_subclass__(cls, *, prefix: str) -> None:
        super().__init_subclass__()
        PREFIXES[prefix] = re.sub(r"(?<!^)([A-Z])", r" \1", cls.__name__).lower()
