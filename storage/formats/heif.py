"""Find the size, orientation, EXIF and XMP of HEIF and AVIF pictures in their boxes (ISO/IEC 23008-12).

Nothing is decoded.
"""

import os
from typing import BinaryIO

from storage.formats.image_containers import BLOCK_BYTES, Container, Span, has_hole
from storage.formats.iso_bmff import OUTERMOST, Box, BoxFields, TruncatedError, iter_boxes, iter_children, read_content
from storage.formats.orientations import UPRIGHT, Turn, compose, exif_orientation, mirror, quarter_turns

_UNITS = 1000
_HOLE = bytes(16)
_EXIF_MARK = b"Exif\0\0"
_XMP = b"application/rdf+xml"


def scan(file: BinaryIO) -> Container:
    """Read the structure of a seekable image/heic or image/avif file. Raise only errors of the disk."""
    container = Container(turn=1)
    end = file.seek(0, os.SEEK_END)
    meta: Box | None = None
    for box in iter_boxes(file, 0, end):
        container.is_cut = container.is_cut or (box.is_cut and box.kind in OUTERMOST)
        if box.kind == b"meta" and meta is None:
            meta = box
        elif box.kind == b"mpvd":  # Samsung's motion photos
            container.motion = Span(box.start, box.end - box.start)
    if meta is None:
        container.is_cut = True
        return container
    parts = {box.kind: box for box in iter_children(file, meta, skip=4)}
    HeifItems(file, end, parts, container).read()
    return container


