"""Test concurrent jobs: several pieces run at a time, each once. A piece that becomes free during a claim runs too."""

import anyio
import pytest

from api.jobs.concurrency import run_concurrently


async def test_a_piece_that_becomes_free_during_a_claim_still_runs() -> None:
    """Only one of these pieces may run at a time, like the deliveries of one webhook."""
    waiting, done = ["first", "second"], list[str]()
    is_busy, asked_again, ended = False, anyio.Event(), anyio.Event()

    async def claim() -> str | None:
        nonlocal is_busy
        if not waiting:
            return None
        if is_busy:
            asked_again.set()
            await ended.wait()  # this claim found the piece busy, but returns after the piece is free again
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


async def test_a_failing_piece_does_not_stop_the_piece_beside_it() -> None:
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
