"""Fates for one request among others, on the bad network that `scripts/benchmarks/faulty_network.py` is."""

from collections.abc import Callable

from scripts.benchmarks.faulty_network import BadNetwork, Fate, Request

__all__ = ["BadNetwork", "Fate", "Request", "nth", "once"]


def once(name: str, fate: Fate) -> Callable[[str], Fate]:
    """That fate for the first request of that name; the others pass."""
    left = [name]

    def decide(came: str) -> Fate:
        if left and came == left[0]:
            left.clear()
            return fate
        return Fate.PASS

    return decide


def nth(number: int, fate: Fate) -> Callable[[str], Fate]:
    """That fate for the request of that number, 1 for the first; the others pass."""
    count = iter(range(1, 1_000_000))
    return lambda _: fate if next(count) == number else Fate.PASS
