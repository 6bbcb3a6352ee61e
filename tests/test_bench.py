"""The bench: it measures what it says it does; how fast that is, is no test."""

import pytest

from scripts.bench import measure_likeness
from storage.mongo import Mongo


@pytest.fixture
def driver() -> str:
    return "motor"


async def test_all_planted_hashes_are_found_and_copies_are_counted(
    mongo: Mongo, capsys: pytest.CaptureFixture[str]
) -> None:
    await measure_likeness(mongo, hashes=400, lookups=30, pictures=1, photos=None, seed=5)
    printed = capsys.readouterr().out
    assert "400 pictures loaded" in printed
    assert "lookup of one hash" in printed
    assert "lookup of one whole picture, a hash and 72 marks, that is like no other" in printed
    assert printed.count("missed 0 of 30") == 3
    assert "encoded at 60                  100.0%  1 of 1" in printed
    assert "taken for copies of one another: 0 of 0 pairs" in printed
