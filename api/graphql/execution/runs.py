"""Run the plan of an operation once.

Resolvers of records wait for nothing but `context.load`, because `schema` does no input or output. So their coroutines
need no tasks: each is driven to its first load at once. All loads of a level are therefore asked before anything waits,
and a loader's batch is as large as it can be. Resolvers of root fields may wait for anything, so they are awaited, and
if there are several, each has a task.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from types import CoroutineType
from typing import Any

from graphql import GraphQLResolveInfo, OperationType
from graphql.pyutils import Path

from api.graphql.execution.plans import Call, Object, ObjectPlan, Part, UnprovenError
from api.graphql.execution.resolvers import FieldCall
from api.graphql.work_limit import BoundedExecutor


class Outcome:
    """The outcome of a resolver: a value or an error.

    If the resolver is async, `coroutine` is its coroutine and `awaited` what this waits for. Of a root field, `task` may
    wait for the coroutine. The completed value belongs into `out`.
    """

    __slots__ = ("awaited", "call", "coroutine", "error", "has_ended", "out", "path", "task", "value")

    def __init__(self, call: Call, path: Path, out: Object) -> None:
        self.call = call
        self.path = path
        self.out = out
        self.value: Any = None
        self.error: Exception | None = None
        self.has_ended = False
        self.coroutine: Coroutine[Any, Any, Any] | None = None
        self.awaited: Any = None
        self.task: asyncio.Task[None] | None = None

    def get(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.value

    def step(self) -> None:
        """Drive the coroutine until it waits again or has ended."""
        try:
            self.awaited = self.coroutine.send(None)  # type: ignore[union-attr]
        except StopIteration as end:
            self.value = end.value
            self.has_ended = True
        except Exception as error:  # noqa: BLE001  graphql-core reports it
            self.error = error
            self.has_ended = True
        else:
            if self.awaited is not None:
                # A future with this mark makes a task wait. While it is set, no other coroutine may ask for the future.
                self.awaited._asyncio_future_blocking = False  # noqa: SLF001

    async def end_root(self) -> None:
        """Wait for the resolver of a root field in the usual way, because it may use tasks, scopes and timeouts."""
        try:
            self.value = await self.coroutine  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001  graphql-core reports it
            self.error = error
        self.has_ended = True

    async def end(self) -> Any:
        """Wait for the resolver without a run. Return its value or raise its error."""
        if self.path.prev is None and not self.has_ended:
            await (self.task or self.end_root())
        while not self.has_ended:
            await (asyncio.sleep(0) if self.awaited is None else asyncio.wait([self.awaited]))
            self.step()
        return self.get()


class Run:
    """One run of a plan. `is_proven` becomes false when only graphql-core knows what the answer is."""

    def __init__(self, executor: BoundedExecutor, plan: ObjectPlan) -> None:
        self.executor = executor
        self.data: Object = {}
        self.is_proven = True
        self.outcomes: list[Outcome] = []
        self._plan = plan
        self._branches = iter(plan.branches)
        self._roots: list[Outcome] = []
        self._ready: deque[Outcome] = deque()
        self._pending = 0
        self._wake: asyncio.Future[None] | None = None
        self._operation_type = executor.operation.operation
        self._is_serial = self._operation_type is OperationType.MUTATION
        self._arguments: dict[FieldCall, dict[str, Any]] = {}
        self._make_info: Callable[[tuple[Any, ...]], GraphQLResolveInfo[Any]] | None = None
        self._common_info: tuple[Any, ...] = ()

    def is_waiting(self) -> bool:
        return bool(self._roots or self._ready or self._pending)

    def begin(self) -> None:
        """Resolve what can be resolved without waiting."""
        try:
            if not self._is_serial:  # graphql-core counts no work for the root of a mutation either
                self.count(self._plan.weight)
            self.data = self._plan.open(self.executor.root_value)
        except Exception:  # noqa: BLE001  graphql-core finds the error again
            self.is_proven = False
        self._start_roots()

    async def finish(self) -> None:
        """Wait for resolvers and complete their values.

        A run that is not proven ends as soon as it would have to wait. If there is too much work, no further resolver
        starts, but those that wait are waited for.
        """
        work = self.executor.work
        try:
            while self.is_waiting() and (self.is_proven or self._ready or work.refusal is not None):
                if self._roots:
                    await self._await_roots()
                elif self._ready:
                    self._advance(self._ready.popleft())
                else:
                    self._wake = asyncio.get_running_loop().create_future()
                    await self._wake
                if not self.is_waiting():
                    self._start_roots()
        except BaseException:
            for outcome in self.outcomes:
                if outcome.task is not None:
                    outcome.task.cancel()
                elif outcome.coroutine is not None:
                    outcome.coroutine.close()
            raise

    def start(self, branch: Part | Call, source: Any, path: Path | None, out: Object) -> None:
        """Start a branch of an object. As in graphql-core, an error ends the object unless the branch may be null."""
        try:
            branch.start(self, source, path, out)
        except Exception:
            self.is_proven = False
            if branch.required or self.executor.work.refusal is not None:
                raise

    def count(self, amount: int) -> None:
        """Count work. Raise `UnprovenError` if there is too much of it."""
        work = self.executor.work
        work.add(amount, self._operation_type)
        if work.refusal is not None:
            raise UnprovenError

    def call(self, call: Call, source: Any, path: Path, out: Object) -> None:
        """Call a resolver. Put its completed value into `out`, now or when it has ended."""
        outcome = Outcome(call, path, out)
        self.outcomes.append(outcome)
        try:
            value = call.resolve(self, source, path)
        except Exception as error:
            outcome.error = error
            raise
        if isinstance(value, CoroutineType) or self.executor.is_awaitable(value):
            outcome.coroutine = value if isinstance(value, CoroutineType) else _await(value)
            if path.prev is None:
                self._roots.append(outcome)
                return
            outcome.step()
            if not outcome.has_ended:
                self._wait_for(outcome)
                return
            value = outcome.get()
        else:
            outcome.value = value
        out[call.name] = call.plan.complete(self, value, path)

    def info(self, call: FieldCall, path: Path) -> GraphQLResolveInfo[Any]:
        """Return what a resolver is told about its place. Only the first items differ between the calls of a run."""
        if self._make_info is None:
            info = self.executor.build_resolve_info(call.field, call.nodes, call.parent, path)
            self._make_info, self._common_info = type(info)._make, info[len(call.head) + 1 :]
            return info
        return self._make_info((*call.head, path, *self._common_info))

    def arguments(self, call: FieldCall) -> dict[str, Any]:
        arguments = self._arguments.get(call)
        if arguments is None:
            arguments = self._arguments[call] = call.read_arguments(self)
        return arguments

    def _start_roots(self) -> None:
        """Start the root fields that have not started. The next field of a mutation starts when the last has ended."""
        for branch in self._branches if self.is_proven else ():
            try:
                self.start(branch, self.executor.root_value, None, self.data)
            except Exception:  # noqa: BLE001  graphql-core finds the error again
                return
            if self._is_serial and (self.is_waiting() or not self.is_proven):
                return

    async def _await_roots(self) -> None:
        """Wait for the only root field that waits, or make a task for each."""
        roots, self._roots = self._roots, []
        if len(roots) == 1 and not self._pending:
            await roots[0].end_root()
            self._complete(roots[0])
            return
        for outcome in roots:
            outcome.task = asyncio.ensure_future(outcome.end_root())
            outcome.task.add_done_callback(partial(self._note_ready, outcome))
            self._pending += 1

    def _wait_for(self, outcome: Outcome) -> None:
        self._pending += 1
        if outcome.awaited is None:  # it waits for the next turn of the event loop
            asyncio.get_running_loop().call_soon(self._note_ready, outcome)
        else:
            outcome.awaited.add_done_callback(partial(self._note_ready, outcome))

    def _note_ready(self, outcome: Outcome, _: Any = None) -> None:
        self._pending -= 1
        self._ready.append(outcome)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _advance(self, outcome: Outcome) -> None:
        """Let a resolver go on. If it has ended, complete its value."""
        if outcome.task is not None:
            outcome.task.result()  # raises the error of a task that was cancelled
        else:
            outcome.step()
        if outcome.has_ended:
            self._complete(outcome)
        else:
            self._wait_for(outcome)

    def _complete(self, outcome: Outcome) -> None:
        if self.executor.work.refusal is not None:
            return
        try:
            outcome.out[outcome.call.name] = outcome.call.plan.complete(self, outcome.get(), outcome.path)
        except Exception:  # noqa: BLE001  graphql-core finds the error again
            self.is_proven = False


async def _await(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
