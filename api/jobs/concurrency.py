"""Run pieces of work concurrently. This is for pieces that mostly wait for other servers."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")


async def run_concurrently(
    claim: Callable[[], Awaitable[T | None]], do: Callable[[T], Awaitable[None]], *, limit: int
) -> None:
    """Claim pieces of work and do them, at most `limit` at a time, until `claim` returns None and all are done.

    After each piece, `claim` is called again, because a piece that ends may make another one available. If a piece
    fails, the pieces in progress are finished first. Then its error is raised.
    """
    errors: list[Exception] = []
    in_progress, ended = 0, anyio.Event()

    async def do_one(piece: T) -> None:
        nonlocal in_progress
        try:
            await do(piece)
        except Exception as error:  # noqa: BLE001  raised again below
            errors.append(error)
        finally:
            in_progress -= 1
            ended.set()

    async with anyio.create_task_group() as tasks:
        while not errors:
            ended = anyio.Event()  # before the claim: a piece that ends meanwhile may free another
            piece: T | None = None
            if in_progress < limit:
                try:
                    piece = await claim()
                except Exception as error:  # noqa: BLE001  raised again below
                    errors.append(error)
                    break
            if piece is not None:
                in_progress += 1
                tasks.start_soon(do_one, piece)
            elif in_progress:
                await ended.wait()
            elif not ended.is_set():
                break
    if errors:
        raise errors[0]
