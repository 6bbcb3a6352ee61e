"""Choose one request of a faulty network for a fault."""

from collections.abc import Callable

from scripts.benchmarks.faulty_network import BadNetwork, NetworkFault, Request

__all__ = ["BadNetwork", "NetworkFault", "Request", "nth", "once"]


def once(name: str, fate: NetworkFault) -> Callable[[str], NetworkFault]:
    """Return a rule with that fault for the first request of that name; other requests pass."""
    left = [name]

    def decide(came: str) -> NetworkFault:
        if left and came == left[0]:
            left.clear()
            return fate
        return NetworkFault.PASS

    return decide


def nth(number: int, fate: NetworkFault) -> Callable[[str], NetworkFault]:
    """Return a rule with that fault for the request of that number, counted from 1; other requests pass."""
    count = iter(range(1, 1_000_000))
    return lambda _: fate if next(count) == number else NetworkFault.PASS
