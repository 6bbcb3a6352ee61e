"""Distribute tests to workers: the tests of a file stay together, so that a worker builds what they share only once.

Tests of the same running product stay together too, because starting one costs seconds, and it is never quite idle.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

LONGEST = ("tests/phone/", "tests/kit/", "tests/scripts/", "tests/server/", "tests/evidence/", "tests/formats/")
"""Folders with long tests. They start first, so that no worker is alone with one in the end."""


def unit_of(test: str) -> str:
    """Return the name of the unit of work that a test belongs to."""
    file = test.partition("::")[0]
    if file.startswith("tests/phone/"):
        return "phones 1" if file < "tests/phone/test_k" else "phones 2"
    return "kit" if file.startswith("tests/kit/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    if config.getoption("dist") != "loadscope":
        return None
    config.option.loadscopereorder = False  # it would begin with the units of most tests, not with the longest ones
    made = LoadScopeScheduling(config, log)
    made._split_scope = unit_of
    return made


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((n for n, folder in enumerate(LONGEST) if item.nodeid.startswith(folder)), 99))
