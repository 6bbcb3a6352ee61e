"""Samples of a movie (ISO/IEC 14496-12, 8.6 to 8.8): whether they lie in the file and hold something; how long fragments last.

Only some are looked at, evenly spread, and none is decoded: that is left to `frames`.
"""

import itertools
from collections.abc import Iterator
from typing import BinaryIO

from storage.formats.iso_bmff import Box, BoxFields, TruncatedError, boxes, content, first, inside

_LOOKED_AT = 64
_SAMPLE_BYTES = 2**16
_HOLE = bytes(16)
"""No coder begins a frame with so many zeros."""
_SECTOR = bytes(512)
"""What a disk leaves unwritten at the least; some cameras pad their units with a few zeros."""
_MIN_SAMPLES = 4
"""Bytes of a sample: shorter ones tell nothing."""
_CODED = frozenset(
    {b"avc1", b"avc3", b"hvc1", b"hev1", b"dvh1", b"dvhe", b"mp4v", b"s263", b"h263", b"av01", b"vp09", b"jpeg"}
    | {b"mp4a", b"samr", b"sawb"}
)
"""Codings whose samples can't begin so; sounds and pictures that aren't coded may be nothing but zeros."""
_UNITS = frozenset({b"avc1", b"avc3", b"hvc1", b"hev1", b"dvh1", b"dvhe"})
"""Their units hold no three zeros in a row (emulation prevention, ISO/IEC 14496-10, 7.4.1), so that a hole shows anywhere."""
_FRAGMENTS = 20_000


def has_holes(file: BinaryIO, table: Box, end: int) -> bool:
    """Whether a sample that a track's `stbl` names lies behind the file's end, or was never written."""
    samples = first(file, table, b"stsd")
    coding = content(file, samples, 16)[12:] if samples else b""
    try:
        placed = list(_placed(file, {box.kind: box for box in inside(file, table)}))
    except TruncatedError:
        return True
    for at, size in placed:
        if at + size > end:
            return True
        if size < _MIN_SAMPLES or coding not in _CODED:
            continue
        file.seek(at)
        data = file.read(min(size, _SAMPLE_BYTES))
        if not any(data[: len(_HOLE)]) or (coding in _UNITS and _SECTOR in data):
            return True
    return False


def _placed(file: BinaryIO, parts: dict[bytes, Box]) -> Iterator[tuple[int, int]]:
    """Offset and size of some samples, the last one among them; nothing where the table has none. Raises `TruncatedError`."""
    offsets_box = parts.get(b"stco") or parts.get(b"co64")
    if offsets_box is None or b"stsz" not in parts or b"stsc" not in parts:
        return
    sizes, chunks, runs = (BoxFields(content(file, box)) for box in (parts[b"stsz"], offsets_box, parts[b"stsc"]))
    sizes.take(4)
    same, count = sizes.number(4), sizes.number(4)
    # Tables larger than what is read of one box end early: then the first part is looked at.
    listed = b"" if same else sizes.rest(4 * count)
    count = count if same else len(listed) // 4
    chunks.take(4)
    width = 4 if offsets_box.kind == b"stco" else 8
    offsets = chunks.rest(width * chunks.number(4))
    if not count or not offsets:
        return

    def size_of(number: int) -> int:
        return same or int.from_bytes(listed[4 * number : 4 * number + 4])

    wanted = sorted({count - 1, *range(0, count, max(count // _LOOKED_AT, 1))})
    for chunk, begin, length in _chunks(runs, len(offsets) // width):
        while wanted and wanted[0] < begin + length:
            number = wanted.pop(0)
            before = same * (number - begin) if same else sum(map(size_of, range(begin, number)))
            yield int.from_bytes(offsets[chunk * width : (chunk + 1) * width]) + before, size_of(number)
        if not wanted:
            return


def _chunks(runs: BoxFields, count: int) -> Iterator[tuple[int, int, int]]:
    """Number of each chunk, of its first sample, and how many it holds (`stsc`)."""
    runs.take(4)
    entries = []
    for _ in range(runs.number(4)):
        entries.append((runs.number(4) - 1, runs.number(4)))
        runs.take(4)
    begin = 0
    for (start, length), (stop, _) in itertools.pairwise([*entries, (count, 0)]):
        for chunk in range(max(start, 0), min(stop, count)):
            yield chunk, begin, length
            begin += length


def fragments_ms(file: BinaryIO, moov: Box, end: int, scales: dict[int, int]) -> int | None:
    """How long the longest track of a movie in fragments lasts, milliseconds; `scales`: units a second by track.

    None where there is no fragment.
    """
    defaults = dict(_defaults(file, moov))
    lasting: dict[int, int] = {}
    fragments = (box for box in boxes(file, 0, end) if box.kind == b"moof")
    for fragment in itertools.islice(fragments, _FRAGMENTS):
        for run in inside(file, fragment):
            if run.kind != b"traf":
                continue
            try:
                track, length = _run(file, run, defaults)
            except TruncatedError:
                continue
            lasting[track] = lasting.get(track, 0) + length
    millis = max((round(each * 1000 / scales[id]) for id, each in lasting.items() if scales.get(id)), default=0)
    return millis or None


def _defaults(file: BinaryIO, moov: Box) -> Iterator[tuple[int, int]]:
    """How long a sample lasts by `trex`, by track."""
    extends = first(file, moov, b"mvex")
    for box in inside(file, extends) if extends else ():
        data = content(file, box, 24)
        if box.kind == b"trex" and len(data) == 24:
            yield int.from_bytes(data[4:8]), int.from_bytes(data[12:16])


def _run(file: BinaryIO, traf: Box, defaults: dict[int, int]) -> tuple[int, int]:
    """A fragment's track and how long its samples last, in the track's units. Raises `TruncatedError`."""
    header = first(file, traf, b"tfhd")
    fields = BoxFields(content(file, header, 64) if header else b"")
    flags, track = fields.number(4), fields.number(4)
    fields.take((8 if flags & 1 else 0) + (4 if flags & 2 else 0))
    usual = fields.number(4) if flags & 8 else defaults.get(track, 0)
    length = 0
    for box in inside(file, traf):
        if box.kind != b"trun":
            continue
        run = BoxFields(content(file, box))
        flags, count = run.number(4), run.number(4)
        run.take((4 if flags & 1 else 0) + (4 if flags & 4 else 0))
        if not flags & 0x100:
            length += count * usual
            continue
        row = 4 * (flags >> 8 & 15).bit_count()
        rows = run.rest(row * count)
        length += sum(int.from_bytes(rows[at : at + 4]) for at in range(0, len(rows), row))
    return track, length
