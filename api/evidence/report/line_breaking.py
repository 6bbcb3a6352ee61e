"""Break Chinese text into lines.

A line may end after any Chinese character. But no line starts with a closing punctuation mark, and no line ends with an
opening one. A Latin word is broken only if it is longer than a line. The caller passes the function that measures the
width of a text.
"""

import re
from collections.abc import Callable, Iterator

NEVER_FIRST = frozenset("，。、；：？！）》〉」』】〕｝％…—·,.;:?!)]}%”’")
NEVER_LAST = frozenset("（《〈「『【〔｛([{“‘")
_PIECES = re.compile(r"[ \t]+|[!-~\u00a0-\u024f]+|.", re.DOTALL)
"""Matches a run of blanks, or a run of Latin letters, digits and punctuation marks, or any single character."""


def lines_of(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """Break `text` into lines no wider than `width`. Line breaks in `text` are kept."""
    return [line for paragraph in text.splitlines() or [""] for line in _break(paragraph, width, measure)]


def _break(text: str, width: float, measure: Callable[[str], float]) -> Iterator[str]:
    line, used = "", 0.0
    for unit in _units(text):
        unit_width = measure(unit)
        if used + unit_width <= width:
            line, used = line + unit, used + unit_width
        elif unit_width <= width:
            yield line.rstrip()
            line, used = unit.lstrip(), measure(unit.lstrip())
        else:  # longer than a line: a digest, a URL
            for letter in unit:
                if used + measure(letter) > width and line:
                    yield line.rstrip()
                    line, used = "", 0.0
                line, used = line + letter, used + measure(letter)
    yield line.rstrip()


def _units(text: str) -> Iterator[str]:
    """Yield the parts that must not be broken. A punctuation mark is in one part with the character beside it."""
    unit = ""
    pieces = _PIECES.findall(text)
    for number, piece in enumerate(pieces):
        unit += piece
        following = pieces[number + 1][0] if number + 1 < len(pieces) else ""
        if piece[-1] in NEVER_LAST or following in NEVER_FIRST:
            continue
        yield unit
        unit = ""
    if unit:
        yield unit
