"""Compile an operation into a plan.

graphql-core itself collects the fields of each selection set. So aliases, fragments, merged selections, @skip and
@include are as in graphql-core.
"""

from graphql import (
    GraphQLAbstractType,
    GraphQLError,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    is_abstract_type,
    is_leaf_type,
)
from graphql.execution.collect_fields import CollectedFields, FieldDetailsList, collect_fields
from strawberry import Schema
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

from api.graphql.execution.leaves import plan_leaf
from api.graphql.execution.plans import AbstractPlan, Call, LeafPlan, ListPlan, ObjectPlan, Part, Plan
from api.graphql.execution.resolvers import plan_resolver
from api.graphql.execution.runs import Run
from api.graphql.work_limit import BoundedExecutor, weigh_fields

DEFINITION = "strawberry-definition"
TYPENAME = "__typename"
MAX_FIELDS = 300
"""Largest number of fields of a plan, so that all plans together take little memory. The operations of phones have at
most 100."""


class NotPlannedError(Exception):
    """The operation has something unusual. graphql-core executes it."""


def compile_operation(executor: BoundedExecutor) -> ObjectPlan | None:
    """Return the plan of the executor's operation and of the values on which @skip and @include depend.

    Return None if graphql-core must execute the operation.
    """
    schema, operation, fragments = executor.schema, executor.operation, executor.fragments
    root = schema.get_root_type(operation.operation)
    has_fragment_variables = any(fragment.variable_signatures for fragment in fragments.values())
    if root is None or has_fragment_variables:
        return None
    try:
        collected = collect_fields(schema, fragments, executor.variable_values, root, operation)
        return _Compiler(executor).plan_fields(root, collected, required=True)
    except (NotPlannedError, GraphQLError, RecursionError):
        return None


class _Compiler:
    def __init__(self, executor: BoundedExecutor) -> None:
        self.executor = executor
        self.count = 0
        self.schema: Schema = executor.schema.extensions[DEFINITION]

    def plan_fields(self, type_: GraphQLObjectType, collected: CollectedFields, *, required: bool) -> ObjectPlan:
        """Return the plan of an object with these fields."""
        if collected.new_defer_usages or _definition_of(type_).is_type_of is not None:
            raise NotPlannedError
        fields = collected.grouped_field_set
        self.count += len(fields)
        if self.count > MAX_FIELDS:
            raise NotPlannedError
        template = dict.fromkeys(fields)
        leaves, branches, has_calls = [], list[Part | Call](), False
        for name, details in fields.items():
            field_name = details[0].node.name.value
            if field_name == TYPENAME:
                template[name] = type_.name
                continue
            field = type_.fields.get(field_name)
            if field is None:
                raise NotPlannedError
            plan, is_required = self.plan_value(field.type, details), isinstance(field.type, GraphQLNonNull)
            attribute = self.stored_attribute(field, details)
            if attribute is None:
                resolve = plan_resolver(type_, field, details, self.schema)
                branches.append(Call(name, type_.name, resolve, plan, is_required))
                has_calls = True
            elif isinstance(plan, LeafPlan):
                leaves.append((name, attribute, plan.expected, plan.convert))
            else:
                branches.append(Part(name, attribute, type_.name, plan, is_required))
                has_calls = has_calls or plan.has_calls
        weight = weigh_fields(type_, fields)
        return ObjectPlan(type_, weight, template, leaves, branches, required, has_calls)

    def plan_value(self, type_: GraphQLOutputType, details: FieldDetailsList) -> Plan:
        required = isinstance(type_, GraphQLNonNull)
        inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
        if isinstance(inner, GraphQLList):
            item = self.plan_value(inner.of_type, details)
            return ListPlan(item, required, item.has_calls)
        if is_leaf_type(inner):
            return plan_leaf(inner, required=required)
        if is_abstract_type(inner):
            return self.plan_abstract(inner, details, required=required)
        if isinstance(inner, GraphQLObjectType):
            return self.plan_object(inner, details, required=required)
        raise NotPlannedError

    def plan_object(self, type_: GraphQLObjectType, details: FieldDetailsList, *, required: bool) -> ObjectPlan:
        return self.plan_fields(type_, self.executor.collect_subfields(type_, details), required=required)

    def plan_abstract(self, type_: GraphQLAbstractType, details: FieldDetailsList, *, required: bool) -> AbstractPlan:
        """Return a plan that compiles the selections of each object type when it first meets such an object."""
        if getattr(type_.extensions.get(DEFINITION), "resolve_type", None) is not None:
            raise NotPlannedError
        possible = self.executor.schema.get_possible_types(type_)
        types = {_definition_of(each).origin: each for each in possible if _definition_of(each).concrete_of is None}

        def plan_for(run: Run, runtime_type: GraphQLObjectType) -> ObjectPlan:
            return _Compiler(run.executor).plan_object(runtime_type, details, required=True)

        return AbstractPlan(types, plan_for, required)

    def stored_attribute(self, field: GraphQLField, details: FieldDetailsList) -> str | None:
        """Return the attribute in which records keep the field's value. Return None if the field has a resolver."""
        definition = field.extensions.get(DEFINITION)
        if not isinstance(definition, StrawberryField):
            raise NotPlannedError
        is_stored = definition.is_basic_field and definition.default_resolver is getattr
        is_plain = not (field.args or details[0].node.arguments or self.schema.exception_handlers)
        return definition.python_name if is_stored and is_plain else None


def _definition_of(type_: GraphQLObjectType) -> StrawberryObjectDefinition:
    definition = type_.extensions.get(DEFINITION)
    if not isinstance(definition, StrawberryObjectDefinition):
        raise NotPlannedError
    return definition
