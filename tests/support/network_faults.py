"""Fates for one request among others, on the bad network that `scripts/benchmarks/faulty_network.py` is."""

from collections.abc import Callable

from scripts.benchmarks.faulty_network import BadNetwork, NetworkFault, Request

__all__ = ["BadNetwork", "NetworkFault", "Request", "nth", "once"]


def once(name: str, fate: NetworkFault) -> Callable[[str], NetworkFault]:
    """That fate for the first request of that name; the others pass."""
    left = [name]

    def decide(came: str) -> NetworkFault:
        if left and came == left[0]:
            left.clear()
            return fate
        return NetworkFault.PASS

    return decide


def nth(number: int, fate: NetworkFault) -> Callable[[str], NetworkFault]:
    """That fate for the request of that number, 1 for the first; the others pass."""
    count = iter(range(1, 1_000_000))
    return lambda _: fate if next(count) == number else NetworkFault.PASS
