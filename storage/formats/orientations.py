"""Convert chains of rotations and mirrorings to one of the eight EXIF orientations."""

Turn = tuple[int, int, int, int]
"""A rotation or mirroring. (a, b, c, d) moves a point x, y to ax + cy, bx + dy.

x points right, and y points down. Each factor is -1, 0 or 1.
"""

UPRIGHT: Turn = (1, 0, 0, 1)
_ORIENTATIONS: dict[Turn, int] = {
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


def quarter_turns(count: int) -> Turn:
    """Return `count` counter-clockwise quarter turns (HEIF's `irot`)."""
    return _QUARTERS[count % 4]


def mirror(axis: int) -> Turn:
    """Return the mirroring of top and bottom (0) or of left and right (1): HEIF's `imir`."""
    return _MIRRORS[axis % 2]


def compose(first: Turn, second: Turn) -> Turn:
    a, b, c, d = first
    e, f, g, h = second
    return (e * a + g * b, f * a + h * b, e * c + g * d, f * c + h * d)


def exif_orientation(turn: Turn) -> int | None:
    """Return the EXIF orientation of a turn, from 1 to 8, or None if it has no EXIF orientation."""
    return _ORIENTATIONS.get(turn)


def swaps_sides(orientation: int | None) -> bool:
    return orientation in {5, 6, 7, 8}


def rotation_of(orientation: int | None) -> int:
    """Return the clockwise rotation in degrees. A mirrored picture is first rotated, then mirrored left to right."""
    return {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}.get(orientation or 1, 0)
