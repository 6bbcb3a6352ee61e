"""Test PDF documents that name fonts without containing them: the text is drawn, or the lack of it is told."""

from pathlib import Path

import pytest
from pypdfium2 import PDFIUM_INFO

from storage.formats.pdf import read_pdf
from storage.formats.results import Damage
from tests.support.pdf_files import raw_pdf

CASE = Path(__file__).parents[3] / "shared/data/cases/simsun_notembedded.pdf"
DRAWN, BLANK = True, False


def unembedded(font: str, encoding: str, ordering: str, text: bytes, *, mode: int = 0) -> bytes:
    """Return a PDF of one line in a font that is not in the document. `mode` 3 is invisible text."""
    content = f"BT {mode} Tr /F1 24 Tf 10 40 Td <{text.hex()}> Tj ET"
    system = f"<< /Registry (Adobe) /Ordering ({ordering}) /Supplement 0 >>"
    shape = "/Flags 4 /FontBBox [0 -200 1000 900] /ItalicAngle 0 /Ascent 900 /Descent -200 /CapHeight 700 /StemV 80"
    return raw_pdf(
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 100] /Resources << /Font << /F1 4 0 R >> >> /Contents 5 0 R >>",
        f"<< /Type /Font /Subtype /Type0 /BaseFont /{font} /Encoding /{encoding} /DescendantFonts [6 0 R] >>",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        f"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /{font} /CIDSystemInfo {system} /FontDescriptor 7 0 R /DW 1000 >>",
        f"<< /Type /FontDescriptor /FontName /{font} {shape} >>",
    )


@pytest.mark.parametrize(
    ("body", "is_drawn", "damage"),
    [
        (unembedded("SimSun", "GBK-EUC-H", "GB1", "整改督办".encode("gbk")), DRAWN, None),
        (unembedded("STSong-Light", "UniGB-UTF16-H", "GB1", "整改督办".encode("utf-16-be")), DRAWN, None),
        (unembedded("FangSong_GB2312", "GBK-EUC-V", "GB1", "整改督办".encode("gbk")), DRAWN, None),
        (unembedded("MingLiU", "ETen-B5-H", "CNS1", "整改督辦".encode("big5")), DRAWN, None),
        (unembedded("Batang", "KSCms-UHC-H", "Korea1", "감독합니다".encode("cp949")), BLANK, Damage.CORRUPT),
        (unembedded("SimSun", "Identity-H", "Identity", b"\1\2\3\4"), BLANK, Damage.CORRUPT),
        (unembedded("Batang", "KSCms-UHC-H", "Korea1", "감독".encode("cp949"), mode=3), BLANK, None),
    ],
    ids=["SimSun", "STSong", "vertical", "traditional", "Korean", "no letters known", "invisible"],
)
def test_text_in_a_font_that_is_not_in_the_document(
    body: bytes, is_drawn: bool, damage: Damage | None, tmp_path: Path
) -> None:
    path = tmp_path / "document"
    path.write_bytes(body)
    document, page = read_pdf(path, 600)
    assert page
    assert (min(page.data) < 64, document.damage, document.page_count) == (is_drawn, damage, 1)


@pytest.mark.skipif(not CASE.exists(), reason="needs ../shared/data")
def test_a_notice_in_simsun_is_drawn() -> None:
    document, page = read_pdf(CASE, 1280)
    assert page
    assert (min(page.data) < 64, document.damage) == (DRAWN, None)


def test_the_reader_of_documents_has_no_engine_for_scripts() -> None:
    assert not {"V8", "XFA"} & set(PDFIUM_INFO.flags)
