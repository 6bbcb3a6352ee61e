"""Begin no test after a given time, and list the tests left out (`scripts/test --changed`)."""

import time
from collections import Counter
from typing import Any

import pytest

LEFT_OUT = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("time budget")
    group.addoption("--begin-until", type=float, required=True, metavar="T", help="begin no test later (Unix time)")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEFT_OUT] = []


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Leave a test out if the time is over, or if the test is too long for any budget."""
    if time.time() < item.config.getoption("--begin-until") and not item.get_closest_marker("long"):
        return None
    item.config.stash[LEFT_OUT].append(item.nodeid)
    return True


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Report the tests left out to the process that started this worker."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left out"] = session.config.stash[LEFT_OUT]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[LEFT_OUT].extend(getattr(node, "workeroutput", {}).get("left out", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    left = Counter(id.partition("::")[0] for id in config.stash[LEFT_OUT])
    if left:
        terminalreporter.section(f"{left.total()} touched tests were not run")
        for module, number in left.items():
            terminalreporter.line(f"{module} ({number})")
