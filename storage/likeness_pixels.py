"""Likeness of a decoded picture, by Pillow: the grey values that hashes are made of, and the areas that stand out.

What is made of either is arithmetic, in `likeness_hash` and `marks`.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import replace

from PIL import Image, ImageChops, ImageFilter

from schema.likeness import Likeness
from storage.likeness_hash import likenesses
from storage.marks import HALF, LEVELS, PATCH, Marks, marks_on, packed
from storage.picture_facts import Thumbnail

_SMOOTH, _SMOOTHER = ImageFilter.GaussianBlur(1.2), ImageFilter.GaussianBlur(2.2)
_NEIGHBOURS = ImageFilter.MaxFilter(5)
_LEAST = 3
"""Grey levels by which something must differ from what is around it to stand out: coding alone makes one or two."""
_APART = 4
"""Pixels: nearer to one that stands out more, nothing is looked at."""
_LOOKED_AT = 20
"""Of each level, those that stand out most."""
_SHARP = Image.Resampling.LANCZOS


def likeness_of(thumbnails: tuple[Thumbnail, ...]) -> tuple[Likeness, ...]:
    """Of the small rendition: it is upright, of one size, and there for everything that can be shown."""
    if not thumbnails:
        return ()
    with Image.open(io.BytesIO(thumbnails[-1].data), formats=("JPEG",)) as small:
        grey = small.convert("L")
    made = likenesses(grey.size, grey.tobytes(), lambda box, side: grey.resize((side, side), _SHARP, box).tobytes())
    return tuple(replace(each, marks=_marks(grey)) if each.cut == 0 else each for each in made)


def _marks(grey: Image.Image) -> bytes:
    """What stands out on each level, packed; the same places of a copy stand out there."""
    longest, found = max(grey.size), []
    for level, side in enumerate(LEVELS):
        size = (max(round(grey.width * side / longest), 1), max(round(grey.height * side / longest), 1))
        if min(size) > 2 * HALF + 2:
            found += marks_on(level, size, _areas(grey.resize(size, _SHARP)))
    return packed(Marks((grey.width / longest, grey.height / longest), tuple(found)))


def _areas(image: Image.Image) -> Iterator[tuple[int, int, bytes]]:
    """(x, y, values) around each pixel that is lighter or darker than all around it."""
    smooth, smoother = image.filter(_SMOOTH), image.filter(_SMOOTHER)
    peaks: list[tuple[int, int, int]] = []
    for difference in (ImageChops.subtract(smooth, smoother), ImageChops.subtract(smoother, smooth)):
        peaks += _peaks(difference)
    kept: list[tuple[int, int]] = []
    for _, x, y in sorted(peaks):
        if all((x - a) ** 2 + (y - b) ** 2 >= _APART**2 for a, b in kept):
            kept.append((x, y))
            if len(kept) == _LOOKED_AT:
                break
    for x, y in kept:
        box = (x + 0.5 - HALF, y + 0.5 - HALF, x + 0.5 + HALF, y + 0.5 + HALF)
        yield x, y, smooth.resize((PATCH, PATCH), Image.Resampling.BOX, box).tobytes()


def _peaks(difference: Image.Image) -> Iterator[tuple[int, int, int]]:
    """(how little it stands out, x, y) of every peak whose area lies in the picture."""
    under = ImageChops.subtract(difference.filter(_NEIGHBOURS), difference)
    is_peak = under.point(lambda value: 255 if value == 0 else 0)
    is_strong = difference.point(lambda value: 255 if value >= _LEAST else 0)
    values, width, height = difference.tobytes(), difference.width, difference.height
    for match in re.finditer(b"\xff", ImageChops.darker(is_peak, is_strong).tobytes()):
        y, x = divmod(match.start(), width)
        if HALF < x < width - HALF - 1 and HALF < y < height - HALF - 1:
            yield -values[match.start()], x, y
