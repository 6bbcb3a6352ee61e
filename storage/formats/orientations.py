"""The eight ways in which a picture may have to be turned: EXIF's figure for a chain of turns and mirrorings.

Turning pixels is left to `pictures`.
"""

Turn = tuple[int, int, int, int]
"""(a, b, c, d): a point x, y goes to ax + cy, bx + dy; x to the right, y downwards, each factor -1, 0 or 1."""

UPRIGHT: Turn = (1, 0, 0, 1)
_FIGURES: dict[Turn, int] = {
    UPRIGHT: 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}
_QUARTERS: tuple[Turn, ...] = (UPRIGHT, (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))
_MIRRORS: tuple[Turn, Turn] = ((1, 0, 0, -1), (-1, 0, 0, 1))


def quarters(count: int) -> Turn:
    """So many quarters against the clock (HEIF's `irot`)."""
    return _QUARTERS[count % 4]


def mirrored(axis: int) -> Turn:
    """Top for bottom (0) or left for right (1): HEIF's `imir`."""
    return _MIRRORS[axis % 2]


def then(first: Turn, second: Turn) -> Turn:
    a, b, c, d = first
    e, f, g, h = second
    return (e * a + g * b, f * a + h * b, e * c + g * d, f * c + h * d)


def figure(turn: Turn) -> int | None:
    """EXIF's figure, 1 to 8; None for a turn that is none of the eight."""
    return _FIGURES.get(turn)


def swaps_sides(orientation: int | None) -> bool:
    return orientation in {5, 6, 7, 8}


def degrees(orientation: int | None) -> int:
    """Clockwise; a mirrored picture is mirrored left for right after it was turned."""
    return {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}.get(orientation or 1, 0)
