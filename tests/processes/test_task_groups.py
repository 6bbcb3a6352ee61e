"""Test that errors of task groups are raised alone, so that they can be caught by their type."""

import anyio
import pytest

from api.graphql.context import clock
from api.jobs.leases import LEASE, keep_lease
from schema.core.refusals import Refusal, RefusalCode
from storage.processes.task_groups import collapse_exception_groups


async def fail(seconds: float, error: Exception) -> None:
    await anyio.sleep(seconds)
    raise error


async def run(*failures: tuple[float, Exception]) -> None:
    """Raise each error after its number of seconds. The errors come from concurrent tasks in a nested task group."""
    with collapse_exception_groups():
        async with anyio.create_task_group(), anyio.create_task_group() as tasks:
            for seconds, error in failures:
                tasks.start_soon(fail, seconds, error)


async def test_the_first_error_is_raised_alone() -> None:
    with pytest.raises(LookupError):
        await run((0.05, ValueError()), (0, LookupError()))


async def test_an_error_keeps_its_cause_and_hides_the_group() -> None:
    error = LookupError()
    error.__cause__ = cause = OSError("the disk is gone")
    with pytest.raises(LookupError) as raised:
        await run((0, error))
    assert raised.value.__cause__ is cause
    assert raised.value.__suppress_context__


def test_single_errors_and_groups_with_an_interrupt_pass_unchanged() -> None:
    with pytest.raises(LookupError), collapse_exception_groups():
        raise LookupError
    stopped = BaseExceptionGroup("stopped", [KeyboardInterrupt(), LookupError()])
    with pytest.raises(BaseExceptionGroup) as raised, collapse_exception_groups():
        raise stopped
    assert raised.value is stopped


async def test_an_error_under_a_lease_is_raised_alone() -> None:
    async def hold(_: object) -> bool:
        return True

    with pytest.raises(Refusal):
        async with keep_lease(hold, clock, LEASE):
            raise Refusal(RefusalCode.UNAVAILABLE)
