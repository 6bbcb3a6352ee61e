"""Paint boxes of a picture black, and decode the views in which faces are detected.

This runs in a sandboxed child process.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from PIL import Image

from storage.formats.media_sources import MediaSource
from storage.formats.pictures import decode, quiet_pillow, read_facts
from storage.formats.results import Covered, Damage, Edges
from storage.formats.thumbnails import make_upright

WHOLE = 5000
"""Minimum long side, in pixels, of a JPEG after it was reduced for release.

A JPEG is decoded at half its size only if its long side then still has this many pixels. Only photos of phones with 100
megapixels are so large.
"""
_BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_UNREADABLE = frozenset({Damage.EMPTY, Damage.UNSUPPORTED})


@dataclass(frozen=True)
class View:
    """An upright, scaled picture. `pixels` has three bytes per pixel (red, green, blue), in rows from the top."""

    width: int
    height: int
    pixels: bytes


def cover(medium: MediaSource, boxes: Sequence[Edges], into: BinaryIO) -> Covered:
    """Write a copy of the picture in which the boxes are painted black to `into`.

    The copy is an upright JPEG without metadata. The boxes are rounded outwards to whole pixels. Raise `OSError` if a
    file can't be read or written.
    """
    picture = read_facts(medium)
    if picture.damage in _UNREADABLE:
        return Covered(damage=picture.damage)
    with quiet_pillow():
        try:
            image, damage = decode(medium, picture, make_upright, WHOLE)
        except _BOMB:
            return Covered(damage=Damage.TOO_MANY_PIXELS)
    if image is None:
        return Covered(damage=damage)
    for box in boxes:
        image.paste("black", pixels_of(box, image.width, image.height))
    image.info = {}  # otherwise Pillow copies the comment
    image.save(into, "JPEG", quality=90, optimize=True)
    return Covered(image.width, image.height)


def pixels_of(box: Edges, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the box in pixels (left, top, right, bottom), rounded outwards. Right and bottom are excluded."""
    left, top, right, bottom = box
    return math.floor(left * width), math.floor(top * height), math.ceil(right * width), math.ceil(bottom * height)


def decode_views(medium: MediaSource, long_sides: Sequence[int], multiple: int) -> tuple[list[View], Damage | None]:
    """Decode the picture upright, once for each of `long_sides`. Both sides of a view are rounded up to a `multiple`.

    If the picture can't be decoded, return no views and the damage.
    """
    picture = read_facts(medium)
    if picture.damage in _UNREADABLE:
        return [], picture.damage
    largest = max(long_sides)
    with quiet_pillow():
        try:
            image, damage = decode(medium, picture, partial(make_upright, within=largest), largest)
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
