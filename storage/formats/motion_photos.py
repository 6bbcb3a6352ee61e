"""Motion photos: where behind a JPEG's end the phone has put a video, which XMP announces or only its boxes show.

What XMP announces is read by `xmp`; the video itself is kept as part of the original, and never decoded.
"""

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
    """The video behind a JPEG; `announced`: so many bytes before the file's end it should begin.

    What is announced counts only where a video does begin there.
    """
    end = file.seek(0, os.SEEK_END)
    if announced is not None and 0 < announced < end:
        found = movie_span(file, end - announced)
        if found:
            return found
    if end < 16:
        return None
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        picture_end = _end_of_jpeg(data)
        mark = _FILE_TYPE.search(data, picture_end) if picture_end else None
        start = mark.start() if mark else None
    return movie_span(file, start) if start is not None else None


def _end_of_jpeg(data: mmap.mmap) -> int | None:
    """Where the first picture's end mark ends (ITU-T T.81, B.1); None where the picture does not come to one."""
    at = 2
    for _ in range(_SEGMENTS):
        # Inside a scan, markers that carry no segment and stuffed zeros are passed over.
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
