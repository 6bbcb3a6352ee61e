"""Blocks: a pack's report before it is a page or a PDF, so that both say the same.

What stands in them is left to `pack_report.py`, how they look to `pack_html.py` and `pack_pdf.py`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from api.evidence.report.map_sketch import Label, Sketch, SketchMark


@dataclass(frozen=True)
class Heading:
    """`level` 1 begins a part, 2 a record in it."""

    text: str
    level: int = 1


@dataclass(frozen=True)
class Paragraph:
    """`tone` is `plain`, `small` or `warning`."""

    text: str
    tone: str = "plain"


@dataclass(frozen=True)
class Facts:
    """Rows of (what, value)."""

    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class TableBlock:
    """`widths` are shares of the whole; `code` names the columns that hold digests."""

    titles: Sequence[str]
    widths: Sequence[float]
    rows: Sequence[Sequence[str]]
    code: Sequence[int] = ()


@dataclass(frozen=True)
class PictureBlock:
    """A medium: `thumbnail` and `original` are paths in the pack, None where there is none; `says` stands in its place."""

    id: str
    caption: Sequence[str]
    says: str
    thumbnail: str | None = None
    original: str | None = None


@dataclass(frozen=True)
class Pictures:
    pictures: Sequence[PictureBlock]


Block = Heading | Paragraph | Facts | TableBlock | Pictures | Sketch
KINDS: dict[str, type[Any]] = {each.__name__: each for each in (Heading, Paragraph, Facts, TableBlock, Sketch)}


@dataclass(frozen=True)
class PackReport:
    """`title` heads the first page, `running` every page; `made_at` is ISO 8601."""

    title: str
    running: str
    made_at: str
    blocks: Sequence[Block] = field(default_factory=list)


def to_json(report: PackReport) -> dict[str, Any]:
    """Plain JSON, for the process that makes the PDF."""
    blocks = [[type(block).__name__, orjson.loads(orjson.dumps(asdict(block)))] for block in report.blocks]
    return {"title": report.title, "running": report.running, "made_at": report.made_at, "blocks": blocks}


def from_json(given: dict[str, Any]) -> PackReport:
    """The inverse of `to_json`."""
    return PackReport(given["title"], given["running"], given["made_at"], [_block(*each) for each in given["blocks"]])


def _block(kind: str, given: dict[str, Any]) -> Block:
    if kind == "Pictures":
        return Pictures([PictureBlock(**each) for each in given["pictures"]])
    if kind == "Sketch":
        given |= {
            "marks": [SketchMark(**each) for each in given["marks"]],
            "labels": [Label(**each) for each in given["labels"]],
        }
    block: Block = KINDS[kind](**given)
    return block
