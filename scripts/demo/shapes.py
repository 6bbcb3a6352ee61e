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
    """`points` are (x, y) in units; `size` is a box's corner radius, a line's width or a text's height."""

    kind: ShapeKind
    points: tuple[tuple[float, float], ...]
    colour: str
    size: float = 0
    text: str = ""
    anchor: str = "lt"
    """Position of the point in a text: `lt` top left, `rb` bottom right, `mm` middle."""


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
