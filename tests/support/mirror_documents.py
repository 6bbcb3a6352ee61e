"""Draw documents that use all of GraphQL's ways to select: aliases, fragments, repeated fields, conditions, types."""

import random
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_required_argument,
    is_required_input_field,
)

LITERALS = {"String": '"a"', "ID": '"obs_1"', "Int": "3", "Float": "1.5", "Boolean": "true", "ByteCount": "5"}
LITERALS |= {"DateTime": '"2026-11-20T09:05:00+08:00"', "Date": '"2026-11-01"'}


class MirrorDocuments:
    """Draws one document. `text` is the document and `variables` are its variables."""

    def __init__(self, schema: GraphQLSchema, draw: random.Random) -> None:
        self._schema = schema
        self._draw = draw
        self._fragments: dict[str, list[tuple[str, str]]] = {}
        self._left = draw.choice((10, 25, 60))
        self.variables: dict[str, Any] = {}
        keyword = draw.choice(("query", "query", "query", "mutation"))
        root = schema.query_type if keyword == "query" else schema.mutation_type
        assert root
        selection = self._selections(root, 0, draw.choice((1, 1, 2, 3)))
        declared = ", ".join(f"${name}: Boolean! = false" for name in self.variables)
        self.variables = {name: value for name, value in self.variables.items() if value is not None}
        fragments = [text for texts in self._fragments.values() for _, text in texts]
        self.text = "\n".join([f"{keyword} {f'({declared}) ' if declared else ''}{selection}", *fragments])

    def _selections(self, type_: Any, level: int, count: int) -> str:
        return "{ " + " ".join(self._selection(type_, level) for _ in range(count)) + " }"

    def _selection(self, type_: Any, level: int) -> str:
        chance = self._draw.random()
        if isinstance(type_, GraphQLUnionType | GraphQLInterfaceType) and chance < 0.8:
            chosen = self._draw.choice(self._schema.get_possible_types(type_))
            return f"... on {chosen.name}{self._condition()} {self._selections(chosen, level, self._count())}"
        if chance < 0.07 or isinstance(type_, GraphQLUnionType):
            return f"{self._draw.choice(('', '', 'kind: '))}__typename"
        if chance < 0.13:
            return f"... {self._draw.choice(('', f'on {type_.name} '))}{self._condition()} {self._selections(type_, level, 2)}"
        if chance < 0.2:
            return self._spread(type_, level)
        return self._field(type_, level)

    def _spread(self, type_: Any, level: int) -> str:
        """Spread a fragment: one that was spread before, or a new one."""
        known = self._fragments.setdefault(type_.name, [])
        if not known or self._draw.random() < 0.5:
            selections = self._selections(type_, level, self._count())
            name = f"{type_.name}{len(known)}"
            known.append((name, f"fragment {name} on {type_.name} {selections}"))
        return f"...{self._draw.choice(known)[0]}{self._condition()}"

    def _field(self, type_: Any, level: int) -> str:
        self._left -= 1
        names = list(type_.fields)
        if self._left < 0 or level >= 7:
            leaves = [name for name in names if not is_composite_type(get_named_type(type_.fields[name].type))]
            names = leaves
            if not names:
                return "__typename"
        else:
            branches = [name for name in names if is_composite_type(get_named_type(type_.fields[name].type))]
            names = branches if branches and self._draw.random() < 0.4 else names
        name = self._draw.choice(names)
        field = type_.fields[name]
        given = [
            f"{key}: {self._literal(argument.type)}"
            for key, argument in field.args.items()
            if is_required_argument(argument) or self._draw.random() < 0.3
        ]
        arguments = f"({', '.join(given)})" if given else ""
        # The alias tells the arguments apart, because fields of one name must have the same arguments.
        alias = f"{name}{len(arguments)}_{sum(map(ord, arguments))}: " if given or self._draw.random() < 0.1 else ""
        inner = get_named_type(field.type)
        selection = f" {self._selections(inner, level + 1, self._count())}" if is_composite_type(inner) else ""
        return f"{alias}{name}{arguments}{self._condition()}{selection}"

    def _count(self) -> int:
        return self._draw.choice((1, 2, 3, 5)) if self._left > 0 else 1

    def _condition(self) -> str:
        if self._draw.random() > 0.08:
            return ""
        name = self._draw.choice(("skip", "include"))
        variable = self._draw.choice(("a", "b", "c"))
        if self._draw.random() < 0.2:
            return f" @{name}(if: {self._draw.choice(('true', 'false'))})"
        self.variables.setdefault(variable, self._draw.choice((True, False, None)))
        return f" @{name}(if: ${variable})"

    def _literal(self, type_: Any) -> str:
        inner = get_nullable_type(type_)
        if isinstance(inner, GraphQLList):
            return f"[{self._literal(inner.of_type)}]"
        if isinstance(inner, GraphQLEnumType):
            names: list[str] = sorted(inner.values)
            return self._draw.choice(names)
        if isinstance(inner, GraphQLInputObjectType):
            needed = {key: field.type for key, field in inner.fields.items() if is_required_input_field(field)}
            return "{ " + ", ".join(f"{key}: {self._literal(each)}" for key, each in needed.items()) + " }"
        return LITERALS[inner.name]
