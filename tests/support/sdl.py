"""Read the types and fields of the SDL."""

from collections.abc import Iterator

from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, build_schema

from api.server.graphql_schema import print_sdl
from tests.support.world import SCHEMA

SDL: GraphQLSchema = build_schema(print_sdl(SCHEMA))


def fields() -> Iterator[tuple[str, str, GraphQLField]]:
    for type_ in SDL.type_map.values():
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
            for name, field in type_.fields.items():
                yield type_.name, name, field


def roots(kind: str) -> list[str]:
    return sorted(name for owner, name, _ in fields() if owner == kind)
