"""Find the characters for which a font has a glyph, and replace the others, because no text may have gaps."""

import functools
import struct
from pathlib import Path

UNKNOWN = "〓"
"""Replaces a character that the font lacks. Chinese printers have used it so since the time of lead type."""
_FULL_UNICODE, _SEGMENTED_COVERAGE = (3, 10), 12
"""The platform and encoding of a font's table for all of Unicode, and the format of that table."""
_VARIATION_SELECTORS = dict.fromkeys([*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)])
"""They choose between forms of the character before them, and have no glyph of their own (Unicode 23.4)."""


class Printable:
    """Makes texts printable in one font. `missing` are the characters that it has replaced so far."""

    def __init__(self, font: Path) -> None:
        self._known = _characters_of(font)
        self.missing = set[str]()

    def text(self, text: str) -> str:
        """Return `text` with line feeds between its lines, and with `UNKNOWN` for characters that the font lacks."""
        lines = "\n".join(text.splitlines()).replace("\t", " ")
        if set(lines) <= self._known:
            return lines
        lines = lines.translate(_VARIATION_SELECTORS)
        missing = set(lines) - self._known
        self.missing |= missing
        return lines.translate(dict.fromkeys(map(ord, missing), UNKNOWN))


@functools.cache
def _characters_of(font: Path) -> frozenset[str]:
    """Return the line feed and the characters that have a glyph (OpenType 1.9, `cmap`, format 12).

    Raise `ValueError` if the font has no such table.
    """
    with font.open("rb") as file:
        head = file.read(12)
        tables = file.read(16 * int.from_bytes(head[4:6]))
        offset, length = next(
            (offset, length) for tag, _, offset, length in struct.iter_unpack(">4sIII", tables) if tag == b"cmap"
        )
        file.seek(offset)
        cmap = file.read(length)
    for *kind, at in struct.iter_unpack(">HHI", cmap[4 : 4 + 8 * int.from_bytes(cmap[2:4])]):
        if tuple(kind) == _FULL_UNICODE and int.from_bytes(cmap[at : at + 2]) == _SEGMENTED_COVERAGE:
            count = int.from_bytes(cmap[at + 12 : at + 16])
            groups = struct.iter_unpack(">III", cmap[at + 16 : at + 16 + 12 * count])
            return frozenset(chr(code) for first, last, _ in groups for code in range(first, last + 1)) | {"\n"}
    raise ValueError(f"{font.name} has no table for all of Unicode.")
