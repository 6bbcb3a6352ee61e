"""Test fair turns: people share a worker by time, whatever number of pieces they have."""

from collections import Counter
from collections.abc import Mapping

import pytest

from api.jobs.fair_turns import FairTurns


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def served(costs: Mapping[str, float], pieces: int) -> Counter[str]:
    """Do that many pieces for people whose pieces take that many seconds. Return the seconds that each person got."""
    clock = Clock()
    turns, seconds = FairTurns(clock), Counter(dict.fromkeys(costs, 0))
    for _ in range(pieces):
        first = turns.order(list(costs))[0]
        with turns.take(first):
            clock.seconds += costs[first]
        seconds[first] += int(costs[first])
    return seconds


@pytest.mark.parametrize("cost", [1, 3, 20])
def test_people_get_the_same_time_though_their_pieces_differ(cost: int) -> None:
    got = served({"a": 1, "b": cost, "c": 1}, 200)
    assert max(got.values()) - min(got.values()) <= cost


def test_a_newcomer_is_next_after_the_piece_in_progress() -> None:
    clock = Clock()
    turns = FairTurns(clock)
    for _ in range(3):
        with turns.take(turns.order(["flood"])[0]):
            clock.seconds += 20
    assert turns.order(["flood", "new"]) == ["new", "flood"]


def test_people_who_have_used_the_same_time_are_served_in_the_order_of_their_arrival() -> None:
    turns = FairTurns(Clock())
    assert turns.order(["late"]) == ["late"]
    assert turns.order(["early", "late"]) == ["late", "early"]


def test_time_in_which_a_person_did_not_wait_is_no_credit() -> None:
    clock = Clock()
    turns = FairTurns(clock)
    with turns.take(turns.order(["resting"])[0]):
        clock.seconds += 1
    for _ in range(50):
        with turns.take(turns.order(["busy"])[0]):
            clock.seconds += 1
    got = Counter[str]()
    for _ in range(10):
        first = turns.order(["busy", "resting"])[0]
        got[first] += 1
        with turns.take(first):
            clock.seconds += 1
    assert abs(got["busy"] - got["resting"]) <= 2
