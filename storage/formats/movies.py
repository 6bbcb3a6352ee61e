"""Read size, orientation, duration and damage of MP4, MOV, 3GP and M4A (ISO/IEC 14496-12; QuickTime File Format).

Only the boxes are read, and nothing is decoded.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from storage.formats.content_types import HEAD_BYTES, sniff
from storage.formats.exif import ExifPositionProblem, Position, clean_text
from storage.formats.image_containers import Span
from storage.formats.iso_bmff import (
    OUTERMOST,
    Box,
    BoxFields,
    TruncatedError,
    find_box,
    iter_boxes,
    iter_children,
    read_content,
)
from storage.formats.media_sources import MediaSource
from storage.formats.movie_metadata import MovieTags, read_tags
from storage.formats.movie_samples import has_holes, measure_fragments
from storage.formats.orientations import Turn, compose, exif_orientation, rotation_of, swaps_sides
from storage.formats.results import Damage, ReadResult
from storage.formats.xmp import read_xmp

_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_EPOCH_1904, _EPOCH_1970 = datetime(1904, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)
_FROM_1904_TO_1970 = 2_082_844_800
_MAX_TRACKS = 64
MAX_DURATION_MS = 7 * 24 * 3600 * 1000
"""A longer duration in a header is ignored."""


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


def read_movie(medium: MediaSource) -> ReadResult:
    """Read all facts from the boxes. Make no thumbnails. Raise `OSError` if the file can't be opened."""
    with medium.open("rb") as file:
        content_type = sniff(file.read(HEAD_BYTES))
        end = file.seek(0, os.SEEK_END)
        top = list(iter_boxes(file, 0, end))
        moov = next((box for box in top if box.kind == b"moov"), None)
        xmp = next((packet for box in top if (packet := _read_xmp_box(file, box))), b"")
        if moov is None:
            # A recording that broke off: cameras write the index last. Only the XMP packet beside it can be read.
            packet_facts = read_xmp(xmp)
            result = _result_from_tags(MovieTags(positions=[packet_facts.position], taken=packet_facts.taken))
            return replace(result, content_type=content_type, damage=Damage.TRUNCATED)
        tags = read_tags(file, moov, xmp)
        duration, created, turn = _read_movie_header(file, moov)
        tracks = list(_read_tracks(file, moov, end))
        if not duration and find_box(file, moov, b"mvex"):
            duration = measure_fragments(file, moov, end, {track.id: track.scale for track in tracks})
            duration = duration if duration and duration <= MAX_DURATION_MS else None
    video = next((track for track in tracks if track.kind == b"vide" and track.coded != (0, 0)), None)
    if content_type == "video/mp4" and video is None and any(track.kind == b"soun" for track in tracks):
        content_type = "audio/mp4"  # sound recorders write the brands of videos
    if not duration:
        duration = max((track.duration_ms or 0 for track in tracks), default=0) or None
    is_cut = any(box.is_cut and box.kind in OUTERMOST for box in top)
    is_hollow = any(track.is_hollow for track in tracks)
    picture = replace(
        _result_from_tags(tags),
        content_type=content_type,
        duration_ms=duration,
        created_at=created,
        damage=Damage.TRUNCATED if is_cut else Damage.CORRUPT if is_hollow or not tracks else None,
    )
    return _add_size(picture, video, turn) if video else picture


def movie_span(file: BinaryIO, start: int) -> Span | None:
    """Return the byte range of the movie that begins at `start`, up to its last box.

    Return None if no movie begins there.
    """
    end = file.seek(0, os.SEEK_END)
    reach = start
    for box in iter_boxes(file, start, end):
        if reach == start and box.kind != b"ftyp":
            return None
        if box.kind not in OUTERMOST:  # phones append trailers of their own
            break
        reach = box.end
    return Span(start, reach - start) if reach > start else None


def _result_from_tags(tags: MovieTags) -> ReadResult:
    position = next((entry for entry in tags.positions if isinstance(entry, Position)), None)
    problems = [entry for entry in tags.positions if isinstance(entry, ExifPositionProblem)]
    problem = next((entry for entry in problems if entry is not ExifPositionProblem.ABSENT), ExifPositionProblem.ABSENT)
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


