"""Record which photo parts the server's replies confirmed to the phone."""

import io
import json
import time
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from typing import Any

from api.http.content_encodings import decompress

MAX_ANSWER_BYTES = 32 * 1024 * 1024
WHOLE = 0
"""Stands for a whole medium; parts are numbered from 1."""
ARRIVED = frozenset({"UPLOADED", "READY"})


class _Bytes:
    """The part of a socket that `HTTPResponse` reads from."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._answer)


class Confirmed:
    """`at` maps (medium, part number or `WHOLE`) to the monotonic time when a phone first learned that it arrived."""

    def __init__(self) -> None:
        self.at: dict[tuple[str, int], float] = {}

    def hear(self, _name: str, answer: bytes) -> None:
        """Read a reply that reached the phone whole."""
        now = time.monotonic()
        for part in arrived_parts(_body(answer)):
            self.at.setdefault(part, now)


def _body(answer: bytes) -> Any:
    response = HTTPResponse(_Bytes(answer))  # type: ignore[arg-type]
    try:
        response.begin()
        body = response.read()
        coding = response.headers.get("Content-Encoding")
        return json.loads(decompress(body, coding, MAX_ANSWER_BYTES) if coding else body)
    except (ValueError, HTTPException):
        return None  # the API was killed in the middle of it


def arrived_parts(value: Any) -> Iterator[tuple[str, int]]:
    """Yield (medium, part number or `WHOLE`) for everything that a reply, at any depth, says has arrived."""
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
