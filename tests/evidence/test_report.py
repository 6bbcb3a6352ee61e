"""Test the pages of a pack: a sketch to scale, and a PDF with all that the page says."""

import io
import math
from datetime import datetime

import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from api.evidence.report.blocks import (
    Block,
    Facts,
    Heading,
    PackReport,
    Paragraph,
    PictureBlock,
    Pictures,
    TableBlock,
    to_json,
)
from api.evidence.report.html import render_page
from api.evidence.report.map_sketch import HEIGHT, WIDTH, SketchPlace, sketch_of
from storage.printing.printer import print_pdf
from storage.printing.typesetting import typeset
from tests.support.packs import PHOTO
from tests.support.picture_files import saved

TEXT = "窗口无人在岗，群众等候四十分钟；询问保安，答“出去一会儿”（约十点返回）。照片 IMG_20261122_093312.jpg 为证。"


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
        Facts([("情况", TEXT * 200), ("说明", "罕见字𠮷 与 🙂 与\u202e反向"), ("长词", "q" * 300)]),
        Paragraph("q" * 300),
        sketch,
        Pictures(pictures),
        TableBlock(("影像", "SHA-256"), (0.2, 0.8), [(str(number), "ab" * 32) for number in range(80)], code=(1,)),
        TableBlock(("窄", "宽"), (0.08, 0.92), [("q" * 300, "一")]),
        Heading("末尾", 2),
    ]
    return PackReport("证据包", "证据包 · 甲", "2026-11-22T10:03:04.000Z", blocks), {"med_1": photo} if photo else {}


async def test_the_pdf_contains_the_whole_report() -> None:
    report, pictures = a_report(PHOTO)
    document = pypdfium2.PdfDocument(await print_pdf("pack_report", to_json(report, pictures), report.made_at))
    texts = [each.get_textpage().get_text_bounded() for each in document]
    whole = "".join("".join(texts).split())
    assert whole.count("询问保安，答“出去一会儿”") > 150, "the long text goes on over pages"
    assert whole.count("ab" * 32) == 80
    assert whole.count("q" * 300) >= 2, "a long word is told whole"
    assert whole.count("q") == 900
    assert "罕见字〓与〓与〓反向" in whole
    assert "〓：本文件的字库所缺的字（U+202E、U+1F642、U+20BB7）" in whole
    for number, text in enumerate(texts, 1):
        assert f"第 {number} 页，共 {len(texts)} 页" in text
        assert "证据包 · 甲" in text
    tables = [text for text in texts if "abab" in text]
    assert len(tables) > 1
    assert all("SHA-256" in text for text in tables), "a table's head stands on each of its pages"
    assert ["（续）" in text for text in texts[:3]] == [False, True, True], "a row that goes on says so"
    assert [entry.get_title() for entry in document.get_toc()] == ["标题", "末尾"]
    images = [each for one in document for each in one.get_objects() if each.type == pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]
    assert len(images) == 1
    document.close()


def test_nothing_is_printed_beyond_the_margins() -> None:
    """The paper is A4, and the margins are 20 mm wide: 56.7 points."""
    document = printed(*a_report(PHOTO))
    for one in document:
        assert one.get_size() == pytest.approx((595.28, 841.89), abs=0.1)
        for each in one.get_objects([pypdfium2.raw.FPDF_PAGEOBJ_TEXT, pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]):
            left, bottom, right, top = each.get_bounds()
            assert 56 <= left <= right <= 539.5
            assert 20 <= bottom <= top <= 822
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


@pytest.mark.parametrize(
    "body",
    [b"no picture", b"%PDF-", PHOTO[:20], PHOTO[:3000], saved(Image.new("CMYK", (64, 48)), "JPEG"), b""],
    ids=["text", "PDF", "head", "cut", "CMYK", "empty"],
)
def test_an_unreadable_thumbnail_does_not_stop_the_report(body: bytes) -> None:
    document = printed(*a_report(body))
    whole = "".join(each.get_textpage().get_text_bounded() for each in document)
    images = [each for one in document for each in one.get_objects() if each.type == pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]
    document.close()
    assert images == []
    assert "末尾" in whole
    assert whole.count("照片") == 200 + 2, "in the long text, in the caption, and in the picture's place"


@pytest.mark.parametrize("photo", [{"progressive": True}, {}], ids=["progressive", "gray"])
def test_the_picture_is_printed_in_its_own_bytes(photo: dict[str, bool]) -> None:
    body = saved(Image.linear_gradient("L").convert("RGB" if photo else "L"), "JPEG", **photo)
    document = printed(*a_report(body))
    [image] = [each for one in document for each in one.get_objects() if each.type == pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]
    kept = io.BytesIO()
    image.extract(kept)
    document.close()
    assert kept.getvalue() == body


def printed(report: PackReport, pictures: dict[str, bytes]) -> pypdfium2.PdfDocument:
    return pypdfium2.PdfDocument(
        typeset("pack_report", to_json(report, pictures), datetime.fromisoformat(report.made_at))
    )
