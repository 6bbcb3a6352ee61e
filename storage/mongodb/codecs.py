"""Convert records to MongoDB documents and back, by the type annotations of the record classes.

A field keeps its name, but a node's `id` becomes `_id`. An enum is stored as its value. Fields of a document that the
record class does not have (leases, locations) are not read. Relations between records are resolver methods and not
fields, so they are not stored.
"""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, time
from typing import Any, TypeVar, get_type_hints

import cattrs
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from schema.core.nodes import Node
from storage.mongodb.client import Document

T = TypeVar("T")

_converter = cattrs.Converter(detailed_validation=False)
_converter.register_unstructure_hook(datetime, lambda value: value)
_converter.register_structure_hook(datetime, lambda value, _: value)


def stored_day(day: date) -> datetime:
    """Return midnight UTC of the day. Dates are stored in this form, because BSON has no type for them."""
    return datetime.combine(day, time(), UTC)


_converter.register_unstructure_hook(date, stored_day)
_converter.register_structure_hook(date, lambda value, _: value.date())


def _hints(kind: type) -> dict[str, Any]:
    """Return the Python annotations of the stored fields, by field name.

    The fields of a Strawberry class have GraphQL types instead, which cattrs can't read.
    """
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind) if field.init}


def _encoder(kind: type) -> Callable[[Any], Any]:
    rename = {"id": "_id"} if issubclass(kind, Node) else {}
    overrides = {
        name: override(rename=rename.get(name), unstruct_hook=_converter.get_unstructure_hook(hint))
        for name, hint in _hints(kind).items()
    }
    return make_dict_unstructure_fn(kind, _converter, **overrides)  # type: ignore[arg-type]


def _decoder(kind: type) -> Callable[[Any, Any], Any]:
    rename = {"id": "_id"} if issubclass(kind, Node) else {}
    overrides = {
        name: override(rename=rename.get(name), struct_hook=_as_hook(hint)) for name, hint in _hints(kind).items()
    }
    return make_dict_structure_fn(kind, _converter, **overrides)  # type: ignore[arg-type]


def _as_hook(hint: Any) -> Callable[[Any, Any], Any]:
    hook = _converter.get_structure_hook(hint)
    return lambda value, _: hook(value, hint)


_converter.register_unstructure_hook_factory(is_dataclass, _encoder)
_converter.register_structure_hook_factory(is_dataclass, _decoder)


def to_document(record: Any) -> Document:
    document: Document = _converter.unstructure(record)
    return document


def from_document(kind: type[T], document: Document) -> T:
    return _converter.structure(document, kind)
