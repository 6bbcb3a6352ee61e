"""Make HEIC pictures as phones with 108 or 200 megapixels make them: a grid of coded tiles."""

import io
from collections.abc import Callable

from PIL import Image

from storage.formats.heif_tiles import Tile, read_layout
from tests.support.media_files import box
from tests.support.picture_files import saved

SIDE = 512
"""Side of a tile in pixels, as on Samsung's phones."""


def coded_tile(colour: tuple[int, int, int], side: int = SIDE) -> tuple[bytes, bytes]:
    """Return the coded bytes of a tile of one colour, and the configuration of its decoder."""
    file = io.BytesIO(saved(Image.new("RGB", (side, side), colour), "HEIF", quality=90))
    layout = read_layout(file)
    [tile] = layout.tiles
    return read_tile(file, tile), tile.configuration


def read_tile(file: io.BytesIO, tile: Tile) -> bytes:
    return b"".join(file.getvalue()[start : start + length] for start, length in tile.spans)


def grid(
    columns: int,
    rows: int,
    size: tuple[int, int],
    tile_at: Callable[[int, int], bytes],
    configuration: bytes,
    turns: int,
) -> bytes:
    """Return a HEIC of `columns` x `rows` tiles, of which the top left `size` is shown after some quarter `turns`.

    `tile_at` returns the coded bytes of the tile in a column and row.
    """
    tiles = [tile_at(number % columns, number // columns) for number in range(columns * rows)]
    numbers = range(2, len(tiles) + 2)
    payload = bytes((0, 1, rows - 1, columns - 1)) + b"".join(side.to_bytes(4) for side in size)
    infos = _info(1, b"grid") + b"".join(_info(number, b"hvc1") for number in numbers)
    properties = [
        box(b"hvcC", configuration),
        box(b"ispe", bytes(4), SIDE.to_bytes(4), SIDE.to_bytes(4)),
        box(b"ispe", bytes(4), size[0].to_bytes(4), size[1].to_bytes(4)),
        box(b"irot", bytes((turns,))),
    ]
    links = (1).to_bytes(2) + b"\2\3\4" + b"".join(number.to_bytes(2) + b"\2\1\2" for number in numbers)
    different = sorted(set(tiles))
    ids = b"".join(number.to_bytes(2) for number in numbers)

    def head(start: int) -> bytes:
        """Return all boxes before the coded bytes. The first coded byte is at the offset `start`."""
        places = {tile: start + sum(map(len, different[:number])) for number, tile in enumerate(different)}
        extents = [_extent(1, 1, 0, len(payload))]
        extents += [_extent(number, 0, places[tile], len(tile)) for number, tile in zip(numbers, tiles, strict=True)]
        meta = box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", bytes(4), (1).to_bytes(2)),
            box(b"iinf", bytes(4), (len(tiles) + 1).to_bytes(2), infos),
            box(b"iref", bytes(4), box(b"dimg", (1).to_bytes(2), len(tiles).to_bytes(2), ids)),
            box(b"iprp", box(b"ipco", *properties), box(b"ipma", bytes(4), (len(tiles) + 1).to_bytes(4), links)),
            box(b"iloc", b"\1\0\0\0", b"\x44\0", (len(tiles) + 1).to_bytes(2), *extents),
            box(b"idat", payload),
        )
        return box(b"ftyp", b"heic", bytes(4), b"mif1heic") + meta

    return head(len(head(0)) + 8) + box(b"mdat", *different)


def _info(number: int, kind: bytes) -> bytes:
    return box(b"infe", b"\2\0\0\0", number.to_bytes(2), b"\0\0", kind, b"\0")


def _extent(number: int, method: int, offset: int, length: int) -> bytes:
    return b"".join(field.to_bytes(2) for field in (number, method, 0, 1)) + offset.to_bytes(4) + length.to_bytes(4)
