"""Draw scenes for the demo from a seed. A scene is a service counter as a phone might see it, with that phone's EXIF.

The same arguments give the same picture.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from random import Random
from typing import Any

from scripts.demo.drawing import draw
from scripts.demo.shapes import Shape, box, line, oval, polygon, text

_WALLS = (("#e9e4d8", "#d8d0bd"), ("#dfe7ea", "#c6d4d9"), ("#ece3e0", "#dccbc5"), ("#e4e9de", "#cdd6c2"))
_COUNTERS = (
    ("#8a5a3c", "#a9744f", "#6d452c"),
    ("#5d6b78", "#7b8a97", "#47535e"),
    ("#7a4b3a", "#96614d", "#5e382a"),
    ("#4f6358", "#6c8276", "#3b4c43"),
)
_SIGNS = ("#1f4e8c", "#a3262a", "#1f6b4f", "#5a3d7a")
_SKINS = ("#f0c9a4", "#e8b98f", "#d9a579")
_HAIRS = ("#241c18", "#3a2d26", "#55504c")
_COATS = ("#2f4d73", "#3b3f48", "#56707f", "#7a4a4a", "#4c6a52", "#8a7a5c", "#6a587c")


@dataclass(frozen=True)
class SceneExif:
    """What the phone writes into the EXIF.

    The position is in WGS-84 degrees and metres. The time is the phone's own clock (naive) and its offset from UTC.
    """

    latitude: float
    longitude: float
    taken_at: datetime
    offset_minutes: int = 480
    altitude_metres: float | None = None
    accuracy_metres: float | None = None
    make: str = "Mingcha"
    model: str = "Demo"


def draw_scene(seed: int, width: int, height: int, caption_lines: list[str], exif: SceneExif | None = None) -> bytes:
    """Return a JPEG of a counter, varied by `seed`. The ASCII part of each caption line is drawn at the bottom."""
    random = Random(seed)  # noqa: S311  a drawing, no secret
    wide = 1000 * width / height
    shapes = [*_room(random, wide, exif.taken_at if exif else None), *_places(random, wide)]
    shapes += [*_counter(random, wide), *_waiting(random, wide), *_stamp(wide, caption_lines)]
    return draw(width, height, shapes, *(_tags(exif) if exif else ({}, {}, {})))


def _room(random: Random, wide: float, at: datetime | None) -> Iterator[Shape]:
    wall, dado = random.choice(_WALLS)
    yield box(0, 0, wide, 1000, wall)
    yield box(0, 0, wide, 60, "#f7f6f2")
    for x in range(0, int(wide) + 300, 300):  # ceiling lights
        yield polygon("#ffffff", (x + 40, 12), (x + 200, 12), (x + 185, 40), (x + 55, 40))
    yield box(0, 430, wide, 1000, dado)
    hour, minute = (at.hour, at.minute) if at else (random.randrange(8, 18), 20)
    yield from _clock(wide * random.uniform(0.46, 0.54), 150, hour, minute)
    side = random.choice((0.04, 0.7))
    yield from _window(random, wide * side, wide * side + wide * 0.24)
    board = wide * (0.72 if side < 0.5 else 0.06)
    yield from _board(random, board, board + wide * 0.22)


def _clock(x: float, y: float, hour: int, minute: int) -> Iterator[Shape]:
    yield oval(x, y, 58, 58, "#4a4a4a")
    yield oval(x, y, 51, 51, "#fbfbf8")
    for mark in range(12):
        turn = math.tau * mark / 12
        yield oval(x + 42 * math.sin(turn), y - 42 * math.cos(turn), 3, 3, "#4a4a4a")
    for turn, length, weight in ((hour / 12 + minute / 720, 26, 7), (minute / 60, 38, 5)):
        end = (x + length * math.sin(math.tau * turn), y - length * math.cos(math.tau * turn))
        yield line("#222222", weight, (x, y), end)
    yield oval(x, y, 5, 5, "#a3262a")


def _window(random: Random, left: float, right: float) -> Iterator[Shape]:
    top, bottom, middle = 90, 360, (left + right) / 2
    sky = random.choice(("#a9cfe8", "#c4d6df", "#f0c79a"))
    yield box(left - 10, top - 10, right + 10, bottom + 10, "#f4f2ec")
    yield box(left, top, right, bottom, sky)
    x = left
    while x < right:  # houses of the town
        across, roof = random.uniform(30, 70), random.uniform(220, 310)
        yield box(x, roof, min(x + across, right), bottom, random.choice(("#8fa3ad", "#a8b4b8", "#7f9099")))
        x += across + random.uniform(0, 14)
    yield box(middle - 5, top, middle + 5, bottom, "#f4f2ec")
    for slat in range(random.randrange(3, 12)):  # the blind, drawn up more or less
        yield box(left, top + slat * 13, right, top + slat * 13 + 9, "#ece9df")


def _board(random: Random, left: float, right: float) -> Iterator[Shape]:
    """Draw a notice board. Its sheets show lines instead of words."""
    yield box(left - 8, 102, right + 8, 358, "#7d5a3c", 4)
    yield box(left, 110, right, 350, "#e8dcc0")
    across = (right - left - 40) / 3
    for column in range(3):
        for row in range(2):
            if random.random() < 0.15:
                continue
            x, y = left + 10 + column * (across + 10), 122 + row * 112
            yield box(x, y, x + across, y + 102, "#ffffff")
            yield box(x, y, x + across, y + 14, random.choice(_SIGNS))
            for height in range(26, 96, 14):
                yield box(x + 8, y + height, x + across * random.uniform(0.55, 0.92), y + height + 5, "#b9b9b9")


def _places(random: Random, wide: float) -> Iterator[Shape]:
    """Draw two or three counter places.

    Each has a number, a glass pane, and a clerk who works, looks at a phone, or is away.
    """
    count = 3 if wide > 1200 else 2
    colour, first = random.choice(_SIGNS), random.randrange(1, 18)
    for place in range(count):
        middle = wide * (place + 0.5) / count
        half = wide / count / 2 - 24
        yield box(middle - half, 380, middle + half, 436, colour, 6)
        yield text(f"{first + place:02d}", middle - half + 44, 408, 46, "#ffffff")
        yield box(middle - half + 96, 388, middle + half - 10, 428, "#14110f", 4)
        called = f"A{random.randrange(1, 400):03d}" if random.random() < 0.8 else "- - -"
        yield text(called, middle + 44, 408, 34, "#ff5a3c")
        yield box(middle - half, 436, middle + half, 706, "#cfdbde")
        yield from random.choice((_clerk, _clerk, _clerk, _empty_chair))(random, middle)
        side = random.choice((-1, 1))
        yield box(middle + side * 118 - 66, 584, middle + side * 118 + 66, 682, "#2a2d31", 6)
        yield box(middle + side * 118 - 12, 682, middle + side * 118 + 12, 706, "#2a2d31")
        for edge in (-1, 1):  # posts of the glass
            yield box(middle + edge * half - 5, 436, middle + edge * half + 5, 706, "#9fb0b6")
        gleam = middle - half
        yield polygon("#dce6e9", (gleam + 22, 436), (gleam + 44, 436), (gleam + 14, 520), (gleam + 5, 520))


def _clerk(random: Random, x: float) -> Iterator[Shape]:
    coat, skin, hair = random.choice(("#2d3f5e", "#31343c", "#3f5468")), random.choice(_SKINS), random.choice(_HAIRS)
    x += random.uniform(-14, 14)
    if random.random() < 0.45:  # long hair lies behind the neck
        yield box(x - 45, 505, x + 45, 612, hair, 26)
    yield box(x - 78, 606, x + 78, 760, coat, 40)
    yield polygon("#f4f4f0", (x - 24, 606), (x + 24, 606), (x, 664))
    yield polygon("#a3262a", (x - 7, 618), (x + 7, 618), (x + 9, 664), (x, 676), (x - 9, 664))
    yield box(x - 17, 570, x + 17, 618, skin, 10)
    for ear in (-39, 39):
        yield oval(x + ear, 548, 6, 10, skin)
    yield oval(x, 544, 39, 48, skin)
    yield oval(x, 510, 42, 26, hair)
    for eye in (-14, 14):
        yield oval(x + eye, 544, 4, 5, "#2b2320")
        yield line(hair, 3, (x + eye - 8, 533), (x + eye + 8, 533))
    yield line("#a9645a", 3, (x - 10, 571), (x, 573 + random.uniform(-2, 4)), (x + 10, 571))
    if random.random() < 0.35:  # busy with a phone
        yield line(coat, 30, (x + 74, 700), (x + 52, 668))
        yield line(skin, 22, (x + 54, 670), (x + 34, 640))
        yield box(x + 12, 592, x + 42, 650, "#15171a", 6)
        yield box(x + 15, 598, x + 39, 644, "#6fc3e8", 2)


def _empty_chair(random: Random, x: float) -> Iterator[Shape]:
    colour = random.choice(("#3c4148", "#5a4336", "#47566b"))
    yield box(x - 62, 548, x + 62, 700, colour, 26)
    yield box(x - 48, 562, x + 48, 686, "#2c3036", 18)


def _counter(random: Random, wide: float) -> Iterator[Shape]:
    front, top, shade = random.choice(_COUNTERS)
    yield box(0, 700, wide, 1000, front)
    for x in range(0, int(wide), 210):
        yield line(top, 3, (x + 105, 748), (x + 105, 1000))
    yield box(0, 700, wide, 744, top)
    yield box(0, 744, wide, 752, shade)
    yield from _desk_things(random, wide)


def _desk_things(random: Random, wide: float) -> Iterator[Shape]:
    for _ in range(random.randrange(2, 5)):
        x = random.uniform(40, wide - 140)
        yield polygon("#fafaf6", (x, 712), (x + 86, 708), (x + 98, 732), (x + 8, 736))
        yield line("#c4c4c0", 2, (x + 18, 718), (x + 76, 715))
        yield line("#c4c4c0", 2, (x + 20, 726), (x + 70, 724))
    if random.random() < 0.7:
        x = random.choice((60, wide - 60))
        for turn in (-0.9, -0.5, -0.15, 0.2, 0.55, 0.95):
            tip = (x + 88 * math.sin(turn), 650 - 88 * math.cos(turn))
            yield polygon("#3f7a4a", (x - 8, 656), tip, (x + 8, 656))
        yield polygon("#b5653f", (x - 34, 650), (x + 34, 650), (x + 26, 716), (x - 26, 716))


def _waiting(random: Random, wide: float) -> Iterator[Shape]:
    """Draw waiting people, seen from behind."""
    places = random.sample([wide * share for share in (0.14, 0.38, 0.62, 0.86)], 4)
    for top in sorted(random.uniform(660, 780) for _ in range(random.randrange(4))):  # the nearest last
        x = places.pop() + random.uniform(-20, 20)
        coat, hair, skin = random.choice(_COATS), random.choice(_HAIRS), random.choice(_SKINS)
        yield box(x - 128, top + 150, x + 128, 1100, coat, 74)
        yield box(x - 26, top + 104, x + 26, top + 176, skin, 16)
        for ear in (-60, 60):
            yield oval(x + ear, top + 74, 10, 18, skin)
        yield oval(x, top + 66, 60, 76, hair)


def _stamp(wide: float, caption_lines: list[str]) -> Iterator[Shape]:
    shown = ["".join(character for character in words if " " <= character <= "~").strip() for words in caption_lines]
    for place, words in enumerate(reversed([words for words in shown if words])):
        y = 972 - place * 42
        yield text(words, wide - 26, y + 2, 34, "#3a2a10", "rb")
        yield text(words, wide - 28, y, 34, "#ffb347", "rb")


def _tags(exif: SceneExif) -> tuple[dict[int, Any], dict[int, Any], dict[int, Any]]:
    """Return the directories IFD0, Exif and GPS as a phone writes them (CIPA DC-008)."""
    clock = exif.taken_at.strftime("%Y:%m:%d %H:%M:%S")
    hours, minutes = divmod(abs(exif.offset_minutes), 60)
    offset = f"{'-' if exif.offset_minutes < 0 else '+'}{hours:02d}:{minutes:02d}"
    utc = exif.taken_at - timedelta(minutes=exif.offset_minutes)
    gps: dict[int, Any] = {
        0: b"\2\3\0\0",
        1: "N" if exif.latitude >= 0 else "S",
        2: _sexagesimal(exif.latitude),
        3: "E" if exif.longitude >= 0 else "W",
        4: _sexagesimal(exif.longitude),
        7: (float(utc.hour), float(utc.minute), float(utc.second)),
        18: "WGS-84",
        29: utc.strftime("%Y:%m:%d"),
    }
    if exif.altitude_metres is not None:
        gps |= {5: b"\1" if exif.altitude_metres < 0 else b"\0", 6: round(abs(exif.altitude_metres), 2)}
    if exif.accuracy_metres is not None:
        gps[31] = round(exif.accuracy_metres, 2)
    ifd0 = {0x010F: exif.make, 0x0110: exif.model, 0x0112: 1, 0x0131: "Mingcha demo drawing", 0x0132: clock}
    taken = {0x9003: clock, 0x9004: clock, 0x9010: offset, 0x9011: offset}
    return ifd0, taken | {0x9291: f"{exif.taken_at.microsecond // 1000:03d}"}, gps


def _sexagesimal(degrees: float) -> tuple[float, float, Fraction]:
    """Return an angle as degrees, minutes and seconds, to a ten-thousandth of a second (3 mm on the ground)."""
    minutes, rest = divmod(round(abs(degrees) * 3600 * 10_000), 60 * 10_000)
    return float(minutes // 60), float(minutes % 60), Fraction(rest, 10_000)
