"""Copies of a picture as people make them, to measure what is found again: encoded anew, scaled, cut, brightened, framed.

Only benches and tests make copies; how likeness is found is left to `likeness`.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from random import Random

from PIL import Image, ImageEnhance, ImageOps

from storage.formats.content_types import HEAD_BYTES, sniff

_READ = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}


def altered(path: Path, seed: int) -> Iterator[tuple[str, bytes]]:
    """(kind, JPEG) of each copy; the same seed cuts the same. Nothing for a file that is none of the formats above.

    Raises `OSError` for a picture that can't be decoded whole.
    """
    body = path.read_bytes()
    coding = _READ.get(sniff(body[:HEAD_BYTES]) or "")
    if coding is None:
        return
    with Image.open(io.BytesIO(body), formats=(coding,)) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    random = Random(seed)  # noqa: S311  a cut, no secret
    for kind, quality in (("encoded at 60", 60), ("encoded at 40", 40)):
        yield kind, _encoded(picture, quality)
    for percent in (50, 25):
        small = picture.resize((max(picture.width * percent // 100, 1), max(picture.height * percent // 100, 1)))
        yield f"scaled to {percent} %", _encoded(small)
    for percent in (5, 10, 20):
        for place, shares in _ways(random, percent / 100):
            yield f"cut by {percent} % {place}", _encoded(_cut(picture, shares))
    for name, factor in (("brighter by 15 %", 1.15), ("darker by 15 %", 0.85)):
        yield name, _encoded(ImageEnhance.Brightness(picture).enhance(factor))
    for name, colour in (("in a black frame", "black"), ("in a white frame", "white")):
        yield name, _encoded(_framed(picture, colour))


def _ways(random: Random, share: float) -> Iterator[tuple[str, tuple[float, ...]]]:
    """What is taken off at the left, top, right and bottom."""
    along, down, edge = random.random() * share, random.random() * share, random.randrange(4)
    yield "around", (share / 2,) * 4
    yield "to a corner", random.choice(((share, 0, 0, share), (0, share, share, 0)))
    yield "at one edge", tuple(share if place == edge else 0.0 for place in range(4))
    yield "anywhere", (along, down, share - along, share - down)


def _cut(picture: Image.Image, shares: tuple[float, ...]) -> Image.Image:
    left, top, right, bottom = shares
    wide, high = picture.size
    return picture.crop((int(wide * left), int(high * top), int(wide * (1 - right)), int(high * (1 - bottom))))


def _framed(picture: Image.Image, colour: str) -> Image.Image:
    """As on a telephone's screen: bars above and below."""
    screen = Image.new("RGB", (picture.width, picture.height * 3 // 2), colour)
    screen.paste(picture, (0, picture.height // 4))
    return screen


def _encoded(picture: Image.Image, quality: int = 80) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return stream.getvalue()