class HeifItems:
    """The items of one `meta` box. A part that can't be read does not affect the other parts."""

    def __init__(self, file: BinaryIO, end: int, parts: dict[bytes, Box], container: Container) -> None:
        self.file, self.parts = file, parts
        self._end, self._container = end, container
        self._budget = end  # bytes left to search for holes: overlapping tiles must not be read again and again

    def read(self) -> None:
        for part in (self._read_metadata, self._read_shape):
            try:
                part()
            except TruncatedError:
                self._container.is_cut = True

    def fields(self, kind: bytes) -> tuple[BoxFields, int, int]:
        """Return a full box's content, version and flags."""
        box = self.parts.get(kind)
        fields = BoxFields(read_content(self.file, box) if box else b"")
        return fields, fields.read_number(1), fields.read_number(3)

    def _read_metadata(self) -> None:
        kinds = self._metadata_items()
        for id, spans in self.read_extents(set(kinds)).items():
            if kinds[id] == "pixels":
                self._container.is_hollow = self._container.is_hollow or not all(
                    self._is_coded(*span) for span in spans
                )
                continue
            data = b""
            for start, length in spans:
                self.file.seek(start)
                data += self.file.read(max(min(length, BLOCK_BYTES - len(data)), 0))
            if kinds[id] == "exif" and not self._container.exif:
                # The first four bytes are the offset of the TIFF header. Writers often put "Exif" before it.
                skip = 4 + int.from_bytes(data[:4])
                block = data[skip:] if skip < len(data) else data[4:]
                self._container.exif = block.removeprefix(_EXIF_MARK)
            elif kinds[id] == "xmp" and not self._container.xmp:
                self._container.xmp = data

    def _is_coded(self, start: int, length: int) -> bool:
        """Return whether a tile is complete, which means that it consists of HEVC units without holes.

        The check is needed because libheif shows an incomplete tile in green. Each unit follows its length (ISO/IEC
        14496-15, 4.3.2). No unit contains three zero bytes in a row (ISO/IEC 23008-2, 7.4.2.1). So a longer run of
        zeros was never written.
        """
        end = start + length
        searched = min(length, self._budget)
        self._budget -= searched
        self.file.seek(start)
        if has_hole(self.file, start + searched, _HOLE):
            return False
        for _ in range(_UNITS):
            if start >= end:
                return start == end
            self.file.seek(start)
            unit = int.from_bytes(self.file.read(4))
            if not unit:
                return False
            start += 4 + unit
        return True

    def _metadata_items(self) -> dict[int, str]:
        """Map item ids to `exif`, `xmp` or `pixels`."""
        names = {b"Exif": "exif", b"hvc1": "pixels", _XMP: "xmp"}
        return {id: names[kind] for id, kind in self.item_kinds().items() if kind in names}

    def item_kinds(self) -> dict[int, bytes]:
        """Map item ids to the kinds of the items, such as `hvc1`. The kind of XMP is its content type."""
        if b"iinf" not in self.parts:
            return {}
        _, version, _ = self.fields(b"iinf")
        kinds: dict[int, bytes] = {}
        for box in iter_children(self.file, self.parts[b"iinf"], skip=6 if version == 0 else 8):
            fields = BoxFields(read_content(self.file, box, 1024))
            level = fields.read_number(1)
            fields.read(3)
            if box.kind != b"infe" or level not in {2, 3}:
                continue
            id = fields.read_number(2 if level == 2 else 4)
            fields.read(2)
            kinds[id] = fields.read(4)
            if kinds[id] == b"mime":
                fields.read_text()
                kinds[id] = fields.read_text().encode(errors="replace")
        return kinds

    def read_extents(self, ids: set[int]) -> dict[int, list[tuple[int, int]]]:
        """Return the byte ranges of items by item id, as offset and length in the file (box `iloc`)."""
        if not ids or b"iloc" not in self.parts:
            return {}
        fields, version, _ = self.fields(b"iloc")
        sizes = fields.read_number(2)
        offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
        index_size = sizes & 15 if version in {1, 2} else 0
        wide = 2 if version < 2 else 4
        extents: dict[int, list[tuple[int, int]]] = {}
        for _ in range(fields.read_number(wide)):
            id = fields.read_number(wide)
            method = fields.read_number(2) & 15 if version in {1, 2} else 0
            reference, base, count = fields.read_number(2), fields.read_number(base_size), fields.read_number(2)
            if id not in ids or id in extents or reference or method > 1 or not length_size:
                fields.read(count * (index_size + offset_size + length_size))
                continue
            store = self.parts.get(b"idat") if method == 1 else Box(b"", 0, self._end)
            extents[id] = []
            for _ in range(count):
                fields.read(index_size)
                start, length = base + fields.read_number(offset_size), fields.read_number(length_size)
                if store is not None:
                    start += store.start
                    self._container.is_cut = self._container.is_cut or start + length > store.end
                    extents[id].append(
                        (min(start, store.end), min(length or store.end, store.end - min(start, store.end)))
                    )
        return extents

    def _read_shape(self) -> None:
        """Read the encoded size, the visible size and the orientation from the primary item's properties.

        Rotations and mirrorings apply in the order of the properties.
        """
        fields, version, _ = self.fields(b"pitm")
        primary = fields.read_number(2 if version == 0 else 4)
        iprp = self.parts.get(b"iprp")
        children = list(iter_children(self.file, iprp)) if iprp else []
        properties = next((list(iter_children(self.file, box)) for box in children if box.kind == b"ipco"), [])
        turn: Turn = UPRIGHT
        associations = self.property_indexes(next((box for box in children if box.kind == b"ipma"), None))
        for index in associations.get(primary, ()):
            if not 1 <= index <= len(properties):
                continue
            box = properties[index - 1]
            data = read_content(self.file, box, 64)
            if box.kind == b"ispe" and len(data) >= 12:
                self._container.width, self._container.height = int.from_bytes(data[4:8]), int.from_bytes(data[8:12])
            elif box.kind == b"clap" and len(data) >= 16:  # encoders pad small pictures
                width, over, height, under = (int.from_bytes(data[at : at + 4]) for at in range(0, 16, 4))
                self._container.shown = (width // over, height // under) if over and under else None
            elif box.kind == b"irot" and data:
                turn = compose(turn, quarter_turns(data[0] & 3))
            elif box.kind == b"imir" and data:
                turn = compose(turn, mirror(data[0] & 1))
        self._container.turn = exif_orientation(turn) or 1

    def property_indexes(self, box: Box | None) -> dict[int, list[int]]:
        """Map item ids to the numbers of their properties, in order (box `ipma`)."""
        if box is None:
            raise TruncatedError
        fields = BoxFields(read_content(self.file, box))
        version, flags = fields.read_number(1), fields.read_number(3)
        size = 2 if flags & 1 else 1
        indexes: dict[int, list[int]] = {}
        for _ in range(fields.read_number(4)):
            try:
                id, count = fields.read_number(2 if version < 1 else 4), fields.read_number(1)
                numbers = [fields.read_number(size) & (0x7FFF if size == 2 else 0x7F) for _ in range(count)]
            except TruncatedError:
                if not indexes:
                    raise
                break
            indexes.setdefault(id, numbers)
        return indexes
