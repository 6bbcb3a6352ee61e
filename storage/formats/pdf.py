"""Read a PDF with pypdfium2: its number of pages, its damage, and its first page as plain RGB.

A PDF may name a Chinese font without containing it. Then the first page is drawn with the Noto fonts that are installed
with Mingcha, because machines have no Chinese font to count on.
"""

import ctypes
import mmap
import os
import unicodedata
from typing import Any

import pypdfium2
from pylopdf_fonts_zh_cn import sans_path
from pypdfium2 import raw

from storage.formats.media_sources import MediaSource
from storage.formats.results import Damage, Raster, ReadResult

_TAIL_BYTES = 2048
_MAX_CHARACTERS = 5000
"""The number of characters of a page to look at. A page of small print has about so many."""
_SYSTEM_FONTS = ("/usr/share/fonts", "/usr/share/X11/fonts/Type1", "/usr/share/X11/fonts/TTF", "/usr/local/share/fonts")
"""Where pdfium looks for fonts by itself. It forgets these folders if other folders are named."""
_CHINESE, _HAVE_CHINESE_LETTERS = 134, frozenset({128, 136})
"""Windows' number of the character set GB 2312, and the numbers of those that share its letters: Shift JIS and Big5."""


class _Fonts(pypdfium2.PdfSysfontBase):  # type: ignore[misc]  # pypdfium2 has no types
    """Finds the font for text whose font is not in the document."""

    def MapFont(self, _: Any, weight: int, italic: int, charset: int, pitch: int, face: Any, exact: Any) -> Any:  # noqa: N802
        """Return the handle of a font, or None. The name and the arguments are pdfium's."""
        found = self.default.MapFont(self.default, weight, italic, charset, pitch, face, exact)
        if not found and charset in _HAVE_CHINESE_LETTERS:
            found = self.default.MapFont(self.default, weight, italic, _CHINESE, pitch, face, exact)
        return found


def _set_fonts() -> None:
    """Start pdfium again with our folder of fonts, because the folders can be named at its start only."""
    folders = [os.fsencode(folder) for folder in (sans_path().parent, *_SYSTEM_FONTS)]
    text = ctypes.POINTER(ctypes.c_char)
    names = (text * (len(folders) + 1))(*(ctypes.cast(ctypes.c_char_p(folder), text) for folder in folders))
    raw.FPDF_DestroyLibrary()
    raw.FPDF_InitLibraryWithConfig(raw.FPDF_LIBRARY_CONFIG(version=2, m_pUserFontPaths=names))
    _Fonts().setup()


_set_fonts()


def read_pdf(medium: MediaSource, side: int) -> tuple[ReadResult, Raster | None]:
    """Read the facts, and render the first page with a long side of `side` pixels. Never run scripts or forms."""
    is_cut = _is_cut(medium)
    try:
        with pypdfium2.PdfDocument(_map(medium)) as document:
            revision = raw.FPDF_GetSecurityHandlerRevision(document)
            count = len(document)
            picture = ReadResult(
                "application/pdf",
                page_count=count,
                is_encrypted=revision != -1,
                damage=Damage.TRUNCATED if is_cut else None if count else Damage.CORRUPT,
            )
            try:
                if not count:
                    return picture, None
                raster, is_complete = _render(document[0], side)
                return picture if is_complete or picture.damage else _mark_damaged(picture, is_cut=False), raster
            except (pypdfium2.PdfiumError, ValueError, OverflowError, ctypes.ArgumentError):
                return _mark_damaged(picture, is_cut=is_cut), None
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) in {raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY}:
            return ReadResult("application/pdf", is_encrypted=True, damage=Damage.ENCRYPTED), None
        return _mark_damaged(ReadResult("application/pdf"), is_cut=is_cut), None


def _map(medium: MediaSource) -> "ctypes.Array[ctypes.c_char]":
    """Return the file as memory that the kernel fills while it is read. pdfium can't open a file by its descriptor."""
    with medium.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    return (ctypes.c_char * len(data)).from_buffer(data)


def _mark_damaged(picture: ReadResult, *, is_cut: bool) -> ReadResult:
    return ReadResult(
        picture.content_type,
        page_count=picture.page_count,
        is_encrypted=picture.is_encrypted,
        damage=Damage.TRUNCATED if is_cut else Damage.CORRUPT,
    )


def _render(page: pypdfium2.PdfPage, side: int) -> tuple[Raster, bool]:
    """Return the page's pixels, and whether all its letters are drawn."""
    longest = max(*page.get_size(), 1)
    bitmap = page.render(scale=side / longest, rev_byteorder=True, may_draw_forms=False)
    if bitmap.format != raw.FPDFBitmap_BGR:
        raise ValueError(bitmap.format)
    return Raster(bitmap.width, bitmap.height, bitmap.stride, bytes(bitmap.buffer)), not _lacks_letters(page)


def _lacks_letters(page: pypdfium2.PdfPage) -> bool:
    """Return whether the page has visible letters or digits for which no font is here. pdfium leaves them blank."""
    text, seen = page.get_textpage(), set()
    for place in range(min(text.count_chars(), _MAX_CHARACTERS)):
        letter = raw.FPDFText_GetUnicode(text, place)
        written = raw.FPDFText_GetTextObject(text, place)
        if not written or unicodedata.category(chr(min(letter, 0x10FFFF)))[0] not in "LN":
            continue
        font = raw.FPDFTextObj_GetFont(written)
        key = (ctypes.cast(font, ctypes.c_void_p).value, letter)
        # Scanners put invisible text over the picture of a page, so that people can search for it.
        if key in seen or raw.FPDFTextObj_GetTextRenderMode(written) == raw.FPDF_TEXTRENDERMODE_INVISIBLE:
            continue
        seen.add(key)
        if not raw.FPDFFont_GetIsEmbedded(font) and not raw.FPDFFont_GetGlyphPath(font, letter, 10):
            return True
    return False


def _is_cut(medium: MediaSource) -> bool:
    """Return whether the end marker is missing (ISO 32000-1, 7.5.5). pdfium repairs such files without a report."""
    with medium.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - _TAIL_BYTES, 0))
        tail = file.read()
    return b"%%EOF" not in tail or b"startxref" not in tail
