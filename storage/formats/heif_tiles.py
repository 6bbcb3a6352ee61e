"""Decode very large HEIF and AVIF pictures with PyAV: one tile after another, each reduced before the next is decoded.

libheif decodes only whole pictures. At 200 megapixels that takes more memory than the sandbox has.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import av
from av.video.reformatter import ColorRange, Interpolation

from storage.formats.heif import HeifItems
from storage.formats.image_containers import Container
from storage.formats.iso_bmff import Box, BoxFields, TruncatedError, iter_boxes, iter_children, read_content
from storage.formats.media_sources import MediaSource
from storage.formats.results import Raster

MAX_PIXELS = 2**28
"""Phones make pictures of 200 megapixels."""
_MAX_TILES = 4096
"""A picture of `MAX_PIXELS` has so many tiles of 256 x 256 pixels."""
_CODINGS = {b"hvc1": ("hevc", b"hvcC"), b"av01": ("libdav1d", b"av1C")}
"""The kinds of coded items, each with FFmpeg's decoder and with the property that configures the decoder."""
_FAULTS = (av.error.FFmpegError, ValueError, RuntimeError, OverflowError, LookupError)


@dataclass(frozen=True)
class Tile:
    """A coded part of a picture, which is the whole picture if it has no grid. `spans` are offsets and lengths."""

    kind: bytes
    spans: tuple[tuple[int, int], ...]
    configuration: bytes


@dataclass(frozen=True)
class TiledPicture:
    """A picture of `width` x `height` pixels, whose tiles stand row by row, `columns` in a row.

    `matrix` and `is_full_range` say how colours are coded (ITU-T H.273), or are None. `profile` is an ICC profile.
    """

    width: int
    height: int
    columns: int
    tiles: tuple[Tile, ...]
    matrix: int | None = None
    is_full_range: bool | None = None
    profile: bytes | None = None


@dataclass(frozen=True)
class Placed:
    """A decoded and reduced tile. `left` and `top` are its place in the reduced picture, in pixels."""

    left: int
    top: int
    raster: Raster


def read_layout(file: BinaryIO) -> TiledPicture:
    """Read where the tiles of the primary item lie. Raise `ValueError` if the file does not say it."""
    end = file.seek(0, os.SEEK_END)
    meta = next((box for box in iter_boxes(file, 0, end) if box.kind == b"meta"), None)
    parts = {box.kind: box for box in iter_children(file, meta, skip=4)} if meta else {}
    try:
        return _Layout(file, end, parts).layout()
    except TruncatedError as error:
        raise ValueError("the layout is incomplete") from error


