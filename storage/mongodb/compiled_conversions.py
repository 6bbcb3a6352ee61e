"""Compile functions that make records from plain values, and plain values from records.

The annotations of a record class state the types of its fields. From them, a function for the class is written as
Python source with one expression per field, and compiled once. A general converter chooses a conversion for each value,
and takes two to four times as long.
"""

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

Function = Callable[[Any], Any]
Stored = tuple[Field[Any], Any, str]
"""A field, its type, and its key in dictionaries."""
COPIED: Mapping[type, str] = {kind: f"{kind.__name__}({{}})" for kind in (str, int, float, bool)}
"""Expressions that convert to the simple types, whatever the value is."""


class Compiler(ABC):
    """Compile a function for each record class that is asked for, and for the record classes of its fields.

    `expressions` says how values of simple types convert. In each expression, `{}` stands for the value, and the names
    are those of `names` and of Python's built-in functions. `key` returns the key of a class's field in dictionaries.
    """

    def __init__(
        self,
        expressions: Mapping[type, str],
        names: Mapping[str, Any],
        key: Callable[[type, str], str] = lambda _, name: name,
    ) -> None:
        self._expressions, self._key = expressions, key
        self._globals: dict[str, Any] = dict(names)
        self._functions: dict[type, str] = {}

    def function(self, kind: type) -> Function:
        """Return the function for a record class. Raise `TypeError` if one of its fields has a type without conversion."""
        function: Function = self._globals[self._function_name(kind)]
        return function

    def _function_name(self, kind: type) -> str:
        if kind not in self._functions:
            hints = get_type_hints(kind)  # the fields of a Strawberry class have GraphQL types instead
            stored = [(field, hints[field.name], self._key(kind, field.name)) for field in fields(kind) if field.init]
            body, name = self._body(kind, stored), f"{type(self).__name__}_{kind.__name__}_{len(self._globals)}"
            source = f"def {name}(value):\n{body}"
            exec(compile(source, f"<{name}>", "exec"), self._globals)  # noqa: S102  made from annotations, never from data
            self._functions[kind] = name
        return self._functions[kind]

    def _name(self, value: Any) -> str:
        """Make a value known to the compiled functions. Return the name that it has there."""
        name = f"constant_{len(self._globals)}"
        self._globals[name] = value
        return name

    def _expression(self, hint: Any, value: str) -> str:
        """Return an expression that converts the value of the expression `value` and evaluates it once."""
        kind = getattr(hint, "__supertype__", hint)  # a `NewType` is stored as the type that it stands for
        origin, arguments = get_origin(kind), get_args(kind)
        if kind in self._expressions:
            return self._expressions[kind].format(value)
        if origin in (Union, UnionType) and len(arguments) == 2 and NoneType in arguments:
            return self._optional(next(each for each in arguments if each is not NoneType), value)
        if origin is list or (origin is tuple and arguments[1:] == (...,)):
            return self._sequence(origin, f"[{self._expression(arguments[0], 'item')} for item in {value}]")
        if origin is tuple:
            items = {f"item_{index}": argument for index, argument in enumerate(arguments)}
            converted = "".join(f"{self._expression(argument, item)}, " for item, argument in items.items())
            return f"(lambda {', '.join(items)}: ({converted}))(*{value})"
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return self._member(kind, value)
        if isinstance(kind, type) and is_dataclass(kind):
            return f"{self._function_name(kind)}({value})"
        raise TypeError(f"There is no conversion for {hint}.")

    def _optional(self, kind: Any, value: str) -> str:
        if self._expression(kind, value) == value:
            return value
        held = value if value.isidentifier() else "part"
        tested = value if value.isidentifier() else f"(part := {value})"
        return f"(None if {tested} is None else {self._expression(kind, held)})"

    @abstractmethod
    def _body(self, kind: type, stored: list[Stored]) -> str:
        """Return the body of the function for a class. Its parameter is `value`."""

    @abstractmethod
    def _member(self, kind: type[enum.Enum], value: str) -> str:
        """Return an expression that converts a member of an enum."""

    @abstractmethod
    def _sequence(self, kind: type, items: str) -> str:
        """Return an expression that makes a list or tuple of the list `items`."""


class Readers(Compiler):
    """Make records from dictionaries.

    A field that the dictionary lacks gets its default. Keys of the dictionary that the class does not have are ignored.
    """

    def _body(self, kind: type, stored: list[Stored]) -> str:
        made, values = self._name(kind), {field.name: self._value(field, hint, key) for field, hint, key in stored}
        if _needs_constructor(kind):
            return f"    return {made}({', '.join(f'{name}={value}' for name, value in values.items())})"
        # The constructor would only set the fields one by one. This takes longer than the conversions.
        put, all_fields = self._name(object.__setattr__), ", ".join(f"{name!r}: {values[name]}" for name in values)
        return (
            f"    record = {made}.__new__({made})\n    {put}(record, '__dict__', {{{all_fields}}})\n    return record"
        )

    def _value(self, field: Field[Any], hint: Any, key: str) -> str:
        if field.default is MISSING and field.default_factory is MISSING:
            return self._expression(hint, f"value[{key!r}]")
        if field.default is None and NoneType in get_args(hint):
            return self._expression(hint, f"value.get({key!r})")
        is_made = field.default_factory is not MISSING
        default = f"{self._name(field.default_factory)}()" if is_made else self._name(field.default)
        missing = self._name(MISSING)
        read = self._expression(hint, "part")
        return f"({default} if (part := value.get({key!r}, {missing})) is {missing} else {read})"

    def _member(self, kind: type[enum.Enum], value: str) -> str:
        return f"{self._name(_Members(kind))}[{value}]"

    def _sequence(self, kind: type, items: str) -> str:
        return items if kind is list else f"tuple({items})"


class Writers(Compiler):
    """Make dictionaries from records. A tuple becomes a list."""

    def _body(self, kind: type, stored: list[Stored]) -> str:
        del kind
        values = (f"{key!r}: {self._expression(hint, f'value.{field.name}')}" for field, hint, key in stored)
        return f"    return {{{', '.join(values)}}}"

    def _member(self, kind: type[enum.Enum], value: str) -> str:
        del kind
        return f"{value}.value"

    def _sequence(self, kind: type, items: str) -> str:
        del kind
        return items


class _Members(dict[Any, enum.Enum]):
    """The members of an enum by their value. An unknown value raises the enum's `ValueError`."""

    def __init__(self, kind: type[enum.Enum]) -> None:
        super().__init__((member.value, member) for member in kind)
        self._kind = kind

    def __missing__(self, value: Any) -> enum.Enum:
        return self._kind(value)


def _needs_constructor(kind: type) -> bool:
    """Return whether the constructor does more than to set the fields that it is given."""
    makes_more = any(not field.init and field.default_factory is not MISSING for field in fields(kind))
    return makes_more or hasattr(kind, "__post_init__") or "__slots__" in vars(kind)
