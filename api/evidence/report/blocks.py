"""Define the blocks of a pack's report. The HTML page and the PDF render the same blocks, so both say the same."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from api.evidence.report.map_sketch import Sketch


@dataclass(frozen=True)
class Heading:
    """A heading. Level 1 begins a part of the report, level 2 begins a record in that part."""

    text: str
    level: int = 1


@dataclass(frozen=True)
class Paragraph:
    """A paragraph. `tone` is `plain`, `small` or `warning`."""

    text: str
    tone: str = "plain"


@dataclass(frozen=True)
class Facts:
    """A list of facts, in rows of (name, value)."""

    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class TableBlock:
    """A table with a header.

    `widths` are the widths of the columns, as fractions of the full width. `code` lists the columns that hold digests,
    counted from 0.
    """

    titles: Sequence[str]
    widths: Sequence[float]
    rows: Sequence[Sequence[str]]
    code: Sequence[int] = ()


@dataclass(frozen=True)
class PictureBlock:
    """A picture of a medium, with a caption.

    `thumbnail` and `original` are paths in the pack, or None. If there is no thumbnail, the text `placeholder` is
    shown.
    """

    id: str
    caption: Sequence[str]
    placeholder: str
    thumbnail: str | None = None
    original: str | None = None


@dataclass(frozen=True)
class Pictures:
    pictures: Sequence[PictureBlock]


Block = Heading | Paragraph | Facts | TableBlock | Pictures | Sketch


@dataclass(frozen=True)
class PackReport:
    """A report. `title` stands at the top of the first page, `running` at the top of every page.

    `made_at` is a time in ISO 8601 format.
    """

    title: str
    running: str
    made_at: str
    blocks: Sequence[Block] = field(default_factory=list)


def to_json(report: PackReport, pictures: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the report as plain JSON values, for the template that prints it. `pictures` are JPEG files by media id."""
    blocks = [[type(block).__name__, orjson.loads(orjson.dumps(block))] for block in report.blocks]
    for kind, fields in blocks:
        for picture in fields["pictures"] if kind == "Pictures" else ():
            jpeg = pictures.get(picture["id"])
            picture["image"] = jpeg and {"jpeg": base64.b64encode(jpeg).decode()}
    return {"title": report.title, "running": report.running, "blocks": blocks}
