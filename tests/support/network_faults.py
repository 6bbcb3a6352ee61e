"""Choose one request of a faulty network for a fault."""

from collections.abc import Callable

from scripts.benchmarks.faulty_network import FaultyNetwork, NetworkFault, Request

__all__ = ["FaultyNetwork", "NetworkFault", "Request", "nth", "once"]


def once(name: str, fault: NetworkFault) -> Callable[[str], NetworkFault]:
    """Return a rule with that fault for the first request of that name; other requests pass."""
    left = [name]

    def decide(request_name: str) -> NetworkFault:
        if left and request_name == left[0]:
            left.clear()
            return fault
        return NetworkFault.PASS

    return decide


def nth(number: int, fault: NetworkFault) -> Callable[[str], NetworkFault]:
    """Return a rule with that fault for the request of that number, counted from 1; other requests pass."""
    count = iter(range(1, 1_000_000))
    return lambda _: fault if next(count) == number else NetworkFault.PASS
