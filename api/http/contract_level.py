"""Levels of phones: which contract a phone was built for, and how long it may still do everything.

What the levels are, and when they end, is the contract's (`mobile_contract/levels.py`); what remains open to phones that
are too old, the table of permits'.
"""

from datetime import UTC, date, datetime, time
from email.utils import format_datetime

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mobile_contract.levels import Levels
from schema.core.refusals import Refusal, RefusalCode

HEADER, SUNSET = "Mingcha-Level", "Sunset"
_MAX_LENGTH = 9


def level_of(header: str | None) -> int | None:
    """The level that a phone names; others than phones need name none. Raise `Refusal(BAD_INPUT)`."""
    if header is None:
        return None
    if not (header.isascii() and header.isdigit() and len(header) <= _MAX_LENGTH):
        raise Refusal(RefusalCode.BAD_INPUT, f"{HEADER} is a whole number.")
    return int(header)


def outdated(levels: Levels, level: int | None, today: date) -> Refusal | None:
    """Why a phone of that level may do no more than empty its outbox; None for one that works."""
    if level is None or levels.works(level, today):
        return None
    until = levels.until.get(level)
    ended = f" It worked until {until.isoformat()}." if until else ""
    return Refusal(
        RefusalCode.LEVEL_TOO_OLD,
        f"This app speaks level {level}; level {levels.oldest} is the oldest that works.{ended}"
        " Update the app; what waits on the phone can still be sent.",
    )


class LevelHeaders:
    """Tell every phone the level that is served, and one whose own comes to its end, when that is."""

    def __init__(self, app: ASGIApp, levels: Levels) -> None:
        self.app = app
        self.levels = levels

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        named = Headers(scope=scope).get(HEADER)

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[HEADER] = str(self.levels.current)
                if end := sunset(self.levels, named):
                    headers[SUNSET] = end
            await send(message)

        await self.app(scope, receive, told)


def sunset(levels: Levels, named: str | None) -> str | None:
    """The end of the last day of a level that comes to its end, as the header of RFC 8594 says it."""
    until = next((day for level, day in levels.until.items() if str(level) == named), None)
    return format_datetime(datetime.combine(until, time(23, 59, 59), UTC), usegmt=True) if until else None
