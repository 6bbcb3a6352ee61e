"""Test the pages of a pack: Chinese line breaking, a sketch to scale, and a PDF with all that the page says."""

import asyncio
import math
import os
import sys
from pathlib import Path

import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.evidence.report.blocks import (
    Block,
    Facts,
    Heading,
    PackReport,
    Paragraph,
    PictureBlock,
    Pictures,
    TableBlock,
    from_json,
    to_json,
)
from api.evidence.report.html import render_page
from api.evidence.report.line_breaking import NEVER_FIRST, NEVER_LAST, lines_of
from api.evidence.report.map_sketch import HEIGHT, WIDTH, SketchPlace, sketch_of
from api.evidence.report.pdf import Printer
from api.evidence.report.pdf_process import PrintingError, print_pdf
from tests.support.doc_pages import ROOT
from tests.support.packs import PHOTO
from tests.support.process_states import wait_until_async

TEXT = "窗口无人在岗，群众等候四十分钟；询问保安，答“出去一会儿”（约十点返回）。照片 IMG_20261122_093312.jpg 为证。"


def width_of(text: str) -> float:
    return sum(1.0 if ord(letter) > 0x2000 else 0.5 for letter in text)


def test_chinese_lines_break_by_the_rules_for_punctuation() -> None:
    for width in range(8, 40):
        lines = lines_of(TEXT, width, width_of)
        assert "".join(lines).replace(" ", "") == TEXT.replace(" ", "")
        for line in lines:
            assert width_of(line) <= width
            assert line[0] not in NEVER_FIRST
            assert line[-1] not in NEVER_LAST
        if width >= 12:
            assert any("IMG_20261122_093312.jpg" in line for line in lines), "a name is not torn where it fits a line"


@given(st.text(alphabet="甲，。（）a1 \n、", max_size=80), st.integers(3, 20))
def test_line_breaking_loses_no_letter_and_exceeds_no_width(text: str, width: int) -> None:
    lines = lines_of(text, width, width_of)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(width_of(line) <= width for line in lines)


def test_the_sketch_is_to_scale_with_north_up() -> None:
    """One place lies one kilometre north of the other."""
    north = SketchPlace("seen", "1", 25.66, 114.76, 50.0)
    south = SketchPlace("seen", "2", 25.66 - 1000 / 111_320, 114.76)
    sketch = sketch_of([north, south])
    assert sketch
    first, second = sketch.marks
    assert first.x == second.x
    assert first.y < second.y
    per_metre = (second.y - first.y) / 1000
    assert first.radius == pytest.approx(50 * per_metre, abs=0.05)
    metres = float(sketch.scale.removesuffix(" 米").replace(",", ""))
    assert sketch.bar == pytest.approx(metres * per_metre, abs=0.05)
    assert all(0 < mark.x < WIDTH and 0 < mark.y < HEIGHT for mark in sketch.marks)


@given(st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=6))
def test_any_places_fit_on_the_sketch(found: list[tuple[float, float]]) -> None:
    sketch = sketch_of([SketchPlace("seen", str(number), *each) for number, each in enumerate(found)])
    assert sketch
    for mark in sketch.marks:
        assert 0 <= mark.x <= WIDTH
        assert 0 <= mark.y <= HEIGHT
    assert 0 < sketch.bar < WIDTH / 2


def test_a_place_far_from_the_claimed_one_is_listed_but_not_drawn() -> None:
    """Rome is 9,300 km from Ganzhou along the great circle, which leaves Ganzhou towards the north-west."""
    ganzhou, rome = SketchPlace("seen", "1", 25.83, 114.93), SketchPlace("photo", "1-1", 41.9, 12.5)
    sketch = sketch_of([ganzhou, rome])
    assert sketch
    assert len(sketch.marks) == 1
    [told] = sketch.beyond
    assert told.startswith("1-1：图外，西北方约 9,")
    assert sketch_of([rome]) is not None, "where nothing else is known, the photos are drawn"
    assert sketch_of([]) is None
    assert math.isfinite(sketch.bar)


def a_report(photo: bytes | None = None) -> tuple[PackReport, dict[str, bytes]]:
    sketch = sketch_of(
        [SketchPlace("seen", "1", 25.66, 114.76, 50.0), SketchPlace("unit", "一号窗口", 25.6601, 114.7611)]
    )
    assert sketch
    pictures = [PictureBlock("med_1", ["1-1　照片"], "照片", "thumbnails/a.jpg", "originals/a.jpg")]
    pictures += [PictureBlock("med_2", ["1-2　视频"], "视频", original="originals/b.mp4")]
    blocks: list[Block] = [
        Heading("标题"),
        Paragraph("注意", "warning"),
        Facts([("情况", TEXT * 200), ("说明", "罕见字𠮷 与 🙂 与\u202e反向")]),
        sketch,
        Pictures(pictures),
        TableBlock(("影像", "SHA-256"), (0.2, 0.8), [(str(number), "ab" * 32) for number in range(80)], code=(1,)),
        Heading("末尾", 2),
    ]
    return PackReport("证据包", "证据包 · 甲", "2026-11-22T10:03:04.000Z", blocks), {"med_1": photo} if photo else {}


