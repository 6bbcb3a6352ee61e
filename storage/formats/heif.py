"""Where HEIF and AVIF pictures keep their size, turn, EXIF and XMP (ISO/IEC 23008-12), found by their boxes alone.

The boxes' own shape is left to `boxes`; decoding tags or pixels, to `pictures`.
"""

import os
from typing import BinaryIO

from storage.formats.image_containers import BLOCK_BYTES, Container, Span, has_hole
from storage.formats.iso_bmff import OUTERMOST, Box, BoxFields, TruncatedError, boxes, content, inside
from storage.formats.orientations import UPRIGHT, Turn, figure, mirrored, quarters, then

_UNITS = 1000
_HOLE = bytes(16)
_EXIF_MARK = b"Exif\0\0"


def scan(file: BinaryIO) -> Container:
    """Walk a seekable file of type image/heic or image/avif; never raises but for the disk's own errors."""
    found = Container(turn=1)
    end = file.seek(0, os.SEEK_END)
    meta: Box | None = None
    for box in boxes(file, 0, end):
        found.is_cut = found.is_cut or (box.is_cut and box.kind in OUTERMOST)
        if box.kind == b"meta" and meta is None:
            meta = box
        elif box.kind == b"mpvd":  # Samsung's motion photos
            found.motion = Span(box.start, box.end - box.start)
    if meta is None:
        found.is_cut = True
        return found
    parts = {box.kind: box for box in inside(file, meta, skip=4)}
    _Items(file, end, parts, found).read()
    return found


