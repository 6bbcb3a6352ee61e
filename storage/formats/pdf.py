"""Read a PDF with pypdfium2: its number of pages, its damage, and its first page as plain RGB."""

import ctypes
import os
from pathlib import Path

import pypdfium2
from pypdfium2 import raw

from storage.formats.results import Damage, Raster, ReadResult

_TAIL_BYTES = 2048


def read_pdf(path: Path, side: int) -> tuple[ReadResult, Raster | None]:
    """Read the facts, and render the first page with a long side of `side` pixels. Never run scripts or forms."""
    is_cut = _is_cut(path)
    try:
        with pypdfium2.PdfDocument(path) as document:
            revision = raw.FPDF_GetSecurityHandlerRevision(document)
            count = len(document)
            picture = ReadResult(
                "application/pdf",
                page_count=count,
                is_encrypted=revision != -1,
                damage=Damage.TRUNCATED if is_cut else None if count else Damage.CORRUPT,
            )
            try:
                return picture, _render_first_page(document, side) if count else None
            except (pypdfium2.PdfiumError, ValueError, OverflowError, ctypes.ArgumentError):
                return _mark_damaged(picture, is_cut=is_cut), None
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) in {raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY}:
            return ReadResult("application/pdf", is_encrypted=True, damage=Damage.ENCRYPTED), None
        return _mark_damaged(ReadResult("application/pdf"), is_cut=is_cut), None


def _mark_damaged(picture: ReadResult, *, is_cut: bool) -> ReadResult:
    return ReadResult(
        picture.content_type,
        page_count=picture.page_count,
        is_encrypted=picture.is_encrypted,
        damage=Damage.TRUNCATED if is_cut else Damage.CORRUPT,
    )


def _render_first_page(document: pypdfium2.PdfDocument, side: int) -> Raster:
    page = document[0]
    longest = max(*page.get_size(), 1)
    bitmap = page.render(scale=side / longest, rev_byteorder=True, may_draw_forms=False)
    if bitmap.format != raw.FPDFBitmap_BGR:
        raise ValueError(bitmap.format)
    return Raster(bitmap.width, bitmap.height, bitmap.stride, bytes(bitmap.buffer))


def _is_cut(path: Path) -> bool:
    """Return whether the end marker is missing (ISO 32000-1, 7.5.5). pdfium repairs such files without a report."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - _TAIL_BYTES, 0))
        tail = file.read()
    return b"%%EOF" not in tail or b"startxref" not in tail
