"""Count the work of a request while its answer is made, and stop when a request exceeds its limit.

The cost of a document is only an estimate. Here every object, field and list item of the answer is counted. A request
that exceeds the limit is refused as a whole. Nothing is cancelled: resolvers that wait for the database end by
themselves, and no further resolver starts.
"""

import time
from typing import Any

from graphql import ExecutionResult, GraphQLObjectType, OperationType
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from api.http.concurrency_limit import REQUEST_SECONDS
from schema.core.refusals import Refusal, RefusalCode

RESOLVER_WORK = 15
"""Work of a field with a resolver of its own. In graphql-core such a field takes 150 microseconds, a stored value 10."""
FIELD_WORK: dict[str, int] = {
    "Media.link": 150,
    "Redaction.link": 150,
    "DraftResult.uploads": 150,
}
"""Work of fields that sign addresses, which takes 1.5 ms."""
INTROSPECTION_WORK = 2
CORE_SHARE = 4
"""graphql-core is stopped at one part in so many of the limit, because plans take 1 to 3 microseconds for a unit of work,
and graphql-core takes 9."""


class Work:
    """The work of one request, or of one event of a subscription. `refusal` is set once a limit is exceeded."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit = limit
        self.done = 0
        self.refusal: Refusal | None = None
        self._deadline = time.monotonic() + seconds

    def add(self, amount: int, operation: OperationType) -> None:
        self.done += amount
        if self.refusal is not None:
            return
        if self.done > self.limit:
            self.refusal = _too_much_work(self.limit, operation)
        elif time.monotonic() > self._deadline:
            self.refusal = Refusal(RefusalCode.UNAVAILABLE, "This took too long. It may have worked: send it again.")


class BoundedExecutor(StrawberryGraphQLCoreExecutionContext):
    """Execute an operation within a limit of work and of time. `bounded_by` makes a class with other limits."""

    work_limit = 60_000
    seconds = REQUEST_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.work = Work(self.work_limit, self.seconds)
        self._weights: dict[int, tuple[Any, int]] = {}

    def build_per_event_executor(self, payload: Any) -> "BoundedExecutor":
        """Return an executor for one event of a subscription, with the whole limit for this event."""
        executor: BoundedExecutor = super().build_per_event_executor(payload)  # type: ignore[assignment]
        executor.work = Work(self.work_limit, self.seconds)
        return executor

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Any,
        grouped_field_set: Any,
        position_context: Any,
    ) -> Any:
        if self.work.refusal is not None:
            return {}
        self.work.add(self._weigh(parent_type, grouped_field_set), self.operation.operation)
        return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)

    def execute_field(
        self, parent_type: GraphQLObjectType, source: Any, field_details_list: Any, path: Any, position_context: Any
    ) -> Any:
        if self.work.refusal is not None:
            return None
        return super().execute_field(parent_type, source, field_details_list, path, position_context)

    def build_response(self, data: dict[str, Any] | None) -> Any:
        """Build the answer. Raise the `Refusal` instead if the work exceeded a limit."""
        response = super().build_response(data)
        if self.work.refusal is not None and isinstance(response, ExecutionResult):
            raise self.work.refusal
        return response

    def complete_iterable_value(
        self, item_type: Any, field_details_list: Any, info: Any, path: Any, items: Any, position_context: Any
    ) -> Any:
        if self.work.refusal is not None:
            return []
        if hasattr(items, "__len__"):
            self.work.add(len(items), self.operation.operation)
        return super().complete_iterable_value(item_type, field_details_list, info, path, items, position_context)

    def _weigh(self, parent_type: GraphQLObjectType, grouped_field_set: Any) -> int:
        kept = self._weights.get(id(grouped_field_set))
        if kept is None:
            # The set is kept with its weight, so that its id is not used for another set during the request.
            kept = self._weights[id(grouped_field_set)] = (
                grouped_field_set,
                weigh_fields(parent_type, grouped_field_set),
            )
        return kept[1]


def bounded_by(work_limit: int, seconds: float = REQUEST_SECONDS) -> type[BoundedExecutor]:
    """Return the executor class that has these limits."""
    return type("BoundedExecutor", (BoundedExecutor,), {"work_limit": work_limit, "seconds": seconds})


def weigh_fields(parent_type: GraphQLObjectType, grouped_field_set: Any) -> int:
    """Return the work of an object: its own, and that of the fields that are selected of it."""
    names = [details[0].node.name.value for details in grouped_field_set.values()]
    work = 1 + sum(work_of(parent_type, name) for name in names)
    return work * INTROSPECTION_WORK if parent_type.name.startswith("__") else work


def work_of(parent_type: GraphQLObjectType, name: str) -> int:
    definition = (
        parent_type.fields[name].extensions.get("strawberry-definition") if name in parent_type.fields else None
    )
    is_resolved = getattr(definition, "base_resolver", None) is not None
    return FIELD_WORK.get(f"{parent_type.name}.{name}", RESOLVER_WORK if is_resolved else 1)


def _too_much_work(limit: int, operation: OperationType) -> Refusal:
    if operation is OperationType.MUTATION:
        return Refusal(
            RefusalCode.LIMIT_EXCEEDED,
            f"The answer takes more work than the limit of {limit}. What was sent may have taken effect. Ask for fewer"
            " records or fields, then send it again.",
        )
    return Refusal(
        RefusalCode.LIMIT_EXCEEDED,
        f"The answer takes more work than the limit of {limit}: ask for fewer records or fields.",
    )
