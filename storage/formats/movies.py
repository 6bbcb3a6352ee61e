"""MP4, MOV, 3GP and M4A by their boxes (ISO/IEC 14496-12; QuickTime File Format): sizes, turn, durations, what is missing.

What their tags say of place and time is left to `movie_tags`; decoding a frame, to `frames`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from storage.formats.content_types import HEAD_BYTES, sniff
from storage.formats.exif import ExifPositionProblem, Position, clean_text
from storage.formats.image_containers import Span
from storage.formats.iso_bmff import OUTERMOST, Box, BoxFields, TruncatedError, boxes, content, first, inside
from storage.formats.movie_metadata import MovieTags, read_tags
from storage.formats.movie_samples import fragments_ms, has_holes
from storage.formats.orientations import Turn, degrees, figure, swaps_sides, then
from storage.formats.results import Damage, ReadResult
from storage.formats.xmp import read_xmp

_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_EPOCH_1904, _EPOCH_1970 = datetime(1904, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)
_FROM_1904_TO_1970 = 2_082_844_800
_TRACKS = 64
MAX_DURATION_MS = 7 * 24 * 3600 * 1000
"""A header that states more than a week is not believed."""


@dataclass(frozen=True)
class _Track:
    kind: bytes
    turn: Turn
    shown: tuple[int, int]
    coded: tuple[int, int]
    duration_ms: int | None
    id: int
    scale: int
    is_hollow: bool


def read_movie(path: Path) -> ReadResult:
    """Everything that boxes say; without a poster. Raises `OSError` for a file that can't be opened."""
    with path.open("rb") as file:
        content_type = sniff(file.read(HEAD_BYTES))
        end = file.seek(0, os.SEEK_END)
        top = list(boxes(file, 0, end))
        moov = next((box for box in top if box.kind == b"moov"), None)
        xmp = next((packet for box in top if (packet := _xmp(file, box))), b"")
        if moov is None:
            # A recording that was broken off: cameras write the index last. What XMP says beside it is all that there is.
            beside = read_xmp(xmp)
            told = _told(MovieTags(positions=[beside.position], taken=beside.taken))
            return replace(told, content_type=content_type, damage=Damage.TRUNCATED)
        tags = read_tags(file, moov, xmp)
        duration, created, turn = _header(file, moov)
        tracks = list(_tracks(file, moov, end))
        if not duration and first(file, moov, b"mvex"):
            duration = fragments_ms(file, moov, end, {track.id: track.scale for track in tracks})
            duration = duration if duration and duration <= MAX_DURATION_MS else None
    video = next((track for track in tracks if track.kind == b"vide" and track.coded != (0, 0)), None)
    if content_type == "video/mp4" and video is None and any(track.kind == b"soun" for track in tracks):
        content_type = "audio/mp4"  # recorders write sound under the brands of videos
    if not duration:
        duration = max((track.duration_ms or 0 for track in tracks), default=0) or None
    is_cut = any(box.is_cut and box.kind in OUTERMOST for box in top)
    is_hollow = any(track.is_hollow for track in tracks)
    picture = replace(
        _told(tags),
        content_type=content_type,
        duration_ms=duration,
        created_at=created,
        damage=Damage.TRUNCATED if is_cut else Damage.CORRUPT if is_hollow or not tracks else None,
    )
    return _sized(picture, video, turn) if video else picture


def movie_span(file: BinaryIO, start: int) -> Span | None:
    """The movie that begins at `start` of a file, as far as its boxes go; None where none begins there."""
    end = file.seek(0, os.SEEK_END)
    reach = start
    for box in boxes(file, start, end):
        if reach == start and box.kind != b"ftyp":
            return None
        if box.kind not in OUTERMOST:  # phones put trailers of their own behind
            break
        reach = box.end
    return Span(start, reach - start) if reach > start else None


def _told(tags: MovieTags) -> ReadResult:
    position = next((each for each in tags.positions if isinstance(each, Position)), None)
    problems = [each for each in tags.positions if isinstance(each, ExifPositionProblem)]
    problem = next((each for each in problems if each is not ExifPositionProblem.ABSENT), ExifPositionProblem.ABSENT)
    source = None
    if position is not None:
        source = "XMP" if tags.positions.index(position) == len(tags.positions) - 1 else "QUICKTIME"
    apple = "com.apple.quicktime."
    return ReadResult(
        taken_at=tags.taken.at if tags.taken else None,
        taken_offset_minutes=tags.taken.offset_minutes if tags.taken else None,
        position=position,
        position_source=source,
        position_problem=None if position else problem,
        make=clean_text(tags.text(f"{apple}make", "com.android.manufacturer", "\xa9mak")),
        model=clean_text(tags.text(f"{apple}model", "com.android.model", "\xa9mod")),
        software=clean_text(tags.text(f"{apple}software", "\xa9swr", "\xa9too")),
    )


