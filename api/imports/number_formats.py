"""Show numbers and texts as a spreadsheet program shows them (ECMA-376 part 1, 18.8.31).

Formats that are rare in tables (fractions, powers of ten, Chinese numerals, conditions) are not shown but refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

GENERAL = "General"
_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|_(?P<blank>.)|\*(?P<fill>.)|\[(?P<bracket>[^\]]*)\]'
    r"|(?P<general>General)|(?P<mark>[0#?.,%@;])|(?P<plain>[-+():!^&'~{}<>=$ ]|[^\x00-\x7f])|(?P<other>.)",
    re.DOTALL | re.IGNORECASE,
)
_COLOUR = re.compile(r"Black|Blue|Cyan|Green|Magenta|Red|White|Yellow|Color ?\d{1,2}", re.IGNORECASE)
_CURRENCY = re.compile(r"\$([^-]*)(?:-[0-9A-Fa-f]{1,4})?")
"""A currency sign with the language it belongs to. More digits would ask for numerals of another script."""
_LITERAL, _GENERAL, _UNKNOWN = "literal", "general", "unknown"
_DIGITS = frozenset("0#?")
_GENERAL_LENGTH = 11
"""Most characters of a number that the format General shows."""


@dataclass(frozen=True)
class Token:
    """A part of a format. `kind` is a mark (`0`, `#`, `?`, `.`, `,`, `%`, `@`), a literal, General or unknown."""

    kind: str
    text: str = ""


Section = Sequence[Token]


def show_number(value: float, number_format: str) -> str | None:
    """Return a number as people see it. Return None if the format hides it or a part of it, or is not known here."""
    number, (section, is_signed) = _decimal(value), _section_of(value, number_format)
    kinds = [token.kind for token in section]
    if _UNKNOWN in kinds or "@" in kinds:
        return _show_general(number) if number_format == "@" else None
    sign = "-" if number < 0 and is_signed else ""
    number = abs(number)
    if _GENERAL in kinds:
        general = _show_general(number)
        if general is None or not _DIGITS.isdisjoint(kinds):
            return None
        return sign + "".join(general if token.kind == _GENERAL else token.text for token in section)
    if _DIGITS.isdisjoint(kinds) or _has_scaling_comma(kinds):
        return None
    shown = _fill(section, number.scaleb(2 * kinds.count("%")))
    return shown if shown is None else sign + shown


def shows_value(value: float, number_format: str) -> bool:
    """Return whether people see about this number, perhaps rounded, and not a percentage, a text or nothing."""
    section, is_signed = _section_of(value, number_format)
    kinds = [token.kind for token in section]
    if value < 0 and not is_signed and not any("-" in token.text or "(" in token.text for token in section):
        return False
    is_number = not _DIGITS.isdisjoint(kinds) or _GENERAL in kinds or "@" in kinds
    return is_number and "%" not in kinds and not _has_scaling_comma(kinds)


def show_text(text: str, number_format: str) -> str | None:
    """Return a text as people see it. Return None if the format hides it."""
    sections = _sections(number_format)
    last = sections[-1]
    if not (len(sections) > 3 or any(token.kind == "@" for token in last)):
        return text
    if any(token.kind == _UNKNOWN for token in last):
        return None
    shown = "".join(text if token.kind in {"@", _GENERAL} else token.text for token in last)
    return shown if any(token.kind in {"@", _GENERAL} for token in last) else None


def _sections(number_format: str) -> list[list[Token]]:
    sections: list[list[Token]] = [[]]
    for match in _TOKEN.finditer(number_format):
        kind, text = str(match.lastgroup), str(match[str(match.lastgroup)])
        if kind == "mark" and text == ";":
            sections.append([])
        else:
            sections[-1].append(_token(kind, text))
    return sections


def _token(kind: str, text: str) -> Token:
    if kind == "mark":
        return Token(text, "%" if text == "%" else "")
    if kind == "bracket":
        if _COLOUR.fullmatch(text):
            return Token(_LITERAL)
        currency = _CURRENCY.fullmatch(text)
        return Token(_LITERAL, currency[1]) if currency else Token(_UNKNOWN)
    if kind == "general":
        return Token(_GENERAL)
    if kind in {"blank", "fill"}:
        return Token(_LITERAL, " ")
    return Token(_UNKNOWN) if kind == "other" else Token(_LITERAL, text)


def _section_of(value: float, number_format: str) -> tuple[Section, bool]:
    """Return the section of the format that shows a number, and whether a minus sign is put before it."""
    sections = _sections(number_format)
    if len(sections) > 1 and (len(sections) > 3 or any(token.kind == "@" for token in sections[-1])):
        sections.pop()  # the section of texts
    if value < 0 and len(sections) > 1:
        return sections[1], False
    return (sections[2], False) if value == 0 and len(sections) > 2 else (sections[0], True)


def _has_scaling_comma(kinds: Sequence[str]) -> bool:
    """Return whether a comma behind the last digit of the whole part divides the number by a thousand."""
    whole = kinds[: kinds.index(".")] if "." in kinds else kinds
    placed = [kind for kind in whole if kind in _DIGITS or kind == ","]
    return bool(placed) and placed[-1] == ","


def _decimal(value: float) -> Decimal:
    """Return the number with the 15 digits that spreadsheet programs keep."""
    return Decimal(format(value, ".15g"))


def _show_general(number: Decimal) -> str | None:
    """Return whole numbers with all their digits. Return None for a fraction too long to be shown."""
    text = format(number.normalize(), "f")
    return text if number == number.to_integral_value() or len(text) <= _GENERAL_LENGTH else None


def _fill(section: Section, number: Decimal) -> str | None:
    """Put the digits of a number that is not negative into their places."""
    kinds = [token.kind for token in section]
    point = kinds.index(".") if "." in kinds else len(kinds)
    whole, _, fraction = format(number.normalize(), "f").partition(".")
    if len(fraction) > sum(kind in _DIGITS for kind in kinds[point:]):
        return None
    head = _fill_whole(section[:point], whole.lstrip("0"))
    tail = _fill_fraction(section[point + 1 :], fraction)
    return head + ("." if "." in kinds else "") + tail


def _fill_whole(tokens: Section, digits: str) -> str:
    """Put digits into their places from the right. The first place takes all digits that are left."""
    places = [index for index, token in enumerate(tokens) if token.kind in _DIGITS]
    is_grouped, written, parts = any(token.kind == "," for token in tokens), 0, list[str]()
    for index in reversed(range(len(tokens))):
        token = tokens[index]
        if token.kind not in _DIGITS:
            parts.append(token.text)
            continue
        count = max(len(digits), 1) if index == places[0] else 1
        for digit in reversed(digits[-count:] or {"0": "0", "?": " "}.get(token.kind, "")):
            parts += [","] if is_grouped and written and written % 3 == 0 and digit != " " else []
            parts.append(digit)
            written += 1
        digits = digits[:-count]
    return "".join(reversed(parts))


def _fill_fraction(tokens: Section, digits: str) -> str:
    parts = []
    for token in tokens:
        if token.kind in _DIGITS:
            parts.append(digits[:1] or {"0": "0", "?": " "}.get(token.kind, ""))
            digits = digits[1:]
        else:
            parts.append(token.text)
    return "".join(parts)
