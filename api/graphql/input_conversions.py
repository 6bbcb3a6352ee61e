"""Convert input objects from graphql-core's values to instances of their classes, by functions that are made once.

Strawberry looks up the name and the type of each field for each object: 0.8 ms for an observation with two media.
graphql-core has checked the values before, so no conversion can fail. Strawberry converts types that are not known here.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING
from typing import Any

from strawberry import Schema
from strawberry.schema.compat import is_scalar
from strawberry.types.arguments import InputContext
from strawberry.types.base import (
    StrawberryList,
    StrawberryMaybe,
    StrawberryObjectDefinition,
    StrawberryOptional,
    get_object_definition,
)
from strawberry.types.enum import StrawberryEnumDefinition, has_enum_definition


class UnknownTypeError(Exception):
    """Raised for a type that no input object of ours has had yet."""


def convert_inputs_directly(schema: Schema) -> None:
    """Set the functions as the hook `from_input` of all input types of the schema."""
    for concrete in schema.schema_converter.type_map.values():
        definition = concrete.definition
        if isinstance(definition, StrawberryObjectDefinition) and definition.is_input:
            try:
                definition.from_input = _reader(schema, definition)
            except UnknownTypeError:
                continue


def _reader(
    schema: Schema, definition: StrawberryObjectDefinition
) -> Callable[[type, Mapping[str, Any], InputContext], Any]:
    name_of, fields = schema.config.name_converter.from_field, definition.fields
    conversions = {
        name_of(field): (field.python_name, _conversion(schema, field.resolve_type(type_definition=definition)))
        for field in fields
    }
    nulls: dict[str, Any] = {
        field.python_name: None
        for field in fields
        if field.default_value is MISSING and field.default_factory is MISSING
    }

    def read(kind: type, value: Mapping[str, Any], context: InputContext) -> Any:
        arguments = nulls.copy()
        for name, given in value.items():
            python_name, convert = conversions[name]
            arguments[python_name] = given if convert is None or given is None else convert(given, context)
        return kind(**arguments)

    return read


def _conversion(schema: Schema, kind: Any) -> Callable[[Any, InputContext], Any] | None:
    """Return the function for values that are not null, or None if they stay as they are."""
    if isinstance(kind, StrawberryOptional) and not isinstance(kind, StrawberryMaybe):
        return _conversion(schema, kind.of_type)
    if isinstance(kind, StrawberryList):
        convert = _conversion(schema, kind.of_type)
        if convert is None:
            return lambda given, _: list(given)  # a default is the same list for every request
        return lambda given, context: [None if item is None else convert(item, context) for item in given]
    is_enum = isinstance(kind, StrawberryEnumDefinition) or has_enum_definition(kind)
    if is_enum or is_scalar(kind, schema.schema_converter.scalar_registry):
        return None
    definition = get_object_definition(kind)
    if definition is None or not definition.is_input:
        raise UnknownTypeError(str(kind))
    return lambda given, context: (
        definition.from_input(kind, given, context) if definition.from_input else context.convert(given, kind)
    )
