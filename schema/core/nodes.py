"""Nodes: what every record with an id of its own has in common."""

import strawberry


@strawberry.interface(description="A record with an id.")
class Node:
    id: strawberry.ID = strawberry.field(
        description="Prefix of the kind and a UUIDv7, made by whoever created the record."
    )
