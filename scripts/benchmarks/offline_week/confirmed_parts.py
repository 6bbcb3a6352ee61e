"""What the phone was told of its photos: which parts the store has, as heard in the server's own answers on the way.

Whether the phone heeds it is counted by `counting`.
"""

import io
import json
import time
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from typing import Any

from api.http.content_encodings import decompress

MAX_ANSWER_BYTES = 32 * 1024 * 1024
WHOLE = 0
"""Stands for all of a medium where parts are numbered from 1."""
ARRIVED = frozenset({"UPLOADED", "READY"})


class _Bytes:
    """As much of a socket as reading an answer takes."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._answer)


class Confirmed:
    """`at` is when a phone was first told so, by the monotonic clock: of (medium, number of the part or `WHOLE`)."""

    def __init__(self) -> None:
        self.at: dict[tuple[str, int], float] = {}

    def hear(self, _name: str, answer: bytes) -> None:
        """Take in an answer that was handed to the phone as a whole."""
        now = time.monotonic()
        for each in told(_body(answer)):
            self.at.setdefault(each, now)


def _body(answer: bytes) -> Any:
    response = HTTPResponse(_Bytes(answer))  # type: ignore[arg-type]
    try:
        response.begin()
        body = response.read()
        coding = response.headers.get("Content-Encoding")
        return json.loads(decompress(body, coding, MAX_ANSWER_BYTES) if coding else body)
    except (ValueError, HTTPException):
        return None  # the API was killed in the middle of it


def told(value: Any) -> Iterator[tuple[str, int]]:
    """What an answer says to be there, wherever in it that stands."""
    if isinstance(value, list):
        for each in value:
            yield from told(each)
    elif isinstance(value, dict):
        medium = str(value.get("mediaId") or "")
        if medium and value.get("hasArrived"):
            yield medium, WHOLE
        for part in (value.get("parts") or ()) if medium else ():
            if part["hasArrived"]:
                yield medium, part["number"]
        if str(value.get("id", "")).startswith("med_") and value.get("state") in ARRIVED:
            yield value["id"], WHOLE
        for each in value.values():
            yield from told(each)
