"""Hands: several pieces at a time, each once, and none left over that became free while the last one was being asked for."""

import anyio
import pytest

from api.jobs.concurrency import run_concurrently


async def test_what_becomes_free_while_another_is_asked_for_is_not_left() -> None:
    """The second piece is one that only one may have at a time, as a webhook's are."""
    waiting, done = ["first", "second"], list[str]()
    is_busy, asked_again, ended = False, anyio.Event(), anyio.Event()

    async def claim() -> str | None:
        nonlocal is_busy
        if not waiting:
            return None
        if is_busy:
            asked_again.set()
            await ended.wait()  # the answer was that it is busy, and comes once it is so no longer
            return None
        is_busy = True
        return waiting.pop(0)

    async def do(piece: str) -> None:
        nonlocal is_busy
        if piece == "first":
            await asked_again.wait()
        done.append(piece)
        is_busy = False
        ended.set()

    with anyio.fail_after(10):
        await run_concurrently(claim, do, limit=4)
    assert done == ["first", "second"]


async def test_a_piece_that_fails_takes_no_other_along() -> None:
    waiting, done = [0, 1, 2], list[int]()

    async def claim() -> int | None:
        return waiting.pop(0) if waiting else None

    async def do(piece: int) -> None:
        if piece == 0:
            raise ZeroDivisionError
        done.append(piece)

    with pytest.raises(ZeroDivisionError):
        await run_concurrently(claim, do, limit=3)
    assert set(done) >= {1}