async def test_the_pdf_contains_the_whole_report() -> None:
    report, pictures = a_report(PHOTO)
    assert from_json(to_json(report)) == from_json(to_json(from_json(to_json(report))))
    document = pypdfium2.PdfDocument(await print_pdf(report, pictures))
    texts = [each.get_textpage().get_text_bounded() for each in document]
    whole = "".join("".join(texts).split())
    assert whole.count("询问保安，答“出去一会儿”") > 150, "the long text goes on over pages"
    assert whole.count("ab" * 32) == 80
    assert "罕见字〓与〓与" in whole
    for number, text in enumerate(texts, 1):
        assert f"第 {number} 页，共 {len(texts)} 页" in text
        assert "证据包 · 甲" in text
    tables = [text for text in texts if "abab" in text]
    assert len(tables) > 1
    assert all("SHA-256" in text for text in tables), "a table's head stands on each of its pages"
    assert whole.count("（续）") > 0, "a row that goes on says so"
    images = [each for one in document for each in one.get_objects() if each.type == pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]
    assert len(images) == 1
    for one in document:
        assert one.get_size() == pytest.approx((595.28, 841.89), abs=0.1)
    document.close()


def test_nothing_is_printed_beyond_the_paper() -> None:
    report, pictures = a_report()
    document = pypdfium2.PdfDocument(Printer(report, pictures).pdf())
    for one in document:
        for each in one.get_objects([pypdfium2.raw.FPDF_PAGEOBJ_TEXT, pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]):
            left, bottom, right, top = each.get_bounds()
            assert 0 <= left <= right <= 596
            assert 0 <= bottom <= top <= 842
    document.close()


def test_the_html_page_escapes_all_text() -> None:
    evil = "<script>alert(1)</script>\"'&"
    blocks: list[Block] = [
        Heading(evil),
        Paragraph(evil),
        Facts([(evil, evil)]),
        TableBlock((evil,), (1.0,), [(evil,)], code=(0,)),
        Pictures([PictureBlock("med_1", [evil], evil, thumbnail='a"><b', original="c d")]),
    ]
    made = render_page(PackReport(evil, evil, "2026-11-22T10:03:04.000Z", blocks)).decode()
    assert "<script" not in made
    assert 'a"><b' not in made
    assert "default-src &#x27;none&#x27;" in made or "default-src 'none'" in made
    sketch = sketch_of([SketchPlace("unit", evil, 25.0, 114.0)])
    assert sketch
    assert "<script" not in render_page(PackReport("", "", "2026-11-22T10:03:04.000Z", [sketch])).decode()


@pytest.mark.parametrize("body", [b"no picture", b"%PDF-", PHOTO[:20]])
def test_an_unreadable_thumbnail_does_not_stop_the_report(body: bytes) -> None:
    report, pictures = a_report(body)
    document = pypdfium2.PdfDocument(Printer(report, pictures).pdf())
    whole = "".join(each.get_textpage().get_text_bounded() for each in document)
    document.close()
    assert "末尾" in whole
    assert whole.count("照片") == 200 + 2, "in the long text, in the caption, and in the picture's place"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux confines processes")
async def test_the_printer_is_confined_before_it_reads_the_report() -> None:
    command = (sys.executable, "-P", "-m", "api.evidence.report.pdf_child", str(os.getpid()))
    environment = {"PYTHONPATH": str(ROOT)}
    printer = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, env=environment)
    status, limits = (Path(f"/proc/{printer.pid}/{name}") for name in ("status", "limits"))
    try:
        await wait_until_async(
            lambda: {"Seccomp:\t2", "CapEff:\t" + "0" * 16} <= set(status.read_text().splitlines()), 30
        )
        await wait_until_async(lambda: "Max core file size 0 0" in " ".join(limits.read_text().split()), 30)
    finally:
        printer.kill()
        await printer.wait()


async def test_a_printer_that_takes_too_long_raises_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    replace_program(monkeypatch, tmp_path, "import time\ntime.sleep(600)\n")
    monkeypatch.setattr("api.evidence.report.pdf_process.SECONDS", 0.5)
    with pytest.raises(PrintingError):
        await print_pdf(*a_report())


async def test_a_failing_printer_raises_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("api.evidence.report.pdf_process._ROOT", tmp_path)
    with pytest.raises(PrintingError):
        await print_pdf(*a_report())


def replace_program(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """Let the process run another program."""
    program = folder / "api" / "evidence" / "report" / "pdf_child.py"
    program.parent.mkdir(parents=True)
    program.write_text(code)
    monkeypatch.setattr("api.evidence.report.pdf_process._ROOT", folder)


async def test_the_printer_does_not_inherit_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    replace_program(monkeypatch, tmp_path, "import os\nprint('%PDF-', *os.environ)\n")
    monkeypatch.setenv("MINGCHA_S3_SECRET_KEY", "secret")
    names = set((await print_pdf(*a_report())).decode().split()[1:])
    assert names >= {"PATH", "PYTHONPATH"}
    assert not [name for name in names if "MINGCHA" in name]
