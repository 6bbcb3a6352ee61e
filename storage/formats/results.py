"""Define the results of reading a medium, and the JSON in which the sandbox's child sends them to its parent."""

import base64
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import orjson

from schema.checks.similarity import Likeness
from storage.formats.exif import ExifPositionProblem, Position
from storage.mongodb.compiled_conversions import COPIED, Readers
from storage.similarity.keypoints import unpack


class Damage(enum.StrEnum):
    """Why a medium can't be shown in full.

    The last three values mean that the reading process ran out of memory or time, or crashed.
    """

    EMPTY = "empty"
    UNSUPPORTED = "unsupported"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    ENCRYPTED = "encrypted"
    TOO_MANY_PIXELS = "too_many_pixels"
    OUT_OF_MEMORY = "out_of_memory"
    TIMED_OUT = "timed_out"
    CRASHED = "crashed"


@dataclass(frozen=True)
class RenderedThumbnail:
    """An upright JPEG without metadata. `width` and `height` are in pixels."""

    width: int
    height: int
    content_type: str
    data: bytes


@dataclass(frozen=True)
class Raster:
    """Decoded pixels, eight bits each of red, green and blue. `stride` is the number of bytes per line."""

    width: int
    height: int
    stride: int
    data: bytes


@dataclass(frozen=True)
class ReadResult:
    """What a medium contains. A field is None if the medium does not state it.

    `width` and `height` are encoded pixels. `orientation` is the stored EXIF number. Outside 1 to 8 it means 1.
    `turn` is the EXIF orientation that applies. `rotation` is the container's rotation in degrees clockwise.
    `taken_at` is the time on the camera's clock, without a time zone.
    `created_at` is a UTC time from the header of a video or sound.
    `position` is from EXIF, a video's tags or XMP. If it is None, `position_problem` says why. Then `stated` is the
    latitude and longitude that the medium states but that must not be used.
    `motion_offset` and `motion_bytes` locate the video of a motion photo.
    `thumbnails` has the large and the small thumbnail, or is empty. `likeness` is used to compare pictures.
    """

    content_type: str | None = None
    width: int | None = None
    height: int | None = None
    orientation: int | None = None
    display_width: int | None = None
    display_height: int | None = None
    taken_at: datetime | None = None
    taken_offset_minutes: int | None = None
    position: Position | None = None
    position_source: str | None = None
    position_problem: ExifPositionProblem | None = None
    stated: tuple[float, float] | None = None
    turn: int | None = None
    rotation: int | None = None
    duration_ms: int | None = None
    created_at: datetime | None = None
    page_count: int | None = None
    is_encrypted: bool | None = None
    motion_offset: int | None = None
    motion_bytes: int | None = None
    make: str | None = None
    model: str | None = None
    software: str | None = None
    damage: Damage | None = None
    thumbnails: tuple[RenderedThumbnail, ...] = ()
    likeness: tuple[Likeness, ...] = ()


Edges = Sequence[float]
"""A box: left, top, right and bottom, in fractions of the upright picture's width and height."""


@dataclass(frozen=True)
class Face:
    """A detected face, in fractions of the upright picture's width and height, with its confidence, 0 to 1."""

    left: float
    top: float
    right: float
    bottom: float
    confidence: float


@dataclass(frozen=True)
class Faces:
    """Detected faces, highest confidence first. `damage` says why detection failed."""

    faces: tuple[Face, ...] = ()
    damage: Damage | None = None


@dataclass(frozen=True)
class Covered:
    """The size in pixels of a picture with boxes painted black. `damage` says why there is no such picture."""

    width: int = 0
    height: int = 0
    damage: Damage | None = None


A = TypeVar("A", ReadResult, Faces, Covered)
_readers = Readers(
    {**COPIED, datetime: "datetime.fromisoformat({})", bytes: "base64.b64decode({}, validate=True)"},
    {"datetime": datetime, "base64": base64},
)


def to_json(answer: ReadResult | Faces | Covered) -> bytes:
    """Convert to JSON that `from_json` reads. Bytes become base64."""
    return orjson.dumps(answer, default=_base64)


def from_json(text: bytes, kind: type[A]) -> A:
    """Read a result. Raise `ValueError` if it is malformed. Hostile bytes may have taken over the sending process."""
    values = orjson.loads(text)
    if not isinstance(values, dict):
        raise ValueError("not an answer")  # noqa: TRY004  its content is wrong, not the caller's argument
    try:
        answer: A = _readers.function(kind)(values)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError("not an answer") from error
    for likeness in answer.likeness if isinstance(answer, ReadResult) else ():
        if likeness.marks:
            unpack(likeness.marks)
    return answer


def _base64(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    raise TypeError(type(value).__name__)
