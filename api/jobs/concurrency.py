"""Hands: pieces of work that mostly wait for somebody else's server are done several at a time.

What a piece is, and that it is claimed by one worker alone, is left to whoever has it.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")


async def run_concurrently(
    claim: Callable[[], Awaitable[T | None]], do: Callable[[T], Awaitable[None]], *, most: int
) -> None:
    """Claim and do pieces, `most` at a time, until none is left; what can't be claimed now is asked for after each.

    A piece that fails takes no other along: those under way come to their end, and its error is raised then.
    """
    failures: list[Exception] = []
    under_way, ended = 0, anyio.Event()

    async def one(piece: T) -> None:
        nonlocal under_way
        try:
            await do(piece)
        except Exception as error:  # noqa: BLE001  raised again below
            failures.append(error)
        finally:
            under_way -= 1
            ended.set()

    async with anyio.create_task_group() as tasks:
        while not failures:
            ended = anyio.Event()  # before asking: what ends meanwhile may leave something to claim
            piece: T | None = None
            if under_way < most:
                try:
                    piece = await claim()
                except Exception as error:  # noqa: BLE001  raised again below
                    failures.append(error)
                    break
            if piece is not None:
                under_way += 1
                tasks.start_soon(one, piece)
            elif under_way:
                await ended.wait()
            elif not ended.is_set():
                break
    if failures:
        raise failures[0]
