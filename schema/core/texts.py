"""Check texts that people write."""

from schema.core.refusals import Refusal, RefusalCode

MAX_NOTE = 2_000
"""Characters of a note, a reason or a result: a page, which an officer still reads."""


def check_text(text: str, most: int, field: str) -> str:
    """Return the text without blanks around it; raise `Refusal(BAD_INPUT)` unless it has 1 to `most` characters."""
    stripped = text.strip()
    if not 1 <= len(stripped) <= most:
        raise Refusal(RefusalCode.BAD_INPUT, f"Write 1 to {most} characters.", field=field)
    return stripped


def check_length(text: str | None, most: int, field: str) -> None:
    """Raise `Refusal(BAD_INPUT)` for a text of more than `most` characters; None is no text."""
    if text is not None and len(text) > most:
        raise Refusal(RefusalCode.BAD_INPUT, f"Write at most {most} characters.", field=field)
