"""Render a pack's report as one printable HTML file, which has no scripts and loads nothing from the network."""

from html import escape
from urllib.parse import quote

from api.evidence.report.blocks import Block, Facts, Heading, PackReport, Paragraph, PictureBlock, Pictures, TableBlock
from api.evidence.report.map_sketch import Sketch, SketchMark

STYLE = """
body{font:16px/1.6 "Noto Sans SC","Source Han Sans SC","PingFang SC","Microsoft YaHei",sans-serif;color:#1c2430;
max-width:60rem;margin:2rem auto;padding:0 1.2rem}
h1{font-size:1.7rem;margin:0 0 1rem}h2{font-size:1.25rem;margin:2.2rem 0 .6rem;border-bottom:2px solid #2c5d8f}
h3{font-size:1.05rem;margin:1.8rem 0 .4rem;color:#2c5d8f}
table{border-collapse:collapse;width:100%;margin:.4rem 0}th,td{border:1px solid #c6ced8;padding:.3rem .5rem;
text-align:left;vertical-align:top;overflow-wrap:anywhere;white-space:pre-wrap}th{background:#eef2f7;font-weight:600}
.facts th{width:8.5rem}code{font-family:ui-monospace,Consolas,monospace;font-size:.85em}
.small{font-size:.85rem;color:#55606e;white-space:pre-wrap}.warning{background:#fdecea;border:2px solid #b3261e;
padding:.5rem .8rem;font-weight:600}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:1rem;margin:.8rem 0}
figure{margin:0;break-inside:avoid}figure img{width:100%;height:12rem;object-fit:contain;background:#f3f5f8}
figure .none{display:flex;height:12rem;align-items:center;justify-content:center;background:#f3f5f8;color:#55606e}
figcaption{font-size:.8rem;color:#55606e}svg{width:100%;height:auto;border:1px solid #c6ced8}
@media print{body{margin:0;max-width:none;font-size:11pt}tr,figure,svg{break-inside:avoid}h2,h3{break-after:avoid}}
"""
POLICY = "default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
COLOURS = {"seen": "#b3261e", "photo": "#2c5d8f", "unit": "#33691e"}


def render_page(report: PackReport) -> bytes:
    """Return the page in UTF-8."""
    body = "\n".join(_block(block) for block in report.blocks)
    return f"""<!doctype html>
<html lang="zh-CN">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(report.running)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(report.title)}</h1>
{body}
</body>
</html>
""".encode(errors="replace")


def _block(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level + 1}>{escape(text)}</h{level + 1}>"
        case Paragraph(text, tone):
            return f'<p class="{tone}">{escape(text)}</p>'
        case Facts(rows):
            cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
            return f'<table class="facts">{cells}</table>'
        case TableBlock():
            return _table(block)
        case Pictures(pictures):
            return f'<div class="pictures">{"".join(_picture(picture) for picture in pictures)}</div>'
        case Sketch():
            return _svg(block)


def _table(table: TableBlock) -> str:
    def cell(column: int, text: str) -> str:
        return f"<td><code>{escape(text)}</code></td>" if column in table.code else f"<td>{escape(text)}</td>"

    head = "".join(
        f'<th style="width:{width:.0%}">{escape(t)}</th>' for t, width in zip(table.titles, table.widths, strict=True)
    )
    rows = "".join(f"<tr>{''.join(cell(number, text) for number, text in enumerate(row))}</tr>" for row in table.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _picture(picture: PictureBlock) -> str:
    caption = "<br>".join(escape(line) for line in picture.caption)
    shown = (
        f'<img src="{quote(picture.thumbnail)}" alt="{escape(picture.caption[0])}">'
        if picture.thumbnail
        else f'<span class="none">{escape(picture.placeholder)}</span>'
    )
    if picture.original:
        shown = f'<a href="{quote(picture.original)}">{shown}</a>'
    return f"<figure>{shown}<figcaption>{caption}</figcaption></figure>"


def _svg(sketch: Sketch) -> str:
    rings = "".join(
        f'<circle cx="{m.x}" cy="{m.y}" r="{m.radius}" fill="{COLOURS[m.kind]}" fill-opacity=".08" '
        f'stroke="{COLOURS[m.kind]}" stroke-width=".25"/>'
        for m in sketch.marks
        if m.radius > 1
    )
    marks = "".join(_mark(mark) for mark in sketch.marks)
    labels = "".join(
        f'<text x="{label.x + 2.6}" y="{label.y + 1.2}" font-size="3.6">{escape(label.text)}</text>'
        for label in sketch.labels
    )
    x, y = 8.0, sketch.height - 7
    scale = (
        f'<path d="M{x} {y - 1.5}v1.5h{sketch.bar}v-1.5" fill="none" stroke="#1c2430" stroke-width=".5"/>'
        f'<text x="{x + sketch.bar + 2}" y="{y}" font-size="3.6">{escape(sketch.scale)}</text>'
    )
    x = sketch.width - 9
    north = (
        f'<path d="M{x} 6l2.5 8-2.5-1.8-2.5 1.8z" fill="#1c2430"/><text x="{x - 1.8}" y="19" font-size="3.8">北</text>'
    )
    size = f"0 0 {sketch.width:g} {sketch.height:g}"
    drawn = f"{rings}{marks}{labels}{scale}{north}"
    return f'<svg viewBox="{size}" role="img" aria-label="位置示意图" fill="#1c2430"><g>{drawn}</g></svg>'


def _mark(mark: SketchMark) -> str:
    colour, x, y = COLOURS[mark.kind], mark.x, mark.y
    match mark.kind:
        case "seen":
            return f'<circle cx="{x}" cy="{y}" r="1.6" fill="{colour}"/>'
        case "photo":
            return f'<rect x="{x - 1.2}" y="{y - 1.2}" width="2.4" height="2.4" fill="{colour}"/>'
        case _:
            return f'<path d="M{x} {y - 2}l2 3.4h-4z" fill="{colour}"/>'