def _add_size(picture: ReadResult, video: _Track, movie: Turn) -> ReadResult:
    orientation = exif_orientation(compose(video.turn, movie))
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
        rotation=rotation_of(orientation),
    )


def _read_xmp_box(file: BinaryIO, box: Box) -> bytes:
    if box.kind != b"uuid" or read_content(file, box, 16) != _XMP_UUID:
        return b""
    return read_content(file, replace(box, start=box.start + 16))


def _read_movie_header(file: BinaryIO, moov: Box) -> tuple[int | None, datetime | None, Turn]:
    """Read duration, creation time and orientation from `mvhd`. Fragmented movies have their duration in `mehd`."""
    turn: Turn = (1, 0, 0, 1)
    box = find_box(file, moov, b"mvhd")
    fields = BoxFields(read_content(file, box, 200) if box else b"")
    try:
        wide = 8 if fields.read_number(4) >> 24 == 1 else 4
        created = _creation_time(fields.read_number(wide))
        fields.read(wide)
        scale, length = fields.read_number(4), fields.read_number(wide)
        fields.read(16)
        turn = _read_turn(fields)
    except TruncatedError:
        return None, None, turn
    fragments = find_box(file, moov, b"mvex", b"mehd")
    if not length and fragments:
        length = int.from_bytes(read_content(file, fragments, 12)[4:])
    return _millis(length, scale, wide), created, turn


def _creation_time(seconds: int) -> datetime | None:
    """Convert to a time in UTC. Return None if the device's clock was not set.

    Seconds count from 1904, but some devices count from 1970.
    """
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


def _read_turn(fields: BoxFields) -> Turn:
    """Read the rotation and mirroring of a 3 x 3 matrix. Ignore the scale, which the track's size already includes."""
    a, b, _, c, d = (fields.read_number(4, signed=True) for _ in range(5))
    fields.read(16)
    a, b, c, d = ((factor > 0) - (factor < 0) for factor in (a, b, c, d))
    return (a, b, c, d) if exif_orientation((a, b, c, d)) else (1, 0, 0, 1)


def _read_tracks(file: BinaryIO, moov: Box, end: int) -> Iterator[_Track]:
    traks = [box for box in iter_children(file, moov) if box.kind == b"trak"]
    for trak in traks[:_MAX_TRACKS]:
        media = find_box(file, trak, b"mdia")
        table = find_box(file, trak, b"mdia", b"minf", b"stbl")
        header = find_box(file, trak, b"tkhd")
        if media is None or header is None:
            continue
        try:
            id, turn, shown = _read_track_header(BoxFields(read_content(file, header, 200)))
        except TruncatedError:
            continue
        handler = find_box(file, media, b"hdlr")
        kind = read_content(file, handler, 12)[8:] if handler else b""
        samples = find_box(file, table, b"stsd") if table else None
        entry = read_content(file, samples, 44)[8:] if samples else b""
        coded = (int.from_bytes(entry[32:34]), int.from_bytes(entry[34:36])) if kind == b"vide" else (0, 0)
        scale, length = _read_media_header(file, media)
        yield _Track(kind, turn, shown, coded, length, id, scale, bool(table and has_holes(file, table, end)))


def _read_track_header(fields: BoxFields) -> tuple[int, Turn, tuple[int, int]]:
    wide = 8 if fields.read_number(4) >> 24 == 1 else 4
    fields.read(2 * wide)
    id = fields.read_number(4)
    fields.read(wide + 4 + 16)
    turn = _read_turn(fields)
    return id, turn, (round(fields.read_number(4) / 65536), round(fields.read_number(4) / 65536))


def _read_media_header(file: BinaryIO, media: Box) -> tuple[int, int | None]:
    """Return the time units per second (0 if unknown) and the duration in milliseconds."""
    box = find_box(file, media, b"mdhd")
    fields = BoxFields(read_content(file, box, 40) if box else b"")
    try:
        wide = 8 if fields.read_number(4) >> 24 == 1 else 4
        fields.read(2 * wide)
        scale, length = fields.read_number(4), fields.read_number(wide)
    except TruncatedError:
        return 0, None
    return scale, _millis(length, scale, wide)
