"""Find the video of a motion photo, which follows the JPEG in the same file. The video is never decoded."""

import mmap
import os
import re
from typing import BinaryIO

from storage.formats.image_containers import Span
from storage.formats.movies import movie_span

_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]", re.DOTALL)
_FILE_TYPE = re.compile(rb"\0\0\0[\x08-\xff]ftyp", re.DOTALL)
_SEGMENTS = 10_000


def find_motion(file: BinaryIO, announced: int | None) -> Span | None:
    """Find the video at the place that XMP states, otherwise by its boxes.

    `announced` is the number of bytes from the video's beginning to the end of the file, as XMP states it.
    It is ignored if no video begins there.
    """
    end = file.seek(0, os.SEEK_END)
    if announced is not None and 0 < announced < end:
        span = movie_span(file, end - announced)
        if span:
            return span
    if end < 16:
        return None
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        picture_end = _find_jpeg_end(data)
        mark = _FILE_TYPE.search(data, picture_end) if picture_end else None
        start = mark.start() if mark else None
    return movie_span(file, start) if start is not None else None


def _find_jpeg_end(data: mmap.mmap) -> int | None:
    """Return the offset after the first picture's end marker (ITU-T T.81, B.1). Return None if there is no marker."""
    at = 2
    for _ in range(_SEGMENTS):
        # The pattern skips stuffed zeros and markers without a segment inside a scan.
        mark = _MARKER.search(data, at)
        if mark is None:
            return None
        at = mark.end()
        code = data[at - 1]
        if code == 0xD9:
            return at
        if code > 0x01 and code != 0xD8:
            at += int.from_bytes(data[at : at + 2])
    return None
