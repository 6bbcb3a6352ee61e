"""Compute the likeness of a decoded picture with Pillow: its perceptual hashes and its keypoints."""

import io
import re
from collections.abc import Iterator
from dataclasses import replace

from PIL import Image, ImageChops, ImageFilter

from schema.checks.similarity import Likeness
from storage.formats.results import RenderedThumbnail
from storage.similarity.keypoints import HALF, LEVELS, PATCH, Keypoint, KeypointSet, pack, select_keypoints
from storage.similarity.perceptual_hash import compute_likenesses

_SMOOTH, _SMOOTHER = ImageFilter.GaussianBlur(1.2), ImageFilter.GaussianBlur(2.2)
_MIN = 3
"""Grey levels by which a peak must differ from its surroundings. Encoding alone makes a difference of one or two."""
_NOTHING = [255] + [0] * 255
_ENOUGH = [0] * _MIN + [255] * (256 - _MIN)
"""Lookup tables that map grey values to yes (255) or no (0)."""
_APART = 4
"""Minimum distance in pixels from a stronger peak."""
_MAX_PEAKS = 20
"""Maximum number of peaks that are used on each level. The strongest peaks are used."""
_SHARP = Image.Resampling.LANCZOS


def compute_likeness(thumbnails: tuple[RenderedThumbnail, ...]) -> tuple[Likeness, ...]:
    """Compute the likeness from the small thumbnail.

    This thumbnail is upright, has a standard size, and exists for every medium that can be shown.
    """
    if not thumbnails:
        return ()
    with Image.open(io.BytesIO(thumbnails[-1].data), formats=("JPEG",)) as small:
        grey = small.convert("L")
    likenesses = compute_likenesses(
        grey.size, grey.tobytes(), lambda box, side: grey.resize((side, side), _SHARP, box).tobytes()
    )
    return tuple(
        replace(likeness, marks=_compute_keypoints(grey)) if likeness.cut == 0 else likeness for likeness in likenesses
    )


def _compute_keypoints(grey: Image.Image) -> bytes:
    """Find and pack the keypoints of a picture on each level. A copy of the picture has the same keypoints."""
    longest = max(grey.size)
    keypoints: list[Keypoint] = []
    for level, side in enumerate(LEVELS):
        size = (max(round(grey.width * side / longest), 1), max(round(grey.height * side / longest), 1))
        if min(size) > 2 * HALF + 2:
            keypoints += select_keypoints(level, size, _iter_areas(grey.resize(size, _SHARP)))
    return pack(KeypointSet((grey.width / longest, grey.height / longest), tuple(keypoints)))


def _iter_areas(image: Image.Image) -> Iterator[tuple[int, int, bytes]]:
    """Yield (x, y, values) of the area around each peak, which is a pixel lighter or darker than all pixels around it.

    `values` are the area's grey values, scaled to PATCH x PATCH.
    """
    smooth, smoother = image.filter(_SMOOTH), image.filter(_SMOOTHER)
    peaks: list[tuple[int, int, int]] = []
    for difference in (ImageChops.subtract(smooth, smoother), ImageChops.subtract(smoother, smooth)):
        peaks += _find_peaks(difference)
    kept: list[tuple[int, int]] = []
    for _, x, y in sorted(peaks):
        if all((x - a) ** 2 + (y - b) ** 2 >= _APART**2 for a, b in kept):
            kept.append((x, y))
            if len(kept) == _MAX_PEAKS:
                break
    for x, y in kept:
        box = (x + 0.5 - HALF, y + 0.5 - HALF, x + 0.5 + HALF, y + 0.5 + HALF)
        yield x, y, smooth.resize((PATCH, PATCH), Image.Resampling.BOX, box).tobytes()


def _find_peaks(difference: Image.Image) -> Iterator[tuple[int, int, int]]:
    """Yield (negative strength, x, y) of every peak whose area lies completely in the picture."""
    under = ImageChops.subtract(_dilate(difference), difference)
    is_peak, is_strong = under.point(_NOTHING), difference.point(_ENOUGH)
    values, width, height = difference.tobytes(), difference.width, difference.height
    for match in re.finditer(b"\xff", ImageChops.darker(is_peak, is_strong).tobytes()):
        y, x = divmod(match.start(), width)
        if HALF < x < width - HALF - 1 and HALF < y < height - HALF - 1:
            yield -values[match.start()], x, y


def _dilate(image: Image.Image) -> Image.Image:
    """Apply a 5 x 5 maximum filter.

    It combines ever longer runs along both axes, 30 times as fast as Pillow's filter.
    """
    width, height = image.size
    highest = image.crop((-2, -2, width + 2, height + 2))
    for x, y in ((1, 0), (0, 1)):
        two = ImageChops.lighter(highest, _shift(highest, x, y))
        four = ImageChops.lighter(two, _shift(two, 2 * x, 2 * y))
        highest = ImageChops.lighter(four, _shift(highest, 4 * x, 4 * y))
    return highest.crop((0, 0, width, height))


def _shift(image: Image.Image, x: int, y: int) -> Image.Image:
    """Return the picture moved to the left by `x` and up by `y` pixels. The new edges are black."""
    return image.crop((x, y, image.width + x, image.height + y))
