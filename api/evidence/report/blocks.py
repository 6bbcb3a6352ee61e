"""Define the blocks of a pack's report, which the page and the PDF both render, so that both say the same."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from api.evidence.report.map_sketch import Label, Sketch, SketchMark


@dataclass(frozen=True)
class Heading:
    """`level` 1 starts a part, 2 a record in it."""

    text: str
    level: int = 1


@dataclass(frozen=True)
class Paragraph:
    """`tone` is `plain`, `small` or `warning`."""

    text: str
    tone: str = "plain"


@dataclass(frozen=True)
class Facts:
    """Rows of (name, value)."""

    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class TableBlock:
    """`widths` are shares of the full width; `code` lists the columns that hold digests."""

    titles: Sequence[str]
    widths: Sequence[float]
    rows: Sequence[Sequence[str]]
    code: Sequence[int] = ()


@dataclass(frozen=True)
class PictureBlock:
    """A medium: `thumbnail` and `original` are paths in the pack, or None; without a thumbnail, `placeholder` is shown."""

    id: str
    caption: Sequence[str]
    placeholder: str
    thumbnail: str | None = None
    original: str | None = None


@dataclass(frozen=True)
class Pictures:
    pictures: Sequence[PictureBlock]


Block = Heading | Paragraph | Facts | TableBlock | Pictures | Sketch
KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Heading, Paragraph, Facts, TableBlock, Sketch)}


@dataclass(frozen=True)
class PackReport:
    """`title` heads the first page, `running` heads every page; `made_at` is ISO 8601."""

    title: str
    running: str
    made_at: str
    blocks: Sequence[Block] = field(default_factory=list)


def to_json(report: PackReport) -> dict[str, Any]:
    """Return plain JSON for the process that makes the PDF."""
    blocks = [[type(block).__name__, orjson.loads(orjson.dumps(asdict(block)))] for block in report.blocks]
    return {"title": report.title, "running": report.running, "made_at": report.made_at, "blocks": blocks}


def from_json(body: dict[str, Any]) -> PackReport:
    """Invert `to_json`."""
    blocks = [_read_block(kind, fields) for kind, fields in body["blocks"]]
    return PackReport(body["title"], body["running"], body["made_at"], blocks)


def _read_block(kind: str, fields: dict[str, Any]) -> Block:
    if kind == "Pictures":
        return Pictures([PictureBlock(**picture) for picture in fields["pictures"]])
    if kind == "Sketch":
        fields |= {
            "marks": [SketchMark(**mark) for mark in fields["marks"]],
            "labels": [Label(**label) for label in fields["labels"]],
        }
    block: Block = KINDS[kind](**fields)
    return block
