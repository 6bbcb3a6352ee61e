"""Build a schema with the types of the product, whose records are drawn and go wrong in every way.

The types are printed as Python and executed, because they refer to each other. A field has a resolver, a guard and
arguments where this is so in the product. Its value is drawn from a seed, so two executions find the same records.
"""

import sys
from types import ModuleType
from typing import Any

import strawberry
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
)
from strawberry.schema.config import StrawberryConfig

from schema.core.times import SCALARS
from tests.support import drawn_records

MODULE = "tests.support.mirrored_types"
HEAD = """
import enum
from datetime import date, datetime
from typing import Annotated, Union
import strawberry
from schema.core.times import ByteCount
from tests.support.drawn_records import Drawn, Guard
"""
SCALAR_NAMES = {"String": "str", "ID": "strawberry.ID", "Int": "int", "Float": "float", "Boolean": "bool"}
SCALAR_NAMES |= {"DateTime": "datetime", "Date": "date"}


def mirror(original: GraphQLSchema) -> strawberry.Schema:
    """Return a schema with the queries, mutations and types of `original`."""
    named = [type_ for type_ in original.type_map.values() if not type_.name.startswith("__")]
    order = (GraphQLEnumType, GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType, GraphQLUnionType)
    texts = [
        _print(type_) for kind in order for type_ in named if isinstance(type_, kind) and type_.name != "Subscription"
    ]
    module = sys.modules[MODULE] = ModuleType(MODULE)
    exec(HEAD + "\n".join(texts), module.__dict__)  # noqa: S102  printed from our own schema
    made = vars(module)
    records = [made[type_.name] for type_ in named if isinstance(type_, GraphQLObjectType) and type_.name in made]
    config = StrawberryConfig(scalar_map=SCALARS)
    schema = strawberry.Schema(made["Query"], made["Mutation"], types=records, config=config)
    drawn_records.CLASSES.update({name: each for name, each in made.items() if isinstance(each, type)})
    return schema


def _print(type_: GraphQLNamedType) -> str:
    if isinstance(type_, GraphQLEnumType):
        members = "\n".join(f"    {name} = {name!r}" for name in type_.values)
        return f"@strawberry.enum\nclass {type_.name}(enum.Enum):\n{members}\n"
    if isinstance(type_, GraphQLUnionType):
        members = ", ".join(f'"{member.name}"' for member in type_.types)
        return f'{type_.name} = Annotated[Union[{members}], strawberry.union("{type_.name}")]\n'
    if isinstance(type_, GraphQLInputObjectType):
        fields = [
            f'    f_{name}: "{_annotate(field.type)}" = strawberry.field(name="{name}"'
            for name, field in type_.fields.items()
        ]
        ends = ["" if isinstance(field.type, GraphQLNonNull) else ", default=None" for field in type_.fields.values()]
        lines = sorted(
            (f"{line}{end})" for line, end in zip(fields, ends, strict=True)), key=lambda line: "default" in line
        )
        return f"@strawberry.input\nclass {type_.name}:\n" + "\n".join(lines) + "\n"
    assert isinstance(type_, GraphQLObjectType | GraphQLInterfaceType)
    bases = "".join(f"{interface.name}, " for interface in type_.interfaces)
    inherited = {name for interface in type_.interfaces for name in interface.fields}
    kind = "interface" if isinstance(type_, GraphQLInterfaceType) else "type"
    printed = "\n".join(_print_field(type_, name) for name in type_.fields if name not in inherited)
    return f"@strawberry.{kind}\nclass {type_.name}({bases}Drawn):\n{printed or '    pass'}\n"


def _print_field(parent: Any, name: str) -> str:
    field = parent.fields[name]
    definition = field.extensions["strawberry-definition"]
    annotation = _annotate(field.type)
    if definition.is_basic_field:
        return f'    f_{name}: "{annotation}" = strawberry.field(name="{name}")'
    needed = [(key, each) for key, each in field.args.items() if isinstance(each.type, GraphQLNonNull)]
    optional = [(key, each) for key, each in field.args.items() if not isinstance(each.type, GraphQLNonNull)]
    arguments = "".join(f", {_print_argument(key, each.type)}" for key, each in needed)
    arguments += "".join(f", {_print_argument(key, each.type)} = None" for key, each in optional)
    passed = ", ".join(f"a_{key}=a_{key}" for key in field.args)
    guard = ", extensions=[Guard()]" if definition.extensions else ""
    start = "async def" if definition.is_async else "def"
    call = (
        f"await self.wait(info, {name!r}, {passed})" if definition.is_async else f"self.take(info, {name!r}, {passed})"
    )
    return (
        f'    @strawberry.field(name="{name}"{guard})\n'
        f'    {start} r_{name}(self, info: strawberry.Info{arguments}) -> "{annotation}":\n'
        f"        return {call}"
    )


def _print_argument(key: str, type_: Any) -> str:
    """An argument may be named as a keyword of Python, such as `from`."""
    return f'a_{key}: Annotated["{_annotate(type_)}", strawberry.argument(name="{key}")]'


def _annotate(type_: Any) -> str:
    if isinstance(type_, GraphQLNonNull):
        return _annotate_required(type_.of_type)
    return f"{_annotate_required(type_)} | None"


def _annotate_required(type_: Any) -> str:
    if isinstance(type_, GraphQLList):
        return f"list[{_annotate(type_.of_type)}]"
    name: str = SCALAR_NAMES.get(type_.name, type_.name)
    return name
