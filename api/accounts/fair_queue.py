"""Let sign-ins wait for their turn, so that a burst is answered in order and no address or name takes all turns."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from math import ceil

from api.http.concurrency_limit import release_slot
from api.http.waiting_room import address_group
from schema.core.refusals import Refusal, RefusalCode

AT_ONCE = 4
"""Twice the number of threads that hash, because a turn also waits for the database."""
MAX_WAITING = 256
"""All phones of an office may sign in at the same moment, behind one address."""
MAX_WAIT_SECONDS = 45.0
"""Phones and proxies wait 60 s for an answer, so a request that waits in vain can still be told so."""
MAX_RETRY_SECONDS = 60


class FairQueue:
    """Give at most `at_once` turns at once, and let at most `limit` more wait, each for at most `seconds`.

    Addresses take turns, and so do the names of one address. If too many wait, the address that has most of them loses
    the newest of the name that has most of them. So a flood from one place, or for one name, delays nobody else.
    """

    def __init__(self, *, at_once: int = AT_ONCE, limit: int = MAX_WAITING, seconds: float = MAX_WAIT_SECONDS) -> None:
        self._at_once = at_once
        self._limit = limit
        self._seconds = seconds
        self._running = 0
        self._waiting = 0
        self._places: dict[str, dict[str, deque[asyncio.Future[None]]]] = {}
        self._turn_seconds = 0.1

    @contextlib.asynccontextmanager
    async def turn(self, address: str, name: str) -> AsyncIterator[None]:
        """Wait for a turn, and hold it until the block ends. Raise `Refusal(BUSY)` if too many wait, or for too long."""
        await self._enter(address_group(address), name)
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            yield
        finally:
            self._turn_seconds += (loop.time() - began - self._turn_seconds) / 8
            self._pass_on()

    async def _enter(self, group: str, name: str) -> None:
        if self._running < self._at_once:
            self._running += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._places.setdefault(group, {}).setdefault(name, deque()).append(place)
        self._waiting += 1
        if self._waiting > self._limit:
            self._refuse_one(group, name)
        try:
            with release_slot():
                async with asyncio.timeout(self._seconds):
                    await place
        except TimeoutError:
            self._leave(group, name, place)
            raise self._busy() from None
        except asyncio.CancelledError:
            self._leave(group, name, place)
            raise

    def _leave(self, group: str, name: str, place: "asyncio.Future[None]") -> None:
        """Give a place up. If the turn came at this very moment, pass it on."""
        if place.done() and not place.cancelled():
            if place.exception() is None:
                self._pass_on()
        elif place in self._places.get(group, {}).get(name, ()):
            self._remove(group, name, place)

    def _remove(self, group: str, name: str, place: "asyncio.Future[None]") -> None:
        names = self._places[group]
        names[name].remove(place)
        self._waiting -= 1
        if not names[name]:
            del names[name]
        if not names:
            del self._places[group]

    def _pass_on(self) -> None:
        """Give the turn that has ended to the next in order. Its name and its address go to the end of the order."""
        while self._places:
            group, names = next(iter(self._places.items()))
            name, places = next(iter(names.items()))
            place = places[0]
            self._remove(group, name, place)
            if name in names:
                names[name] = names.pop(name)
            if group in self._places:
                self._places[group] = self._places.pop(group)
            if not place.done():
                place.set_result(None)
                return
        self._running -= 1

    def _refuse_one(self, group: str, name: str) -> None:
        """Refuse one that waits. It is the newcomer, at `group` and `name`, unless others hold more places."""
        crowded = max(self._places, key=lambda each: (sum(map(len, self._places[each].values())), each == group))
        names = self._places[crowded]
        busiest = max(names, key=lambda each: (len(names[each]), (crowded, each) == (group, name)))
        place = names[busiest][-1]
        self._remove(crowded, busiest, place)
        if not place.done():
            place.set_exception(self._busy())

    def _busy(self) -> Refusal:
        """Return the refusal, with the time in which those who wait now will have had their turn."""
        seconds = ceil((self._waiting + 1) * self._turn_seconds / max(self._at_once, 1))
        seconds = min(max(seconds, 1), MAX_RETRY_SECONDS)
        return Refusal(
            RefusalCode.BUSY,
            f"Too many people are signing in. Try again in {seconds} seconds.",
            retry_after_seconds=seconds,
        )
