"""Check the contract level that a phone was built for, and tell phones when their level ends."""

from datetime import UTC, date, datetime, time
from email.utils import format_datetime

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mobile_contract.levels import Levels
from schema.core.refusals import Refusal, RefusalCode

HEADER, SUNSET = "Mingcha-Level", "Sunset"
_MAX_LENGTH = 9


def parse_level(header: str | None) -> int | None:
    """Return the level in the header of a phone's request, or None if there is no header.

    Clients other than phones may leave out the header. Raise `Refusal(BAD_INPUT)` if the level is not a whole number.
    """
    if header is None:
        return None
    if not (header.isascii() and header.isdigit() and len(header) <= _MAX_LENGTH):
        raise Refusal(RefusalCode.BAD_INPUT, f"{HEADER} is a whole number.")
    return int(header)


def outdated_refusal(levels: Levels, level: int | None, today: date) -> Refusal | None:
    """Return the refusal for a phone with an outdated level, or None if its level is supported.

    With an outdated level, a phone can only empty its outbox.
    """
    if level is None or levels.is_supported(level, today):
        return None
    until = levels.until.get(level)
    ended = f" It worked until {until.isoformat()}." if until else ""
    return Refusal(
        RefusalCode.LEVEL_TOO_OLD,
        f"This app speaks level {level}; level {levels.oldest} is the oldest that works.{ended}"
        " Update the app; what waits on the phone can still be sent.",
    )


class LevelHeadersMiddleware:
    """Add the server's current level to every answer. If the phone's level has a last day, add that day, too."""

    def __init__(self, app: ASGIApp, levels: Levels) -> None:
        self.app = app
        self.levels = levels

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        level = Headers(scope=scope).get(HEADER)

        async def send_with_level(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[HEADER] = str(self.levels.current)
                if sunset := sunset_header(self.levels, level):
                    headers[SUNSET] = sunset
            await send(message)

        await self.app(scope, receive, send_with_level)


def sunset_header(levels: Levels, level: str | None) -> str | None:
    """Return the end of a level's last day in the format of RFC 8594, or None if the level has no last day."""
    until = next((day for number, day in levels.until.items() if str(number) == level), None)
    return format_datetime(datetime.combine(until, time(23, 59, 59), UTC), usegmt=True) if until else None
