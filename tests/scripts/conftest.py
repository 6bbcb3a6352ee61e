"""Provide what the tests of commands share."""

from collections.abc import Iterator

import pytest

from tests.support.run_command import Run


@pytest.fixture
def started() -> Iterator[list[Run]]:
    """Yield a list. After the test, every run that the test has added to the list is killed."""
    runs: list[Run] = []
    yield runs
    for run in runs:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()
