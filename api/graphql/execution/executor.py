"""Execute queries and mutations by plans."""

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DirectiveNode,
    FragmentDefinitionNode,
    GraphQLFieldResolver,
    GraphQLIncludeDirective,
    GraphQLResolveInfo,
    GraphQLSkipDirective,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    Visitor,
    visit,
)
from graphql.execution.middleware import MiddlewareManager

from api.graphql.execution.compiler import compile_operation
from api.graphql.execution.plans import ObjectPlan
from api.graphql.execution.runs import Outcome, Run
from api.graphql.work_limit import CORE_SHARE, BoundedExecutor, bounded_by
from api.http.concurrency_limit import REQUEST_SECONDS
from api.settings import Settings

CACHED_PLANS = 512
"""Twice as many as documents are kept parsed."""
MAX_VARIANTS = 32
"""Largest number of plans of one operation. Each combination of values in @skip and @include has its own plan. A phone's
`Sync` has five such values."""
CONDITIONS = {GraphQLSkipDirective.name, GraphQLIncludeDirective.name}


@dataclass
class OperationPlans:
    """The plans of one operation, by the values of the variables on which @skip and @include depend.

    `conditions` are these variables. None if the operation has another directive.
    """

    operation: OperationDefinitionNode  # kept, so that its id is not used for another operation
    conditions: tuple[str, ...] | None
    plans: dict[tuple[Any, ...], ObjectPlan | None] = field(default_factory=dict)


class PlanCache:
    """The plans of the operations that were executed last, `size` in all."""

    def __init__(self, size: int = CACHED_PLANS) -> None:
        self._size = size
        self._count = 0
        self._operations: dict[int, OperationPlans] = {}

    def find(self, executor: BoundedExecutor) -> ObjectPlan | None:
        """Return the plan of the executor's operation, or None if graphql-core must execute it."""
        operation = executor.operation
        kept = self._operations.pop(id(operation), None)
        if kept is None:
            kept = OperationPlans(operation, _find_conditions([operation, *executor.fragment_definitions.values()]))
        self._operations[id(operation)] = kept
        values = tuple(executor.variable_values.coerced.get(name) for name in kept.conditions or ())
        if values not in kept.plans and len(kept.plans) < MAX_VARIANTS:
            kept.plans[values] = None if kept.conditions is None else compile_operation(executor)
            self._count += 1
            while self._count > self._size:
                self._count -= len(self._operations.pop(next(iter(self._operations))).plans)
        return kept.plans.get(values)


class PlanExecutor(BoundedExecutor):
    """Execute queries and mutations by plans, within the limits of `BoundedExecutor`.

    If a run is not proven, graphql-core executes the operation. It gets the outcomes of the resolvers that were already
    called, so that nothing happens twice.
    """

    plans = PlanCache()
    core_limit = BoundedExecutor.work_limit
    """The limit of work for what graphql-core executes. `work_limit` is that for plans."""

    def execute_operation(self, serially: bool | None = None) -> Any:
        plan = self.plans.find(self) if serially is None and self._may_plan() else None
        if plan is None:
            self.work.limit = self.core_limit
            return super().execute_operation(serially)
        run = Run(self, plan)
        run.begin()
        return self._finish(run) if run.is_waiting() else self._conclude(run)

    def _may_plan(self) -> bool:
        has_middleware = self.middleware_manager is not None and bool(self.middleware_manager.middlewares)
        is_subscription = self.operation.operation is OperationType.SUBSCRIPTION
        return not (has_middleware or is_subscription or self.abort_signal or self.hooks)

    async def _finish(self, run: Run) -> Any:
        await run.finish()
        result = self._conclude(run)
        return await result if isinstance(result, Awaitable) else result

    def _conclude(self, run: Run) -> Any:
        if run.is_proven or self.work.refusal is not None:
            return self.build_response(run.data)  # or the refusal
        self.work.done, self.work.limit = 0, self.core_limit
        self.middleware_manager = MiddlewareManager(Replay(run.outcomes))
        return super().execute_operation()


class Replay:
    """Give the outcomes of resolvers to graphql-core, as a middleware. Resolvers that have no outcome are called.

    A run is handed over as soon as it would wait after the first value that it can't prove good. So errors arise in
    graphql-core as if it had executed the operation alone: first that of the run, then those of resolvers that wait.
    """

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        self._outcomes = {outcome.path: outcome for outcome in outcomes}

    def resolve(self, next_: GraphQLFieldResolver, source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        outcome = self._outcomes.get(info.path)
        if outcome is None:
            return next_(source, info, **arguments)
        return outcome.get() if outcome.coroutine is None else outcome.end()


def planned_by(
    work_limit: int, seconds: float = REQUEST_SECONDS, *, core_limit: int | None = None
) -> type[PlanExecutor]:
    """Return the executor class that has these limits, and plans of its own.

    `core_limit` is the limit of work for what graphql-core executes. If it is None, it is the same as that for plans.
    """
    limits = {"work_limit": work_limit, "core_limit": work_limit if core_limit is None else core_limit}
    return type("PlanExecutor", (PlanExecutor,), {**limits, "seconds": seconds, "plans": PlanCache()})


def executor_class(settings: Settings) -> type[BoundedExecutor]:
    """Return the executor class that `settings` ask for."""
    core_limit = settings.max_work // CORE_SHARE
    if settings.execution == "graphql-core":
        return bounded_by(core_limit)
    return planned_by(settings.max_work, core_limit=core_limit)


class _ConditionFinder(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.variables: set[str] = set()
        self.is_usual = True

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        self.is_usual = self.is_usual and node.name.value in CONDITIONS
        values = [argument.value for argument in node.arguments or ()]
        self.variables |= {value.name.value for value in values if isinstance(value, VariableNode)}


def _find_conditions(definitions: list[OperationDefinitionNode | FragmentDefinitionNode]) -> tuple[str, ...] | None:
    finder = _ConditionFinder()
    for definition in definitions:
        visit(definition, finder)
    return tuple(sorted(finder.variables)) if finder.is_usual else None
