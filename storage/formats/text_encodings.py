"""Decode the text of tags whose encoding no tag states."""

import re

_CHINESE = "\u3000-\u303f\u3400-\u9fff\uff00-\uffef"
_CHINESE_TEXT = re.compile(rf"[\x00-\x7f{_CHINESE}]*")
_WORD_AROUND = re.compile(rf"[A-Za-z][{_CHINESE}]+[a-z]")
"""European letters read as GBK end up inside a word."""
_SURE = re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")
"""A character of GB 2312. The further characters of GBK may end in an ASCII byte, as a European letter and the next
letter do."""


def decode_text(raw: bytes) -> str:
    """Decode UTF-8, else GBK (which Chinese devices write) if that gives Chinese text, else Latin-1."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        pass
    try:
        text = raw.decode("gb18030")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
    is_chinese = _CHINESE_TEXT.fullmatch(text) and _SURE.search(raw) and not _WORD_AROUND.search(text)
    return text if is_chinese else raw.decode("latin-1")