class _Layout(HeifItems):
    def __init__(self, file: BinaryIO, end: int, parts: dict[bytes, Box]) -> None:
        super().__init__(file, end, parts, Container())
        iprp = parts.get(b"iprp")
        children = {box.kind: box for box in iter_children(file, iprp)} if iprp else {}
        self._properties = list(iter_children(file, children[b"ipco"])) if b"ipco" in children else []
        self._associations = self.property_indexes(children.get(b"ipma"))

    def layout(self) -> TiledPicture:
        fields, version, _ = self.fields(b"pitm")
        primary = fields.read_number(2 if version == 0 else 4)
        kinds = self.item_kinds()
        if kinds.get(primary) == b"grid":
            columns, count, width, height = self._read_grid(primary)
            ids = self._read_references(primary)[:count]
        else:
            [(width, height)] = {self._read_size(primary)}
            columns, count, ids = 1, 1, [primary]
        spans = self.read_extents(set(ids))
        if not 1 <= count <= _MAX_TILES or len(ids) < count or not all(kinds.get(id) in _CODINGS for id in ids):
            raise ValueError("no tiles that can be decoded")
        tiles = tuple(Tile(kinds[id], tuple(spans.get(id, ())), self._configuration(id, kinds[id])) for id in ids)
        return TiledPicture(width, height, columns, tiles, *self._read_colours([primary, ids[0]]))

    def _read_grid(self, item: int) -> tuple[int, int, int, int]:
        """Return the columns, the number of tiles, the width and the height (ISO/IEC 23008-12, 6.6.2.3)."""
        data = b""
        for start, length in self.read_extents({item}).get(item, []):
            self.file.seek(start)
            data += self.file.read(min(length, 16))
        fields = BoxFields(data)
        fields.read(1)
        size = 4 if fields.read_number(1) & 1 else 2
        rows, columns = fields.read_number(1) + 1, fields.read_number(1) + 1
        return columns, rows * columns, fields.read_number(size), fields.read_number(size)

    def _read_references(self, item: int) -> list[int]:
        """Return the ids of the items of which `item` is made (references of type `dimg`)."""
        box = self.parts.get(b"iref")
        if box is None:
            return []
        size = 2 if read_content(self.file, box, 1) == b"\0" else 4
        for reference in iter_children(self.file, box, skip=4):
            fields = BoxFields(read_content(self.file, reference))
            if reference.kind == b"dimg" and fields.read_number(size) == item:
                return [fields.read_number(size) for _ in range(fields.read_number(2))]
        return []

    def _property(self, item: int, kind: bytes, head: bytes = b"") -> bytes | None:
        for index in self._associations.get(item, ()):
            if 1 <= index <= len(self._properties) and self._properties[index - 1].kind == kind:
                data = read_content(self.file, self._properties[index - 1])
                if data.startswith(head):
                    return data
        return None

    def _read_size(self, item: int) -> tuple[int, int]:
        fields = BoxFields(self._property(item, b"ispe") or b"")
        fields.read(4)
        return fields.read_number(4), fields.read_number(4)

    def _configuration(self, item: int, kind: bytes) -> bytes:
        return self._property(item, _CODINGS[kind][1]) or b""

    def _read_colours(self, items: list[int]) -> tuple[int | None, bool | None, bytes | None]:
        """Return the matrix, whether the range is full, and the ICC profile. A grid's first tile may have them."""
        matrix, is_full, profile = None, None, None
        for item in items:
            coded = self._property(item, b"colr", b"nclx")
            if coded and len(coded) >= 11 and matrix is None:
                matrix, is_full = int.from_bytes(coded[8:10]), bool(coded[10] & 0x80)
            profiled = self._property(item, b"colr", b"prof") or self._property(item, b"colr", b"rICC")
            profile = profile or (profiled[4:] if profiled else None)
        return matrix, is_full, profile


def decode_tiles(medium: MediaSource, picture: TiledPicture, shrink: int) -> Iterator[Placed]:
    """Yield the tiles, `shrink` times smaller. Leave out a tile that can't be decoded."""
    decoders: dict[tuple[bytes, bytes], av.VideoCodecContext] = {}
    with medium.open("rb") as file:
        for number, tile in enumerate(picture.tiles):
            with contextlib.suppress(*_FAULTS):
                key = (tile.kind, tile.configuration)
                decoder = decoders[key] if key in decoders else decoders.setdefault(key, _open(tile))
                frame = _decode(decoder, b"".join(_read(file, *span) for span in tile.spans))
                row, column = divmod(number, picture.columns)
                left, top = column * frame.width // shrink, row * frame.height // shrink
                right, bottom = (column + 1) * frame.width // shrink, (row + 1) * frame.height // shrink
                yield Placed(left, top, _reduce(frame, picture, max(right - left, 1), max(bottom - top, 1)))


def _read(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)


def _open(tile: Tile) -> av.VideoCodecContext:
    decoder = av.CodecContext.create(_CODINGS[tile.kind][0], "r")
    if not isinstance(decoder, av.VideoCodecContext):
        raise ValueError("no decoder of pictures")  # noqa: TRY004  the file is wrong, not the caller's argument
    decoder.extradata = tile.configuration
    decoder.options = {"max_pixels": str(MAX_PIXELS), "threads": "1"}  # threads would only cost memory
    return decoder


def _decode(decoder: av.VideoCodecContext, data: bytes) -> av.VideoFrame:
    """Decode one picture. The decoder is ready for the next picture then."""
    try:
        return [*decoder.decode(av.Packet(data)), *decoder.decode(None)][0]
    finally:
        decoder.flush_buffers()


def _reduce(frame: av.VideoFrame, picture: TiledPicture, width: int, height: int) -> Raster:
    if picture.matrix is not None:
        frame.colorspace = picture.matrix
    if picture.is_full_range is not None:
        frame.color_range = ColorRange.JPEG if picture.is_full_range else ColorRange.MPEG
    small = frame.reformat(width=width, height=height, format="rgb24", interpolation=Interpolation.AREA)
    plane = small.planes[0]
    return Raster(width, height, plane.line_size, bytes(plane))