class _Items:
    """The items of one `meta` box; each part that can't be read costs only what it says."""

    def __init__(self, file: BinaryIO, end: int, parts: dict[bytes, Box], found: Container) -> None:
        self._file, self._end, self._parts, self._found = file, end, parts, found
        self._unlooked = end  # tiles that lie over each other are not read again and again

    def read(self) -> None:
        for part in (self._keep_metadata, self._keep_shape):
            try:
                part()
            except TruncatedError:
                self._found.is_cut = True

    def _fields(self, kind: bytes) -> tuple[BoxFields, int, int]:
        """A full box's content, its version and its flags."""
        box = self._parts.get(kind)
        fields = BoxFields(content(self._file, box) if box else b"")
        return fields, fields.number(1), fields.number(3)

    def _keep_metadata(self) -> None:
        wanted = self._metadata_items()
        for id, spans in self._places(set(wanted)).items():
            if wanted[id] == "pixels":
                self._found.is_hollow = self._found.is_hollow or not all(self._is_coded(*span) for span in spans)
                continue
            data = b""
            for start, length in spans:
                self._file.seek(start)
                data += self._file.read(max(min(length, BLOCK_BYTES - len(data)), 0))
            if wanted[id] == "exif" and not self._found.exif:
                # Four bytes say how far in the TIFF header begins; writers often put "Exif" before it.
                skip = 4 + int.from_bytes(data[:4])
                block = data[skip:] if skip < len(data) else data[4:]
                self._found.exif = block.removeprefix(_EXIF_MARK)
            elif wanted[id] == "xmp" and not self._found.xmp:
                self._found.xmp = data

    def _is_coded(self, start: int, length: int) -> bool:
        """Units of HEVC, each behind its length (ISO/IEC 14496-15, 4.3.2), fill a tile: libheif shows what doesn't as green.

        No unit holds three zeros in a row (ISO/IEC 23008-2, 7.4.2.1): more of them were never written.
        """
        end = start + length
        looked_at = min(length, self._unlooked)
        self._unlooked -= looked_at
        self._file.seek(start)
        if has_hole(self._file, start + looked_at, _HOLE):
            return False
        for _ in range(_UNITS):
            if start >= end:
                return start == end
            self._file.seek(start)
            unit = int.from_bytes(self._file.read(4))
            if not unit:
                return False
            start += 4 + unit
        return True

    def _metadata_items(self) -> dict[int, str]:
        """Item id -> exif, xmp or pixels."""
        if b"iinf" not in self._parts:
            return {}
        _, version, _ = self._fields(b"iinf")
        wanted: dict[int, str] = {}
        for box in inside(self._file, self._parts[b"iinf"], skip=6 if version == 0 else 8):
            fields = BoxFields(content(self._file, box, 1024))
            level = fields.number(1)
            fields.take(3)
            if box.kind != b"infe" or level not in {2, 3}:
                continue
            id = fields.number(2 if level == 2 else 4)
            fields.take(2)
            kind = fields.take(4)
            if kind == b"Exif":
                wanted[id] = "exif"
            elif kind == b"hvc1":
                wanted[id] = "pixels"
            elif kind == b"mime":
                fields.text()
                if fields.text() == "application/rdf+xml":
                    wanted[id] = "xmp"
        return wanted

    def _places(self, wanted: set[int]) -> dict[int, list[tuple[int, int]]]:
        """Where in the file the wanted items lie: offset and length of each of their extents (`iloc`)."""
        if not wanted or b"iloc" not in self._parts:
            return {}
        fields, version, _ = self._fields(b"iloc")
        sizes = fields.number(2)
        offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
        index_size = sizes & 15 if version in {1, 2} else 0
        wide = 2 if version < 2 else 4
        found: dict[int, list[tuple[int, int]]] = {}
        for _ in range(fields.number(wide)):
            id = fields.number(wide)
            method = fields.number(2) & 15 if version in {1, 2} else 0
            reference, base, count = fields.number(2), fields.number(base_size), fields.number(2)
            if id not in wanted or id in found or reference or method > 1 or not length_size:
                fields.take(count * (index_size + offset_size + length_size))
                continue
            store = self._parts.get(b"idat") if method == 1 else Box(b"", 0, self._end)
            found[id] = []
            for _ in range(count):
                fields.take(index_size)
                start, length = base + fields.number(offset_size), fields.number(length_size)
                if store is not None:
                    start += store.start
                    self._found.is_cut = self._found.is_cut or start + length > store.end
                    found[id].append(
                        (min(start, store.end), min(length or store.end, store.end - min(start, store.end)))
                    )
        return found

    def _keep_shape(self) -> None:
        """Size as coded and turn: properties of the primary item, turns in the order in which they are to be done."""
        fields, version, _ = self._fields(b"pitm")
        primary = fields.number(2 if version == 0 else 4)
        iprp = self._parts.get(b"iprp")
        held = list(inside(self._file, iprp)) if iprp else []
        properties = next((list(inside(self._file, box)) for box in held if box.kind == b"ipco"), [])
        turn: Turn = UPRIGHT
        for index in self._associated(next((box for box in held if box.kind == b"ipma"), None), primary):
            if not 1 <= index <= len(properties):
                continue
            box = properties[index - 1]
            data = content(self._file, box, 64)
            if box.kind == b"ispe" and len(data) >= 12:
                self._found.width, self._found.height = int.from_bytes(data[4:8]), int.from_bytes(data[8:12])
            elif box.kind == b"clap" and len(data) >= 16:  # coders pad small pictures
                width, over, height, under = (int.from_bytes(data[at : at + 4]) for at in range(0, 16, 4))
                self._found.shown = (width // over, height // under) if over and under else None
            elif box.kind == b"irot" and data:
                turn = then(turn, quarters(data[0] & 3))
            elif box.kind == b"imir" and data:
                turn = then(turn, mirrored(data[0] & 1))
        self._found.turn = figure(turn) or 1

    def _associated(self, box: Box | None, item: int) -> list[int]:
        if box is None:
            raise TruncatedError
        fields = BoxFields(content(self._file, box))
        version, flags = fields.number(1), fields.number(3)
        size = 2 if flags & 1 else 1
        for _ in range(fields.number(4)):
            id, count = fields.number(2 if version < 1 else 4), fields.number(1)
            listed = [fields.number(size) & (0x7FFF if size == 2 else 0x7F) for _ in range(count)]
            if id == item:
                return listed
        return []
