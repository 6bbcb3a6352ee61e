"""Typeset a template with its data as PDF/A-2b, with typst. The same input gives the same bytes."""

import base64
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import typst
from pylopdf_fonts_zh_cn import sans_path

from storage.printing.characters import Printable
from storage.printing.jpegs import to_svg

TEMPLATES = Path(__file__).parent / "templates"
"""The only folder that a template can read from. It holds templates and nothing else."""


def typeset(template: str, data: dict[str, Any], made_at: datetime) -> bytes:
    """Return the document. The template finds `data` as JSON in `sys.inputs.data`, so no text in it can be markup.

    An object `{"jpeg": BASE64}` in `data` becomes an SVG picture, or null if it is damaged. `missing` is added: the code
    points of the characters that the font lacks, for which U+3013 stands. `date` is added: the parts of `made_at`.
    Raise `typst.TypstError` if the template has an error.
    """
    printable = Printable(sans_path())
    prepared = _prepare(data, printable)
    prepared["missing"] = [f"U+{ord(letter):04X}" for letter in sorted(printable.missing)]
    prepared["date"] = {name: getattr(made_at, name) for name in ("year", "month", "day", "hour", "minute", "second")}
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[sans_path().parent])
    return typst.compile(
        TEMPLATES / f"{template}.typ",
        root=TEMPLATES,
        font_paths=fonts,
        ignore_system_fonts=True,
        sys_inputs={"data": orjson.dumps(prepared).decode()},
        format="pdf",
        pdf_standards="a-2b",
        timestamp=int(made_at.timestamp()),
    )


def _prepare(value: Any, printable: Printable) -> Any:
    match value:
        case str():
            return printable.text(value)
        case list():
            return [_prepare(each, printable) for each in value]
        case {"jpeg": str(body)}:
            return to_svg(base64.b64decode(body))
        case dict():
            return {name: _prepare(each, printable) for name, each in value.items()}
        case _:
            return value
