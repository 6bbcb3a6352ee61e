"""Draw GraphQL queries from a schema, with a taste for long lists."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    Undefined,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_required_argument,
)

from tests.support.value_generator import ValueGenerator

LEVELS = (4, 5, 6, 7, 8, 12)
"""Levels of a document. Shallow ones pass the estimate more often, and deep ones multiply."""
HEAVY = ("case", "cases", "flags", "node", "observation", "observations")
SCALARS = {"Int": "1", "Float": "1.5", "Boolean": "true", "String": '"x"', "DateTime": '"2026-11-20T09:05:00Z"'}
PREFIXES = {"case": "cas", "observation": "obs", "media": "med", "monitoringPoint": "pnt", "unit": "unt", "user": "usr"}
"""The kind of record that a root field of this name looks up."""


class DocumentGenerator:
    """Draws documents. `ids` are ids of existing records by their prefix, and `draw` decides everything."""

    def __init__(self, schema: GraphQLSchema, ids: Mapping[str, Sequence[str]], draw: random.Random) -> None:
        self._schema = schema
        self._ids = ids
        self._draw = draw
        self._left, self._levels = 0, 0
        self._aliases = 0

    def document(self) -> str:
        """Return the next document: one to ten fields at the root, with up to 300 selections in all."""
        query = self._schema.query_type
        assert query
        self._left, self._levels, self._aliases = self._draw.choice((20, 60, 300)), self._draw.choice(LEVELS), 0
        roots = HEAVY if self._draw.random() < 0.6 else sorted(query.fields)
        names = self._draw.sample(roots, self._draw.choice((1, 1, 2, 5)))
        fields = [text for name in names if (text := self._field(query, name, 1))]
        return "{ " + " ".join(fields or ["__typename"]) + " }"

    def operation(self, keyword: str, name: str, values: ValueGenerator) -> tuple[str, dict[str, Any]]:
        """Return a query or mutation of one root field, and variables for all its arguments."""
        root = self._schema.query_type if keyword == "query" else self._schema.mutation_type
        assert root
        field = root.fields[name]
        self._left, self._levels, self._aliases = 40, 4, 25
        variables = {
            f"v{at}": values.value(argument.type, key) for at, (key, argument) in enumerate(field.args.items())
        }
        declared = ", ".join(f"$v{at}: {argument.type}" for at, argument in enumerate(field.args.values()))
        passed = ", ".join(f"{key}: $v{at}" for at, key in enumerate(field.args))
        head = f"{keyword}({declared}) {{ {name}({passed})" if declared else f"{keyword} {{ {name}"
        type_ = get_named_type(field.type)
        return f"{head} {{ {self._selection(type_, 2)} }} }}" if is_composite_type(type_) else f"{head} }}", variables

    def _field(self, parent: Any, name: str, level: int) -> str:
        field: GraphQLField = parent.fields[name]
        self._left -= 1
        arguments = self._arguments(name, field)
        type_ = get_named_type(field.type)
        if not is_composite_type(type_):
            return name + arguments
        if level >= self._levels or self._left <= 0:
            return ""
        # Fragments on the types of a union may not give different fields the same name.
        self._aliases += 1
        prefix = f"a{self._aliases}: " if self._aliases <= 25 and self._draw.random() < 0.1 else ""
        selection = self._selection(type_, level + 1)
        return f"{prefix}{name}{arguments} {{ {selection} }}"

    def _selection(self, type_: Any, level: int) -> str:
        if isinstance(type_, GraphQLUnionType):
            chosen = self._draw.choice(type_.types)
            return f"__typename ... on {chosen.name} {{ {self._selection(chosen, level)} }}"
        if isinstance(type_, GraphQLInterfaceType):
            chosen = self._draw.choice(sorted(self._schema.get_possible_types(type_), key=lambda each: each.name))
            return f"__typename ... on {chosen.name} {{ {self._selection(chosen, level)} }}"
        assert isinstance(type_, GraphQLObjectType)
        branches = [name for name, field in type_.fields.items() if is_composite_type(get_named_type(field.type))]
        lists = [name for name in branches if isinstance(get_nullable_type(type_.fields[name].type), GraphQLList)]
        leaves = [name for name in type_.fields if name not in branches]
        taste = self._draw.random()
        if taste < 0.6 and lists:
            names = self._draw.sample(lists, min(len(lists), self._draw.choice((1, 2))))
        elif taste < 0.9 and branches:
            names = self._draw.sample(branches, min(len(branches), self._draw.choice((1, 2, 6))))
        else:
            names = list(branches)
        names += self._draw.sample(leaves, min(len(leaves), self._draw.choice((0, 1, 8))))
        texts = [text for name in names if (text := self._field(type_, name, level))]
        return " ".join(texts or ["__typename"])

    def _arguments(self, name: str, field: GraphQLField) -> str:
        given = [
            f"{key}: {self._value(name, key, argument)}"
            for key, argument in field.args.items()
            if key == "first" or is_required_argument(argument) or (key == "rendition" and self._draw.random() < 0.5)
        ]
        return f"({', '.join(given)})" if given else ""

    def _value(self, name: str, key: str, argument: GraphQLArgument) -> str:
        if key == "first":
            return str(self._draw.choice((100, 100, 20)))
        return self._literal(name, get_nullable_type(argument.type))

    def _literal(self, name: str, type_: Any) -> str:
        if isinstance(type_, GraphQLList):
            return f"[{self._literal(name, get_nullable_type(type_.of_type))}]"
        if isinstance(type_, GraphQLEnumType):
            names: list[str] = sorted(type_.values)
            return self._draw.choice(names)
        if isinstance(type_, GraphQLInputObjectType):
            needed = {
                key: get_nullable_type(field.type)
                for key, field in type_.fields.items()
                if field.default_value is Undefined and get_nullable_type(field.type) is not field.type
            }
            return "{ " + ", ".join(f"{key}: {self._literal(key, inner)}" for key, inner in needed.items()) + " }"
        if type_.name == "ID":
            kind = PREFIXES.get(name) or self._draw.choice(sorted(self._ids))
            return f'"{self._draw.choice(self._ids[kind])}"'
        return SCALARS.get(type_.name, '"2026-11-20"')
