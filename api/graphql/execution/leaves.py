"""Plan how scalars and enums are completed: the usual values quickly, all others by graphql-core's own functions."""

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from graphql import (
    GRAPHQL_MAX_INT,
    GRAPHQL_MIN_INT,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLString,
)
from graphql.pyutils import Undefined

from api.graphql.execution.plans import LeafPlan, UnprovenError, check_class

Convert = Callable[[Any], Any]
UNCHANGED: dict[Any, type] = {GraphQLString: str, GraphQLID: str, GraphQLBoolean: bool}
"""The class whose values graphql-core leaves as they are."""


@lru_cache(maxsize=256)
def plan_leaf(type_: GraphQLLeafType, *, required: bool) -> LeafPlan:
    """Return the plan of a scalar or enum. All fields of this type share it."""
    convert = _by_graphql_core(type_, required=required)
    if isinstance(type_, GraphQLEnumType):
        return LeafPlan(None, _enum(type_, convert))
    if type_ is GraphQLInt:
        return LeafPlan(None, _number(int, GRAPHQL_MIN_INT, GRAPHQL_MAX_INT, convert))
    if type_ is GraphQLFloat:
        return LeafPlan(None, _number(float, -sys.float_info.max, sys.float_info.max, convert))
    return LeafPlan(UNCHANGED.get(type_), convert)


def _by_graphql_core(type_: GraphQLLeafType, *, required: bool) -> Convert:
    coerce = type_.coerce_output_value
    checked: set[type] = set()

    def convert(value: Any) -> Any:
        if value is None:
            if required:
                raise UnprovenError
            return None
        if type(value) not in checked:
            check_class(value)
            checked.add(type(value))
        coerced = coerce(value)
        if coerced is None or coerced is Undefined:
            raise UnprovenError
        return coerced

    return convert


def _enum(type_: GraphQLEnumType, convert: Convert) -> Convert:
    """Find the names of members by the members' identity. Hashing a member would take longer than all the rest."""
    members = tuple(getattr(type_, "wrapped_cls", ()))
    names: dict[int, str] = {id(member): type_.coerce_output_value(member) for member in members}

    def convert_enum(value: Any) -> Any:
        return names.get(id(value)) or convert(value)

    return convert_enum


def _number(class_: type[float], lowest: float, highest: float, convert: Convert) -> Convert:
    def convert_number(value: Any) -> Any:
        return value if type(value) is class_ and lowest <= value <= highest else convert(value)

    return convert_number
