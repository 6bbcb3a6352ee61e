"""Print a pack's report as PDF on A4. This runs in a child process, which frees its memory when it ends."""

import io
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from fpdf import FPDF
from fpdf.fonts import TTFFont
from pylopdf_fonts_zh_cn import sans_path

from api.evidence.report.blocks import (
    Block,
    Facts,
    Heading,
    PackReport,
    Paragraph,
    PictureBlock,
    Pictures,
    TableBlock,
)
from api.evidence.report.line_breaking import lines_of
from api.evidence.report.map_sketch import Sketch

LEFT, TOP, WIDTH, BOTTOM = 20.0, 18.0, 170.0, 278.0
INK, MUTED, ACCENT, RULE, PAPER = (28, 36, 48), (85, 96, 110), (44, 93, 143), (198, 206, 216), (243, 245, 248)
RED = (179, 38, 30)
COLOURS = {"seen": RED, "photo": ACCENT, "unit": (51, 105, 30)}
UNKNOWN = "〓"
"""Replaces a character that the font lacks. The HTML page and the data file have the right character."""
CONTINUED = "（续）"
PER_ROW, GAP, HIGH = 3, 5.0, 44.0


class Paper(FPDF):
    """A document in A4 with the running title and the page number on every page."""

    def __init__(self, report: PackReport) -> None:
        super().__init__(format="A4")
        self._running = report.running
        self.set_margins(LEFT, TOP, LEFT)
        self.set_auto_page_break(auto=False)
        self.set_creation_date(datetime.fromisoformat(report.made_at))
        self.set_title(report.running)
        self.set_lang("zh-CN")
        self.add_font("sc", fname=sans_path())
        self.set_font("sc", size=10)
        font = self.fonts["sc"]
        self._known = font.cmap if isinstance(font, TTFFont) else {}
        if isinstance(font, TTFFont):
            font.ttfont.recalcBBoxes = False  # the whole font's boxes hold for a part, and new ones take long
        self.alias_nb_pages()
        self.add_page()

    def header(self) -> None:
        self.set_font("sc", size=8)
        self.set_text_color(*MUTED)
        self.set_xy(LEFT, 9)
        self.cell(WIDTH, 5, self.replace_unknown(self._running))
        self.set_draw_color(*RULE)
        self.set_line_width(0.2)
        self.line(LEFT, 15, LEFT + WIDTH, 15)
        self.set_xy(LEFT, TOP + 2)

    def footer(self) -> None:
        self.set_font("sc", size=8)
        self.set_text_color(*MUTED)
        self.set_xy(LEFT, 284)
        self.cell(WIDTH, 5, f"第 {self.page_no()} 页，共 {{nb}} 页", align="C")

    def replace_unknown(self, text: str) -> str:
        return "".join(letter if letter in "\n\t" or ord(letter) in self._known else UNKNOWN for letter in text)

    def ensure_room(self, height: float) -> None:
        """Start a new page if less than `height` millimetres are left."""
        if self.get_y() + height > BOTTOM:
            self.add_page()

    def lines(self, text: str, width: float, points: float) -> list[str]:
        self.set_font("sc", size=points)
        return lines_of(self.replace_unknown(text).replace("\t", " "), width, self.get_string_width)

    def write_line(self, x: float, y: float, text: str, points: float, colour: Sequence[int] = INK) -> None:
        self.set_font("sc", size=points)
        self.set_text_color(*colour)
        self.set_xy(x, y)
        self.cell(0, points * 0.55, text)

    def write_bold_line(self, x: float, y: float, text: str, points: float, colour: Sequence[int] = INK) -> None:
        """Write text in bold by means of a thin outline, because the font has only one weight."""
        with self.local_context(text_mode="FILL_STROKE", line_width=0.12):
            self.set_draw_color(*colour)
            self.write_line(x, y, text, points, colour)


