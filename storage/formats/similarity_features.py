"""Compute the likeness of a decoded picture with Pillow: its perceptual hashes and its keypoints."""

import io
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
"""Lookup table that maps grey values to yes (255) or no (0)."""
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

    `values` are the area's grey values, scaled to PATCH x PATCH. Peaks are left out that are near a stronger peak.
    """
    smooth, smoother = image.filter(_SMOOTH), image.filter(_SMOOTHER)
    kept: list[tuple[int, int]] = []
    for x, y in _iter_peaks(smooth, smoother):
        if all((x - a) ** 2 + (y - b) ** 2 >= _APART**2 for a, b in kept):
            kept.append((x, y))
            if len(kept) == _MAX_PEAKS:
                break
    areas = Image.new("L", (PATCH, PATCH * len(kept)))  # one below the other: one call then returns all values
    for place, (x, y) in enumerate(kept):
        box = (x + 0.5 - HALF, y + 0.5 - HALF, x + 0.5 + HALF, y + 0.5 + HALF)
        areas.paste(smooth.resize((PATCH, PATCH), Image.Resampling.BOX, box), (0, place * PATCH))
    values = areas.tobytes() if kept else b""
    for place, (x, y) in enumerate(kept):
        yield x, y, values[place * PATCH**2 : (place + 1) * PATCH**2]


def _iter_peaks(smooth: Image.Image, smoother: Image.Image) -> Iterator[tuple[int, int]]:
    """Yield (x, y) of every peak whose area lies completely in the picture: the strongest first, then from the left."""
    first, width, height = HALF + 1, smooth.width - 2 * HALF - 2, smooth.height - 2 * HALF - 2
    lighter, darker = (
        _peak_strengths(difference, (first, first, first + width, first + height))
        for difference in (ImageChops.subtract(smooth, smoother), ImageChops.subtract(smoother, smooth))
    )
    peaks = ImageChops.lighter(lighter, darker)
    strengths, counts = peaks.tobytes(), peaks.histogram()
    for strength in range(255, _MIN - 1, -1):
        if counts[strength]:
            yield from sorted((first + place % width, first + place // width) for place in _find(strength, strengths))


def _find(value: int, values: bytes) -> Iterator[int]:
    place = values.find(value)
    while place >= 0:
        yield place
        place = values.find(value, place + 1)


def _peak_strengths(difference: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """Return the part of a difference in the box, without the pixels that are not the highest of all pixels around."""
    left, top, right, bottom = box
    highest = _dilate(difference.crop((left - 2, top - 2, right + 2, bottom + 2)))
    inside = difference.crop(box)
    under = ImageChops.subtract(highest.crop((2, 2, 2 + inside.width, 2 + inside.height)), inside)
    return ImageChops.darker(under.point(_NOTHING), inside)


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
