"""Hold the plan of an operation: how each value of the answer is read and completed.

A plan completes only values that it can prove good. For any other value it raises `UnprovenError`, and graphql-core
makes the whole answer. So a plan needs no rules for errors and null values.

`required` tells that a value may not be null, and `has_calls` that a resolver is called for it or below. Only resolvers
need to know the path of a value.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from graphql import GraphQLObjectType
from graphql.pyutils import Path, Undefined

if TYPE_CHECKING:
    from api.graphql.execution.runs import Run

Object = dict[str, Any]
Plan: TypeAlias = "LeafPlan | ListPlan | ObjectPlan | AbstractPlan"


class UnprovenError(Exception):
    """A plan can't prove a value good. Only graphql-core knows what the answer is."""


@dataclass(slots=True, eq=False)
class LeafPlan:
    """Complete a scalar or an enum.

    A value of the class `expected` is returned as it is. `convert` completes all others.
    """

    expected: type | None
    convert: Callable[[Any], Any]
    has_calls: bool = False

    def complete(self, run: "Run", value: Any, path: Path | None) -> Any:
        return value if type(value) is self.expected else self.convert(value)


@dataclass(slots=True, eq=False)
class ListPlan:
    """Complete a list or a tuple. Other iterables can often be read only once, so graphql-core reads them."""

    item: Plan
    required: bool
    has_calls: bool

    def complete(self, run: "Run", value: Any, path: Path | None) -> list[Any] | None:
        if value is None:
            if self.required:
                raise UnprovenError
            return None
        if type(value) is not list and type(value) is not tuple:
            raise UnprovenError
        run.count(len(value))
        complete = self.item.complete
        if self.has_calls:
            return [complete(run, item, Path(path, index, None)) for index, item in enumerate(value)]
        return [complete(run, item, None) for item in value]


@dataclass(slots=True, eq=False)
class ObjectPlan:
    """Complete an object.

    `weight` is the work of the object. `template` has the response names in their order, and the values that are the
    same for every object. `leaves` are stored scalars and enums: response name, attribute, expected class, conversion.
    """

    graphql_type: GraphQLObjectType
    weight: int
    template: Object
    leaves: list[tuple[str, str, type | None, Callable[[Any], Any]]]
    branches: "list[Part | Call]"
    required: bool
    has_calls: bool
    classes: set[type] = field(default_factory=set)
    """Classes of values that were found to be of this type. Strawberry looks at nothing but the class."""

    def complete(self, run: "Run", value: Any, path: Path | None) -> Object | None:
        if value is None:
            if self.required:
                raise UnprovenError
            return None
        if type(value) not in self.classes:
            self._admit(value)
        run.count(self.weight)
        out = self.open(value)
        for branch in self.branches:
            run.start(branch, value, path, out)
        return out

    def open(self, source: Any) -> Object:
        """Return the answer for `source`, as yet without its branches."""
        out = self.template.copy()
        for name, attribute, expected, convert in self.leaves:
            value = getattr(source, attribute)
            out[name] = value if type(value) is expected else convert(value)
        return out

    def _admit(self, value: Any) -> None:
        check_class(value)
        if self.graphql_type.is_type_of is not None and not self.graphql_type.is_type_of(value, None):  # type: ignore[arg-type]
            raise UnprovenError
        self.classes.add(type(value))


@dataclass(slots=True, eq=False)
class AbstractPlan:
    """Complete a value of an interface or union, by the plan for its class. `plan_for` compiles such a plan."""

    types: Mapping[type, GraphQLObjectType]
    plan_for: "Callable[[Run, GraphQLObjectType], ObjectPlan]"
    required: bool
    has_calls: bool = True
    plans: dict[type, ObjectPlan] = field(default_factory=dict)

    def complete(self, run: "Run", value: Any, path: Path | None) -> Object | None:
        if value is None:
            if self.required:
                raise UnprovenError
            return None
        plan = self.plans.get(type(value))
        if plan is None:
            if type(value) not in self.types:
                raise UnprovenError
            plan = self.plans[type(value)] = self.plan_for(run, self.types[type(value)])
        return plan.complete(run, value, path)


@dataclass(slots=True, eq=False)
class Part:
    """A stored object or list, which is a branch of an object: its value is put into `out`."""

    name: str
    attribute: str
    parent: str
    plan: Plan
    required: bool

    def start(self, run: "Run", source: Any, path: Path | None, out: Object) -> None:
        below = Path(path, self.name, self.parent) if self.plan.has_calls else None
        out[self.name] = self.plan.complete(run, getattr(source, self.attribute), below)


@dataclass(slots=True, eq=False)
class Call:
    """A field with a resolver, which `resolve` calls. It is a branch whose value may come later."""

    name: str
    parent: str
    resolve: "Callable[[Run, Any, Path], Any]"
    plan: Plan
    required: bool

    def start(self, run: "Run", source: Any, path: Path | None, out: Object) -> None:
        run.call(self, source, Path(path, self.name, self.parent), out)


def check_class(value: Any) -> None:
    """Raise `UnprovenError` for the values to which graphql-core does something else than to complete them."""
    if value is Undefined or isinstance(value, Exception) or hasattr(value, "__await__"):
        raise UnprovenError
