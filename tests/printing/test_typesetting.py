"""Test that typesetting gives the same PDF/A each time, that text is never markup, and that no file can be read."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
import typst
from pylopdf_fonts_zh_cn import sans_path

from storage.printing import typesetting
from storage.printing.characters import Printable
from storage.printing.typesetting import TEMPLATES, typeset

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MARKUP = (
    '#set text(fill: red) #read("/etc/passwd") #panic("no") #sys.inputs.data *bold* _slanted_ $x^2$ `raw` <label> @label'
    " \\u{6587} \\ // comment /* comment */ = title - item + item / term: meaning ~ -- --- ... ' \" [ ] #{ } ${HOME}"
)


def report(text: str) -> dict[str, Any]:
    """Return a report that has `text` wherever a template prints text."""
    picture = {"id": text, "caption": [text, text], "placeholder": text, "image": None}
    drawn = {"marks": [], "labels": [{"x": 1.0, "y": 9.0, "text": text}], "beyond": []}
    sketch = {"width": 170.0, "height": 95.0, "bar": 20.0, "scale": text} | drawn
    blocks = [
        ["Heading", {"text": text, "level": 1}],
        ["Heading", {"text": text, "level": 2}],
        *(["Paragraph", {"text": text, "tone": tone}] for tone in ("plain", "small", "warning")),
        ["Facts", {"rows": [[text, text]]}],
        ["TableBlock", {"titles": [text, text], "widths": [0.5, 0.5], "rows": [[text, text]], "code": [1]}],
        ["Pictures", {"pictures": [picture]}],
        ["Sketch", sketch],
    ]
    return {"title": text, "running": text, "blocks": blocks}


def text_of(document: bytes) -> str:
    with pypdfium2.PdfDocument(document) as opened:
        return "".join(page.get_textpage().get_text_range() for page in opened)


def test_the_same_input_gives_the_same_archivable_bytes() -> None:
    document = typeset("pack_report", report("窗口🙂"), NOON)
    assert document == typeset("pack_report", report("窗口🙂"), NOON)
    assert document != typeset("pack_report", report("窗口🙂"), NOON + timedelta(seconds=1))
    assert b"<pdfaid:part>2</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance>" in document
    with pypdfium2.PdfDocument(document) as opened:
        facts = opened.get_metadata_dict()
    assert {name: facts[name] for name in ("Title", "Author", "CreationDate")} == {
        "Title": "窗口〓",
        "Author": "",
        "CreationDate": "D:20261122120000Z",
    }


def test_text_is_never_markup() -> None:
    document = typeset("pack_report", report(MARKUP), NOON)
    told = "".join(text_of(document).split())
    assert told.count("".join(MARKUP.split())) >= 9, "in headings, paragraphs, facts, the table's header and cells"
    with pypdfium2.PdfDocument(document) as opened:
        assert opened.get_metadata_dict()["Title"] == MARKUP


def test_every_character_that_counts_as_known_has_a_glyph() -> None:
    """PDF/A forbids text without a glyph, so the typesetter would refuse it."""
    printable = Printable(sans_path())
    letters = "".join(map(chr, [*range(32, 0xD800, 13), *range(0xE000, 0x32000, 13)]))
    told = {"text": " ".join(set(printable.text(letters))), "tone": "plain"}
    document = typeset("pack_report", {"title": "", "running": "", "blocks": [["Paragraph", told]]}, NOON)
    assert len(printable.missing) > 5000
    assert len(set(text_of(document))) > 2000


def test_the_missing_characters_are_listed_once() -> None:
    assert "所缺的字（U+202E、U+1F642、U+20BB7）" in text_of(typeset("pack_report", report("🙂\u202e𠮷🙂"), NOON))
    many = "".join(map(chr, range(0xE000, 0xE400)))
    assert "、U+E063 等 1024 个）" in "".join(
        text_of(typeset("pack_report", report("甲") | {"title": many}, NOON)).splitlines()
    )


@pytest.mark.parametrize("path", ["/etc/passwd", "../typesetting.py", "/../typesetting.py"])
def test_a_template_reads_nothing_outside_its_folder(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "templates"
    folder.mkdir()
    (tmp_path / "typesetting.py").touch()
    (folder / "curious.typ").write_text(f'#read("{path}")')
    monkeypatch.setattr(typesetting, "TEMPLATES", folder)
    with pytest.raises(typst.TypstError, match=r"file not found|escape the project root"):
        typeset("curious", {}, NOON)


def test_the_folder_of_templates_holds_nothing_else() -> None:
    assert {path.suffix for path in TEMPLATES.iterdir()} == {".typ"}
