"""Define the shapes of a drawing, in a frame 1000 units high."""

import enum
from dataclasses import dataclass


class ShapeKind(enum.Enum):
    BOX = "box"
    OVAL = "oval"
    POLYGON = "polygon"
    LINE = "line"
    TEXT = "text"


@dataclass(frozen=True)
class Shape:
    """One shape of a drawing.

    `points` are (x, y) in units. `size` is the corner radius of a box, the width of a line, or the height of a text.
    """

    kind: ShapeKind
    points: tuple[tuple[float, float], ...]
    colour: str
    size: float = 0
    text: str = ""
    anchor: str = "lt"
    """Which position of a text lies on its point: `lt` is top left, `rb` is bottom right, and `mm` is the middle."""


def box(left: float, top: float, right: float, bottom: float, colour: str, radius: float = 0) -> Shape:
    return Shape(ShapeKind.BOX, ((left, top), (right, bottom)), colour, radius)


def oval(x: float, y: float, across: float, down: float, colour: str) -> Shape:
    """Make an oval from its middle and its two radii."""
    return Shape(ShapeKind.OVAL, ((x - across, y - down), (x + across, y + down)), colour)


def polygon(colour: str, *points: tuple[float, float]) -> Shape:
    return Shape(ShapeKind.POLYGON, points, colour)


def line(colour: str, width: float, *points: tuple[float, float]) -> Shape:
    return Shape(ShapeKind.LINE, points, colour, width)


def text(words: str, x: float, y: float, height: float, colour: str, anchor: str = "mm") -> Shape:
    return Shape(ShapeKind.TEXT, ((x, y),), colour, height, words, anchor)
