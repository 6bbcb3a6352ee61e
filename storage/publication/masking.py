"""Cover boxes of a picture, and decode the views in which faces are detected; runs in a sandboxed child process."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from storage.formats.pictures import decode, make_upright, quiet_pillow, read_facts
from storage.formats.results import Covered, Damage, Edges

WHOLE = 5000
"""Long side in pixels above which a JPEG is released at half its size: only phones with 100 megapixels reach it."""
_BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_UNREADABLE = frozenset({Damage.EMPTY, Damage.UNSUPPORTED})


@dataclass(frozen=True)
class View:
    """The upright picture at some size: three bytes per pixel (red, green, blue), in rows from the top."""

    width: int
    height: int
    pixels: bytes


def cover(path: Path, boxes: Sequence[Edges], into: str) -> Covered:
    """Write the whole upright picture into the file `into`: a JPEG with black boxes and without any metadata.

    Boxes are rounded outwards to whole pixels. Raise `OSError` if a file can't be opened or written.
    """
    picture = read_facts(path)
    if picture.damage in _UNREADABLE:
        return Covered(damage=picture.damage)
    with quiet_pillow():
        try:
            image, damage = decode(path, picture, make_upright, WHOLE)
        except _BOMB:
            return Covered(damage=Damage.TOO_MANY_PIXELS)
    if image is None:
        return Covered(damage=damage)
    for box in boxes:
        image.paste("black", pixels_of(box, image.width, image.height))
    image.info = {}  # else Pillow copies the comment
    image.save(into, "JPEG", quality=90, optimize=True)
    return Covered(image.width, image.height)


def pixels_of(box: Edges, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the pixels that the box touches, with left and top included, right and bottom excluded."""
    left, top, right, bottom = box
    return math.floor(left * width), math.floor(top * height), math.ceil(right * width), math.ceil(bottom * height)


def decode_views(path: Path, long_sides: Sequence[int], multiple: int) -> tuple[list[View], Damage | None]:
    """Decode the upright picture at each size, with both sides rounded up to a `multiple`.

    If nothing decodes, return no views and the damage.
    """
    picture = read_facts(path)
    if picture.damage in _UNREADABLE:
        return [], picture.damage
    largest = max(long_sides)
    with quiet_pillow():
        try:
            image, damage = decode(path, picture, partial(make_upright, within=largest), largest)
        except _BOMB:
            return [], Damage.TOO_MANY_PIXELS
    if image is None:
        return [], damage
    sizes = {_view_size(image.size, long_side, multiple) for long_side in long_sides}
    return [View(*size, image.resize(size, Image.Resampling.BILINEAR).tobytes()) for size in sorted(sizes)], None


def _view_size(size: tuple[int, int], long_side: int, multiple: int) -> tuple[int, int]:
    shrink = max(*size, long_side) / long_side
    width, height = (math.ceil(side / shrink / multiple) * multiple for side in size)
    return width, height
