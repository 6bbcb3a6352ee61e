"""Check texts that people write."""

from schema.core.refusals import Refusal, RefusalCode

MAX_NOTE = 2_000
"""Maximum characters of a note, a reason or a result. This is about a page, because officers do not read more."""


def check_text(text: str, most: int, field: str) -> str:
    """Return the text without white space at its ends.

    Raise `Refusal(BAD_INPUT)` if the result has no characters, or more than `most`.
    """
    stripped = text.strip()
    if not 1 <= len(stripped) <= most:
        raise Refusal(RefusalCode.BAD_INPUT, f"Write 1 to {most} characters.", field=field)
    return stripped


def check_length(text: str | None, most: int, field: str) -> None:
    """Raise `Refusal(BAD_INPUT)` if the text has more than `most` characters. None passes."""
    if text is not None and len(text) > most:
        raise Refusal(RefusalCode.BAD_INPUT, f"Write at most {most} characters.", field=field)
