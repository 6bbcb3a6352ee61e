"""Record which photo parts the server's replies confirmed to the phone."""

import io
import json
import time
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from typing import Any

from api.http.content_encodings import decompress

MAX_REPLY_BYTES = 32 * 1024 * 1024
WHOLE = 0
"""The number that means a whole medium. Parts are numbered from 1."""
ARRIVED = frozenset({"UPLOADED", "READY"})


class _ReplySocket:
    """A replacement for a socket, with the one method that `HTTPResponse` needs."""

    def __init__(self, reply: bytes) -> None:
        self._reply = reply

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._reply)


class ConfirmedParts:
    """The parts that the server has confirmed to the phone.

    `at` maps (medium id, part number or `WHOLE`) to the monotonic time when the phone first got the confirmation.
    """

    def __init__(self) -> None:
        self.at: dict[tuple[str, int], float] = {}

    def record(self, _name: str, reply: bytes) -> None:
        """Record the parts that a reply confirms. The reply must have reached the phone completely."""
        now = time.monotonic()
        for part in arrived_parts(_body(reply)):
            self.at.setdefault(part, now)


def _body(reply: bytes) -> Any:
    """Return the JSON of a reply, or None if the reply is cut off."""
    response = HTTPResponse(_ReplySocket(reply))  # type: ignore[arg-type]
    try:
        response.begin()
        body = response.read()
        coding = response.headers.get("Content-Encoding")
        return json.loads(decompress(body, coding, MAX_REPLY_BYTES) if coding else body)
    except (ValueError, HTTPException):
        return None  # the API was killed while it replied


def arrived_parts(value: Any) -> Iterator[tuple[str, int]]:
    """Yield (medium, part number or `WHOLE`) for everything that a reply confirms, at any depth of its JSON."""
    if isinstance(value, list):
        for item in value:
            yield from arrived_parts(item)
    elif isinstance(value, dict):
        medium = str(value.get("mediaId") or "")
        if medium and value.get("hasArrived"):
            yield medium, WHOLE
        for part in (value.get("parts") or ()) if medium else ():
            if part["hasArrived"]:
                yield medium, part["number"]
        if str(value.get("id", "")).startswith("med_") and value.get("state") in ARRIVED:
            yield value["id"], WHOLE
        for item in value.values():
            yield from arrived_parts(item)
