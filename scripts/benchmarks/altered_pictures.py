"""Make altered copies of a picture, to measure how many of them the search finds.

The copies are re-encoded, scaled, cropped, brightened, darkened or framed, as people do to pictures.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from random import Random

from PIL import Image, ImageEnhance, ImageOps

from storage.formats.content_types import HEAD_BYTES, sniff

_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}


def altered_copies(path: Path, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield each altered copy as (kind, JPEG). The same seed gives the same cuts.

    Yield nothing if the file is no JPEG, PNG or WebP. Raise `OSError` if the picture can't be decoded completely.
    """
    body = path.read_bytes()
    format = _FORMATS.get(sniff(body[:HEAD_BYTES]) or "")
    if format is None:
        return
    with Image.open(io.BytesIO(body), formats=(format,)) as image:
        picture = ImageOps.exif_transpose(image).convert("RGB")
    random = Random(seed)  # noqa: S311  no secret
    for kind, quality in (("encoded at 60", 60), ("encoded at 40", 40)):
        yield kind, _encode(picture, quality)
    for percent in (50, 25):
        small = picture.resize((max(picture.width * percent // 100, 1), max(picture.height * percent // 100, 1)))
        yield f"scaled to {percent} %", _encode(small)
    for percent in (5, 10, 20):
        for place, shares in _cuts(random, percent / 100):
            yield f"cut by {percent} % {place}", _encode(_cut(picture, shares))
    for name, factor in (("brighter by 15 %", 1.15), ("darker by 15 %", 0.85)):
        yield name, _encode(ImageEnhance.Brightness(picture).enhance(factor))
    for name, colour in (("in a black frame", "black"), ("in a white frame", "white")):
        yield name, _encode(_add_bars(picture, colour))


def _cuts(random: Random, share: float) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Yield several ways to cut off `share` of a picture.

    Each is a name, and the shares to cut off at the left, top, right and bottom.
    """
    along, down, edge = random.random() * share, random.random() * share, random.randrange(4)
    yield "around", (share / 2,) * 4
    yield "to a corner", random.choice(((share, 0, 0, share), (0, share, share, 0)))
    yield "at one edge", tuple(share if place == edge else 0.0 for place in range(4))
    yield "anywhere", (along, down, share - along, share - down)


def _cut(picture: Image.Image, shares: tuple[float, ...]) -> Image.Image:
    left, top, right, bottom = shares
    wide, high = picture.size
    return picture.crop((int(wide * left), int(high * top), int(wide * (1 - right)), int(high * (1 - bottom))))


def _add_bars(picture: Image.Image, colour: str) -> Image.Image:
    """Add bars above and below the picture, like those of a screenshot on a phone."""
    screen = Image.new("RGB", (picture.width, picture.height * 3 // 2), colour)
    screen.paste(picture, (0, picture.height // 4))
    return screen


def _encode(picture: Image.Image, quality: int = 80) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return stream.getvalue()
