"""Check whether a movie's samples (frames and sounds) are complete in the file, and measure fragmented movies.

Only some evenly spread samples are checked, and nothing is decoded (ISO/IEC 14496-12, 8.6 to 8.8).
"""

import itertools
from collections.abc import Iterator
from typing import BinaryIO

from storage.formats.iso_bmff import Box, BoxFields, TruncatedError, find_box, iter_boxes, iter_children, read_content

_MAX_CHECKED = 64
_SAMPLE_BYTES = 2**16
_HOLE = bytes(16)
"""A sample that begins with these zeros was never written, because no encoder begins a frame with so many zeros."""
_SECTOR = bytes(512)
"""The smallest hole that a disk leaves in a file.

Shorter runs of zeros are ignored, because some cameras pad units with zeros.
"""
_MIN_SAMPLE_BYTES = 4
"""Shorter samples are not searched for zeros."""
_CODED = frozenset(
    {b"avc1", b"avc3", b"hvc1", b"hev1", b"dvh1", b"dvhe", b"mp4v", b"s263", b"h263", b"av01", b"vp09", b"jpeg"}
    | {b"mp4a", b"samr", b"sawb"}
)
"""Codecs whose samples can't begin with `_HOLE`. Uncompressed sounds and pictures may be all zeros."""
_UNITS = frozenset({b"avc1", b"avc3", b"hvc1", b"hev1", b"dvh1", b"dvhe"})
"""Codecs whose units never have three zeros in a row (emulation prevention, ISO/IEC 14496-10, 7.4.1).

So a hole is recognised anywhere in their samples.
"""
_FRAGMENTS = 20_000


def has_holes(file: BinaryIO, table: Box, end: int) -> bool:
    """Return whether a sample in a track's `stbl` lies beyond the end of the file, or was never written."""
    samples = find_box(file, table, b"stsd")
    coding = read_content(file, samples, 16)[12:] if samples else b""
    try:
        samples_at = list(_locate_samples(file, {box.kind: box for box in iter_children(file, table)}))
    except TruncatedError:
        return True
    for at, size in samples_at:
        if at + size > end:
            return True
        if size < _MIN_SAMPLE_BYTES or coding not in _CODED:
            continue
        file.seek(at)
        data = file.read(min(size, _SAMPLE_BYTES))
        if not any(data[: len(_HOLE)]) or (coding in _UNITS and _SECTOR in data):
            return True
    return False


def _locate_samples(file: BinaryIO, parts: dict[bytes, Box]) -> Iterator[tuple[int, int]]:
    """Yield offset and size of some samples, including the last one. Raise `TruncatedError` if the tables are cut."""
    offsets_box = parts.get(b"stco") or parts.get(b"co64")
    if offsets_box is None or b"stsz" not in parts or b"stsc" not in parts:
        return
    sizes, chunks, runs = (BoxFields(read_content(file, box)) for box in (parts[b"stsz"], offsets_box, parts[b"stsc"]))
    sizes.read(4)
    same, count = sizes.read_number(4), sizes.read_number(4)
    # A table larger than the maximum read of one box ends early; then only its first part is checked.
    listed = b"" if same else sizes.read_rest(4 * count)
    count = count if same else len(listed) // 4
    chunks.read(4)
    width = 4 if offsets_box.kind == b"stco" else 8
    offsets = chunks.read_rest(width * chunks.read_number(4))
    if not count or not offsets:
        return

    def size_of(number: int) -> int:
        return same or int.from_bytes(listed[4 * number : 4 * number + 4])

    numbers = sorted({count - 1, *range(0, count, max(count // _MAX_CHECKED, 1))})
    for chunk, begin, length in _iter_chunks(runs, len(offsets) // width):
        while numbers and numbers[0] < begin + length:
            number = numbers.pop(0)
            before = same * (number - begin) if same else sum(map(size_of, range(begin, number)))
            yield int.from_bytes(offsets[chunk * width : (chunk + 1) * width]) + before, size_of(number)
        if not numbers:
            return


def _iter_chunks(runs: BoxFields, count: int) -> Iterator[tuple[int, int, int]]:
    """Yield the number of each chunk, the number of its first sample, and its count of samples (`stsc`)."""
    runs.read(4)
    entries = []
    for _ in range(runs.read_number(4)):
        entries.append((runs.read_number(4) - 1, runs.read_number(4)))
        runs.read(4)
    begin = 0
    for (start, length), (stop, _) in itertools.pairwise([*entries, (count, 0)]):
        for chunk in range(max(start, 0), min(stop, count)):
            yield chunk, begin, length
            begin += length


def measure_fragments(file: BinaryIO, moov: Box, end: int, scales: dict[int, int]) -> int | None:
    """Return the duration of a fragmented movie's longest track in milliseconds. Return None if there is no fragment.

    `scales` holds the time units per second by track id.
    """
    defaults = dict(_read_defaults(file, moov))
    lengths: dict[int, int] = {}
    fragments = (box for box in iter_boxes(file, 0, end) if box.kind == b"moof")
    for fragment in itertools.islice(fragments, _FRAGMENTS):
        for run in iter_children(file, fragment):
            if run.kind != b"traf":
                continue
            try:
                track, length = _read_run(file, run, defaults)
            except TruncatedError:
                continue
            lengths[track] = lengths.get(track, 0) + length
    millis = max((round(length * 1000 / scales[id]) for id, length in lengths.items() if scales.get(id)), default=0)
    return millis or None


def _read_defaults(file: BinaryIO, moov: Box) -> Iterator[tuple[int, int]]:
    """Yield each track's id with the default duration of the track's samples (`trex`)."""
    extends = find_box(file, moov, b"mvex")
    for box in iter_children(file, extends) if extends else ():
        data = read_content(file, box, 24)
        if box.kind == b"trex" and len(data) == 24:
            yield int.from_bytes(data[4:8]), int.from_bytes(data[12:16])


def _read_run(file: BinaryIO, traf: Box, defaults: dict[int, int]) -> tuple[int, int]:
    """Return the track id and the duration of a fragment (`traf`), in the track's time units.

    Raise `TruncatedError` if a box is cut.
    """
    header = find_box(file, traf, b"tfhd")
    fields = BoxFields(read_content(file, header, 64) if header else b"")
    flags, track = fields.read_number(4), fields.read_number(4)
    fields.read((8 if flags & 1 else 0) + (4 if flags & 2 else 0))
    usual = fields.read_number(4) if flags & 8 else defaults.get(track, 0)
    length = 0
    for box in iter_children(file, traf):
        if box.kind != b"trun":
            continue
        run = BoxFields(read_content(file, box))
        flags, count = run.read_number(4), run.read_number(4)
        run.read((4 if flags & 1 else 0) + (4 if flags & 4 else 0))
        if not flags & 0x100:
            length += count * usual
            continue
        row = 4 * (flags >> 8 & 15).bit_count()
        rows = run.read_rest(row * count)
        length += sum(int.from_bytes(rows[at : at + 4]) for at in range(0, len(rows), row))
    return track, length
