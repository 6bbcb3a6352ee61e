"""Line breaks of Chinese text: anywhere between two characters, but no closing mark begins a line and no opening one ends it.

Widths are measured by the function that is given; drawing lines is left to whoever asked for them.
"""

import re
from collections.abc import Callable, Iterator

NEVER_FIRST = frozenset("，。、；：？！）》〉」』】〕｝％…—·,.;:?!)]}%”’")
NEVER_LAST = frozenset("（《〈「『【〔｛([{“‘")
_PIECES = re.compile(r"[ \t]+|[!-~\u00a0-\u024f]+|.", re.DOTALL)
"""Blanks, a run of Latin letters, digits and marks, or one character."""


def lines_of(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """Break `text` into lines no wider than `width`, where its own line breaks are and where they are allowed."""
    return [line for paragraph in text.splitlines() or [""] for line in _broken(paragraph, width, measure)]


def _broken(text: str, width: float, measure: Callable[[str], float]) -> Iterator[str]:
    line, used = "", 0.0
    for unit in _units(text):
        long = measure(unit)
        if used + long <= width:
            line, used = line + unit, used + long
        elif long <= width:
            yield line.rstrip()
            line, used = unit.lstrip(), measure(unit.lstrip())
        else:  # longer than a line by itself: a digest, an address
            for letter in unit:
                if used + measure(letter) > width and line:
                    yield line.rstrip()
                    line, used = "", 0.0
                line, used = line + letter, used + measure(letter)
    yield line.rstrip()


def _units(text: str) -> Iterator[str]:
    """Pieces that stay together: marks with what they belong to."""
    held = ""
    pieces = _PIECES.findall(text)
    for number, piece in enumerate(pieces):
        held += piece
        following = pieces[number + 1][0] if number + 1 < len(pieces) else ""
        if piece[-1] in NEVER_LAST or following in NEVER_FIRST:
            continue
        yield held
        held = ""
    if held:
        yield held
