"""What is known of a picture once it was read: plain values, and the JSON in which they cross from process to process.

Reading them is left to `pictures`; what of them becomes part of a medium, to `media`.
"""

import base64
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import cattrs
import orjson

from schema.checks.similarity import Likeness
from storage.formats.exif import ExifPositionProblem, Position
from storage.similarity.keypoints import unpacked


class Damage(enum.StrEnum):
    """Why a picture can't be shown whole. The last three are seen from outside the process that decodes."""

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
    """An upright JPEG without metadata; sizes are pixels."""

    width: int
    height: int
    content_type: str
    data: bytes


@dataclass(frozen=True)
class Raster:
    """Decoded pixels of eight bits, red, green, blue; `stride` is the bytes from a line to the next."""

    width: int
    height: int
    stride: int
    data: bytes


@dataclass(frozen=True)
class ReadResult:
    """What a medium, a picture above all, says of itself, None for what it doesn't.

    `width` and `height` are pixels as coded; `orientation` the figure as stored (outside 1 to 8 it means 1);
    `turn` the figure, by EXIF's counting, that holds; `rotation` the degrees clockwise that the container asks for;
    `taken_at` the camera's own clock, naive; `created_at` what the header of a video or sound states, UTC;
    `position` is from EXIF, a video's tags, or XMP, `position_problem` says why not, and `stated` is what was read,
    never to be used (latitude, longitude); `motion_offset` and `motion_bytes` are the video of a motion photo.
    `thumbnails` are the large one and the small one, or none; `likeness` is what it is compared by, or nothing.
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
    """Where a face was found, in fractions of the upright picture's width and height; how sure that is, 0 to 1."""

    left: float
    top: float
    right: float
    bottom: float
    confidence: float


@dataclass(frozen=True)
class Faces:
    """Faces of a picture, the surest first; `damage` says why they could not be looked for."""

    faces: tuple[Face, ...] = ()
    damage: Damage | None = None


@dataclass(frozen=True)
class Covered:
    """Size of a covered picture, pixels; `damage` says why there is none."""

    width: int = 0
    height: int = 0
    damage: Damage | None = None


A = TypeVar("A", ReadResult, Faces, Covered)
_converter = cattrs.Converter()
_converter.register_structure_hook(datetime, lambda text, _: datetime.fromisoformat(text))
_converter.register_structure_hook(bytes, lambda text, _: base64.b64decode(text, validate=True))


def to_json(answer: ReadResult | Faces | Covered) -> bytes:
    """JSON that `from_json` reads; bytes as base64."""
    return orjson.dumps(answer, default=_base64)


def from_json(text: bytes, kind: type[A]) -> A:
    """Raises `ValueError` for what is none of that kind: the process that wrote it had hostile bytes in its hands."""
    values = orjson.loads(text)
    if not isinstance(values, dict):
        raise ValueError("not an answer")  # noqa: TRY004  its content is wrong, not the caller's argument
    try:
        answer = _converter.structure(values, kind)
    except cattrs.BaseValidationError as error:
        raise ValueError("not an answer") from error
    for each in answer.likeness if isinstance(answer, ReadResult) else ():
        if each.marks:
            unpacked(each.marks)
    return answer


def _base64(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    raise TypeError(type(value).__name__)