def _sized(picture: ReadResult, video: _Track, movie: Turn) -> ReadResult:
    orientation = figure(then(video.turn, movie))
    width, height = video.shown if min(video.shown) > 0 else video.coded
    if swaps_sides(orientation):
        width, height = height, width
    return replace(
        picture,
        width=video.coded[0],
        height=video.coded[1],
        display_width=width,
        display_height=height,
        turn=orientation,
        rotation=degrees(orientation),
    )


def _xmp(file: BinaryIO, box: Box) -> bytes:
    if box.kind != b"uuid" or content(file, box, 16) != _XMP_UUID:
        return b""
    return content(file, replace(box, start=box.start + 16))


def _header(file: BinaryIO, moov: Box) -> tuple[int | None, datetime | None, Turn]:
    """`mvhd`, and `mehd` where the movie comes in fragments: duration, creation time, turn."""
    turn: Turn = (1, 0, 0, 1)
    box = first(file, moov, b"mvhd")
    fields = BoxFields(content(file, box, 200) if box else b"")
    try:
        wide = 8 if fields.number(4) >> 24 == 1 else 4
        created = _created(fields.number(wide))
        fields.take(wide)
        scale, length = fields.number(4), fields.number(wide)
        fields.take(16)
        turn = _turn(fields)
    except TruncatedError:
        return None, None, turn
    fragments = first(file, moov, b"mvex", b"mehd")
    if not length and fragments:
        length = int.from_bytes(content(file, fragments, 12)[4:])
    return _millis(length, scale, wide), created, turn


def _created(seconds: int) -> datetime | None:
    """UTC. Devices that count from 1970 where 1904 is meant are known; years that no phone has seen are unset clocks."""
    epoch = _EPOCH_1904 if seconds >= _FROM_1904_TO_1970 else _EPOCH_1970
    try:
        created = epoch + timedelta(seconds=seconds)
    except OverflowError:
        return None
    return created if 1990 <= created.year <= 2200 else None


def _millis(length: int, scale: int, wide: int) -> int | None:
    if not scale or length == 256**wide - 1:
        return None
    millis = round(length * 1000 / scale)
    return millis if 0 <= millis <= MAX_DURATION_MS else None


def _turn(fields: BoxFields) -> Turn:
    """The signs of a matrix of nine; scaling stays with the track's size."""
    a, b, _, c, d = (fields.number(4, signed=True) for _ in range(5))
    fields.take(16)
    a, b, c, d = ((each > 0) - (each < 0) for each in (a, b, c, d))
    return (a, b, c, d) if figure((a, b, c, d)) else (1, 0, 0, 1)


def _tracks(file: BinaryIO, moov: Box, end: int) -> Iterator[_Track]:
    listed = [box for box in inside(file, moov) if box.kind == b"trak"]
    for trak in listed[:_TRACKS]:
        media = first(file, trak, b"mdia")
        table = first(file, trak, b"mdia", b"minf", b"stbl")
        header = first(file, trak, b"tkhd")
        if media is None or header is None:
            continue
        try:
            id, turn, shown = _track_header(BoxFields(content(file, header, 200)))
        except TruncatedError:
            continue
        handler = first(file, media, b"hdlr")
        kind = content(file, handler, 12)[8:] if handler else b""
        samples = first(file, table, b"stsd") if table else None
        entry = content(file, samples, 44)[8:] if samples else b""
        coded = (int.from_bytes(entry[32:34]), int.from_bytes(entry[34:36])) if kind == b"vide" else (0, 0)
        scale, length = _media_length(file, media)
        yield _Track(kind, turn, shown, coded, length, id, scale, bool(table and has_holes(file, table, end)))


def _track_header(fields: BoxFields) -> tuple[int, Turn, tuple[int, int]]:
    wide = 8 if fields.number(4) >> 24 == 1 else 4
    fields.take(2 * wide)
    id = fields.number(4)
    fields.take(wide + 4 + 16)
    turn = _turn(fields)
    return id, turn, (round(fields.number(4) / 65536), round(fields.number(4) / 65536))


def _media_length(file: BinaryIO, media: Box) -> tuple[int, int | None]:
    """Units a second, 0 where it isn't said; milliseconds."""
    box = first(file, media, b"mdhd")
    fields = BoxFields(content(file, box, 40) if box else b"")
    try:
        wide = 8 if fields.number(4) >> 24 == 1 else 4
        fields.take(2 * wide)
        scale, length = fields.number(4), fields.number(wide)
    except TruncatedError:
        return 0, None
    return scale, _millis(length, scale, wide)
