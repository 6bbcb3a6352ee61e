"""Likeness of a decoded picture, by Pillow: the grey values that hashes are made of, and the areas that stand out.

What is made of either is arithmetic, in `likeness_hash` and `marks`.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import replace

from PIL import Image, ImageChops, ImageFilter

from schema.checks.similarity import Likeness
from storage.formats.results import RenderedThumbnail
from storage.similarity.keypoints import HALF, LEVELS, PATCH, Marks, marks_on, packed
from storage.similarity.perceptual_hash import likenesses

_SMOOTH, _SMOOTHER = ImageFilter.GaussianBlur(1.2), ImageFilter.GaussianBlur(2.2)
_MIN = 3
"""Grey levels by which something must differ from what is around it to stand out: coding alone makes one or two."""
_NOTHING = [255] + [0] * 255
_ENOUGH = [0] * _MIN + [255] * (256 - _MIN)
"""Grey values to yes (255) or no (0)."""
_APART = 4
"""Pixels: nearer to one that stands out more, nothing is looked at."""
_LOOKED_AT = 20
"""Of each level, those that stand out most."""
_SHARP = Image.Resampling.LANCZOS


def likeness_of(thumbnails: tuple[RenderedThumbnail, ...]) -> tuple[Likeness, ...]:
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
    under = ImageChops.subtract(_highest_around(difference), difference)
    is_peak, is_strong = under.point(_NOTHING), difference.point(_ENOUGH)
    values, width, height = difference.tobytes(), difference.width, difference.height
    for match in re.finditer(b"\xff", ImageChops.darker(is_peak, is_strong).tobytes()):
        y, x = divmod(match.start(), width)
        if HALF < x < width - HALF - 1 and HALF < y < height - HALF - 1:
            yield -values[match.start()], x, y


def _highest_around(image: Image.Image) -> Image.Image:
    """As Pillow's `MaxFilter(5)` in a thirtieth of its time: the higher of ever longer stretches, along both sides."""
    width, height = image.size
    found = image.crop((-2, -2, width + 2, height + 2))
    for x, y in ((1, 0), (0, 1)):
        two = ImageChops.lighter(found, _moved(found, x, y))
        four = ImageChops.lighter(two, _moved(two, 2 * x, 2 * y))
        found = ImageChops.lighter(four, _moved(found, 4 * x, 4 * y))
    return found.crop((0, 0, width, height))


def _moved(image: Image.Image, x: int, y: int) -> Image.Image:
    """What lies x to the right and y below; black beyond the edge."""
    return image.crop((x, y, image.width + x, image.height + y))
