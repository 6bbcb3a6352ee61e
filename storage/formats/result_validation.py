"""Check that every field of a result is possible. Hostile bytes may have taken over the child process that made it."""

import math
import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from schema.checks.similarity import DETAIL_BITS
from storage.formats.exif import Position
from storage.formats.results import ReadResult, RenderedThumbnail
from storage.similarity.perceptual_hash import CUTS, GREY_SIDE

_TEXT = 200
_SIDE = 2**31
_FIGURE = 2**53
"""Up to this number, both JSON and MongoDB store every integer exactly."""
_TYPE = re.compile(r"[a-z]{1,20}/[a-z0-9.+-]{1,40}")
_DETAIL = re.compile(rf"[0-9a-f]{{{DETAIL_BITS // 4}}}")
_LONG_SIDE, _THUMBNAIL_BYTES = 1280, 8 * 2**20
_MAX_THUMBNAILS = 2


def is_plausible(picture: ReadResult) -> bool:
    """Return whether a reader can have produced every field. The caller has already checked the fields' types."""
    return all(_check_fields(picture)) and all(_check_position(picture.position)) and all(_check_pixels(picture))


def _check_fields(picture: ReadResult) -> Iterator[bool]:
    ranges = (
        (picture.width, 0, _SIDE),
        (picture.height, 0, _SIDE),
        (picture.display_width, 0, _SIDE),
        (picture.display_height, 0, _SIDE),
        (picture.orientation, 0, 0xFFFF),
        (picture.turn, 0, 0xFFFF),
        (picture.rotation, 0, 270),
        (picture.taken_offset_minutes, -12 * 60, 14 * 60),
        (picture.duration_ms, 0, _FIGURE),
        (picture.page_count, 0, _SIDE),
        (picture.motion_offset, 0, _FIGURE),
        (picture.motion_bytes, 0, _FIGURE),
    )
    yield all(number is None or lowest <= number <= highest for number, lowest, highest in ranges)
    yield all(_is_text(text) for text in (picture.make, picture.model, picture.software))
    yield picture.content_type is None or bool(_TYPE.fullmatch(picture.content_type))
    yield picture.position_source in {None, "EXIF", "XMP", "QUICKTIME"}
    yield picture.taken_at is None or (picture.taken_at.tzinfo is None and _is_time(picture.taken_at))
    yield picture.created_at is None or _is_instant(picture.created_at)
    yield picture.stated is None or all(math.isfinite(degrees) and abs(degrees) <= 1000 for degrees in picture.stated)


def _check_position(position: Position | None) -> Iterator[bool]:
    if position is None:
        return
    yield abs(position.latitude) <= 90
    yield abs(position.longitude) <= 180
    yield position.altitude_metres is None or abs(position.altitude_metres) <= 100_000
    yield position.accuracy_metres is None or 0 < position.accuracy_metres <= 20_000_000
    yield position.fixed_at is None or _is_instant(position.fixed_at)
    yield _is_text(position.datum)


def _check_pixels(picture: ReadResult) -> Iterator[bool]:
    yield len(picture.thumbnails) <= _MAX_THUMBNAILS
    yield all(_is_thumbnail(thumbnail) for thumbnail in picture.thumbnails)
    yield len({likeness.cut for likeness in picture.likeness}) == len(picture.likeness)
    for likeness in picture.likeness:
        yield 0 <= likeness.cut < CUTS
        yield -(2**63) <= likeness.coarse < 2**63
        yield bool(_DETAIL.fullmatch(likeness.detail))
        yield len(likeness.grey) <= GREY_SIDE**2


def _is_thumbnail(thumbnail: RenderedThumbnail) -> bool:
    """Check the type and the first and last bytes of a JPEG, because the thumbnail is served as a JPEG."""
    return (
        thumbnail.content_type == "image/jpeg"
        and 0 < thumbnail.width <= _LONG_SIDE
        and 0 < thumbnail.height <= _LONG_SIDE
        and len(thumbnail.data) <= _THUMBNAIL_BYTES
        and thumbnail.data.startswith(b"\xff\xd8\xff")
        and thumbnail.data.endswith(b"\xff\xd9")
    )


def _is_instant(at: datetime) -> bool:
    return at.utcoffset() == timedelta() and _is_time(at)


def _is_time(at: datetime) -> bool:
    """Check that the time stays within the calendar in every time zone."""
    return 1800 <= at.year < 9999


def _is_text(text: str | None) -> bool:
    return text is None or (len(text) <= _TEXT and text.isprintable())
