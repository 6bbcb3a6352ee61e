"""Test that input objects are the same as Strawberry's own conversion makes them."""

from typing import Any

import pytest
from graphql import (
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLType,
    get_named_type,
)
from hypothesis import given
from hypothesis import strategies as st
from strawberry.types.arguments import convert_argument
from strawberry.types.base import StrawberryObjectDefinition

from tests.support.world import SCHEMA

CONVERTER = SCHEMA.schema_converter
DEFINITIONS: dict[str, StrawberryObjectDefinition] = {
    name: concrete.definition
    for name, concrete in CONVERTER.type_map.items()
    if isinstance(concrete.definition, StrawberryObjectDefinition) and concrete.definition.is_input
}


class Leaf:
    """Stands for a value of a scalar or an enum. No conversion may change it."""


def values_of(kind: GraphQLType, draw: st.DrawFn) -> Any:
    """Draw a value as graphql-core coerces it."""
    if isinstance(kind, GraphQLNonNull):
        return values_of(kind.of_type, draw)
    if draw(st.integers(0, 4)) == 0 and not isinstance(kind, GraphQLInputObjectType):
        return None
    if isinstance(kind, GraphQLList):
        return [values_of(kind.of_type, draw) for _ in range(draw(st.integers(0, 2)))]
    if not isinstance(kind, GraphQLInputObjectType):
        return Leaf()
    return {
        name: values_of(field.type, draw)
        for name, field in kind.fields.items()
        if isinstance(field.type, GraphQLNonNull) or draw(st.booleans())
    }


def converted(definition: StrawberryObjectDefinition, value: Any) -> Any:
    return convert_argument(value, definition.origin, CONVERTER.scalar_registry, SCHEMA.config)


def lists_in(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [value, *(found for item in value for found in lists_in(item))]
    parts = value.values() if isinstance(value, dict) else vars(value).values() if hasattr(value, "__dict__") else ()
    return [found for part in parts for found in lists_in(part)]


def test_every_input_type_is_converted_directly() -> None:
    assert len(DEFINITIONS) > 40
    assert [name for name, definition in DEFINITIONS.items() if definition.from_input is None] == []


@given(st.sampled_from(sorted(DEFINITIONS)), st.data())
def test_input_objects_are_those_of_strawberry(name: str, data: st.DataObject) -> None:
    kind, definition = SCHEMA._schema.get_type(name), DEFINITIONS[name]
    assert isinstance(kind, GraphQLInputObjectType)
    assert get_named_type(kind) is kind
    value = data.draw(st.composite(lambda draw: values_of(kind, draw))())
    found = converted(definition, value)
    with pytest.MonkeyPatch.context() as patch:
        for each in DEFINITIONS.values():
            patch.setattr(each, "from_input", None)
        expected = converted(definition, value)
    assert found == expected
    assert type(found) is type(expected)
    assert not {id(each) for each in lists_in(found)} & {id(each) for each in lists_in(value)}