class Printer:
    def __init__(self, report: PackReport, pictures: Mapping[str, bytes]) -> None:
        self._report, self._pictures, self._paper = report, pictures, Paper(report)

    def pdf(self) -> bytes:
        paper = self._paper
        paper.write_bold_line(LEFT, paper.get_y() + 2, self._report.title, 20)
        paper.set_xy(LEFT, paper.get_y() + 14)
        for block in self._report.blocks:
            self._print(block)
        return bytes(paper.output())

    def _print(self, block: Block) -> None:
        match block:
            case Heading():
                self._heading(block)
            case Paragraph():
                self._paragraph(block)
            case Facts():
                self._rows([(0.19, MUTED), (0.81, INK)], block.rows)
            case TableBlock():
                self._table(block)
            case Pictures():
                for start in range(0, len(block.pictures), PER_ROW):
                    self._strip(block.pictures[start : start + PER_ROW])
            case Sketch():
                self._sketch(block)

    def _heading(self, heading: Heading) -> None:
        paper, is_part = self._paper, heading.level == 1
        points, height = (14.0, 7.5) if is_part else (11.0, 6.0)
        lines = paper.lines(heading.text, WIDTH, points)
        paper.ensure_room(len(lines) * height + 30)  # a heading must not be alone at the foot of a page
        y = paper.get_y() + (5 if is_part else 4)
        for line in lines:
            paper.write_bold_line(LEFT, y, line, points, INK if is_part else ACCENT)
            y += height
        if is_part:
            paper.set_draw_color(*ACCENT)
            paper.set_line_width(0.5)
            paper.line(LEFT, y + 0.6, LEFT + WIDTH, y + 0.6)
        paper.set_xy(LEFT, y + 2.5)

    def _paragraph(self, paragraph: Paragraph) -> None:
        paper = self._paper
        points, colour = {"small": (8.5, MUTED), "warning": (11.0, RED)}.get(paragraph.tone, (10.0, INK))
        for line in paper.lines(paragraph.text, WIDTH, points):
            paper.ensure_room(points * 0.55)
            y = paper.get_y()
            paper.write_line(LEFT, y, line, points, colour)
            paper.set_xy(LEFT, y + points * 0.55)
        paper.set_xy(LEFT, paper.get_y() + 1.5)

    def _table(self, table: TableBlock) -> None:
        small = dict.fromkeys(table.code, 7.0)
        columns = [(width, INK) for width in table.widths]

        def head() -> None:
            self._rows(columns, [table.titles], filled=True)

        self._paper.ensure_room(16)
        head()
        self._rows(columns, table.rows, points=small, again=head)
        self._paper.set_xy(LEFT, self._paper.get_y() + 2)

    def _rows(
        self,
        columns: Sequence[tuple[float, Sequence[int]]],
        rows: Sequence[Sequence[str]],
        *,
        points: Mapping[int, float] | None = None,
        filled: bool = False,
        again: Callable[[], None] | None = None,
    ) -> None:
        """Print rows of cells with a line below each row. A row that does not fit is continued on the next page."""
        paper = self._paper
        sizes = [(points or {}).get(number, 9.0) for number in range(len(columns))]
        for row in rows:
            cells = [
                paper.lines(text, share * WIDTH - 3, size)
                for text, (share, _), size in zip(row, columns, sizes, strict=True)
            ]
            if max(map(len, cells)) <= 12 and paper.get_y() + max(map(len, cells)) * 5 + 2 > BOTTOM:
                self._turn_page(again)
            while any(cells):
                fit = max(1, int((BOTTOM - paper.get_y() - 2) / 5))
                self._row(columns, sizes, [cell[:fit] for cell in cells], filled=filled)
                cells = [cell[fit:] for cell in cells]
                if any(cells):
                    self._turn_page(again)
                    cells[0] = cells[0] or [CONTINUED]

    def _turn_page(self, repeat_head: Callable[[], None] | None) -> None:
        self._paper.add_page()
        if repeat_head:
            repeat_head()

    def _row(
        self,
        columns: Sequence[tuple[float, Sequence[int]]],
        sizes: Sequence[float],
        cells: Sequence[Sequence[str]],
        *,
        filled: bool,
    ) -> None:
        paper, y = self._paper, self._paper.get_y()
        height = max(map(len, cells)) * 5 + 2
        if filled:
            paper.set_fill_color(*PAPER)
            paper.rect(LEFT, y, WIDTH, height, style="F")
        x = LEFT
        for (share, colour), size, cell in zip(columns, sizes, cells, strict=True):
            for number, line in enumerate(cell):
                paper.write_line(x + 1, y + 1 + number * 5, line, size, colour)
            x += share * WIDTH
        paper.set_draw_color(*RULE)
        paper.set_line_width(0.2)
        paper.line(LEFT, y + height, LEFT + WIDTH, y + height)
        paper.set_xy(LEFT, y + height)

    def _strip(self, pictures: Sequence[PictureBlock]) -> None:
        paper = self._paper
        wide = (WIDTH - GAP * (PER_ROW - 1)) / PER_ROW
        captions = [[line for text in shown.caption for line in paper.lines(text, wide, 7.5)] for shown in pictures]
        height = HIGH + 1 + max(map(len, captions)) * 4 + 3
        paper.ensure_room(height + 2)
        y = paper.get_y() + 2
        for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
            x = LEFT + number * (wide + GAP)
            paper.set_fill_color(*PAPER)
            paper.rect(x, y, wide, HIGH, style="F")
            if not self._image(picture, x, y, wide):
                paper.set_font("sc", size=9)
                width = paper.get_string_width(picture.placeholder)
                paper.write_line(x + (wide - width) / 2, y + HIGH / 2 - 3, picture.placeholder, 9, MUTED)
            for row, line in enumerate(caption):
                paper.write_line(x, y + HIGH + 1 + row * 4, line, 7.5, MUTED)
        paper.set_xy(LEFT, y + height)

    def _image(self, picture: PictureBlock, x: float, y: float, wide: float) -> bool:
        """Draw the thumbnail. Return False if this fails, because a damaged thumbnail must not prevent the report."""
        if not (body := self._pictures.get(picture.id)):
            return False
        try:
            self._paper.image(io.BytesIO(body), x, y, wide, HIGH, keep_aspect_ratio=True, alt_text=picture.caption[0])
        except Exception:  # noqa: BLE001  image readers raise all kinds of errors
            return False
        return True

    def _sketch(self, sketch: Sketch) -> None:
        paper = self._paper
        paper.ensure_room(sketch.height + 4)
        top = paper.get_y() + 1
        paper.set_draw_color(*RULE)
        paper.set_line_width(0.2)
        paper.rect(LEFT, top, sketch.width, sketch.height)
        with paper.rect_clip(LEFT, top, sketch.width, sketch.height):
            for mark in sketch.marks:
                if mark.radius > 1:
                    paper.set_draw_color(*COLOURS[mark.kind])
                    paper.circle(LEFT + mark.x, top + mark.y, mark.radius)
            for mark in sketch.marks:
                self._mark(mark.kind, LEFT + mark.x, top + mark.y)
            for label in sketch.labels:
                paper.write_line(LEFT + label.x + 2.6, top + label.y - 2.6, paper.replace_unknown(label.text), 9)
        x, y = LEFT + 8, top + sketch.height - 7
        paper.set_draw_color(*INK)
        paper.set_line_width(0.4)
        paper.polyline([(x, y - 1.5), (x, y), (x + sketch.bar, y), (x + sketch.bar, y - 1.5)])
        paper.write_line(x + sketch.bar + 2, y - 3.5, sketch.scale, 8.5)
        x = LEFT + sketch.width - 9
        paper.set_fill_color(*INK)
        paper.polygon([(x, top + 6), (x + 2.5, top + 14), (x, top + 12.2), (x - 2.5, top + 14)], style="F")
        paper.write_line(x - 2.5, top + 15, "北", 9)
        paper.set_xy(LEFT, top + sketch.height + 2)

    def _mark(self, kind: str, x: float, y: float) -> None:
        self._paper.set_fill_color(*COLOURS[kind])
        match kind:
            case "seen":
                self._paper.circle(x, y, 1.6, style="F")
            case "photo":
                self._paper.rect(x - 1.2, y - 1.2, 2.4, 2.4, style="F")
            case _:
                self._paper.polygon([(x, y - 2), (x + 2, y + 1.4), (x - 2, y + 1.4)], style="F")
