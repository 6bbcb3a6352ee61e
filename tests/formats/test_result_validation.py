"""Test result validation: impossible results from a child that an attacker controls are refused, real results pass."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from schema.checks.similarity import Likeness
from storage.formats.exif import Position
from storage.formats.media_sources import MediaSource
from storage.formats.pictures import examine
from storage.formats.result_validation import is_plausible
from storage.formats.results import Damage, ReadResult, RenderedThumbnail
from storage.formats.sandbox import Decoder
from tests.support.picture_files import GPS, block, saved

LIE = b"lie"
JPEG = b"\xff\xd8\xff\xe0\xff\xd9"
LIES: list[dict[str, Any]] = [
    {"width": 2**63},
    {"height": -1},
    {"display_width": 10**400},
    {"orientation": 2**16},
    {"rotation": 360},
    {"taken_offset_minutes": 10**9},
    {"duration_ms": 2**64},
    {"page_count": -5},
    {"motion_offset": 2**70, "motion_bytes": 1},
    {"make": "x" * 201},
    {"model": "a\0b"},
    {"software": "\ud800"},
    {"content_type": "text/html\r\nX: y"},
    {"position_source": "GUESS"},
    {"taken_at": datetime.fromisoformat("0001-01-01")},
    {"taken_at": datetime(2026, 1, 1, tzinfo=UTC)},
    {"created_at": datetime.fromisoformat("2026-01-01")},
    {"created_at": datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-14)))},
    {"stated": (1e308, 2.0)},
    {"stated": (float("nan"), 2.0)},
    {"position": Position(91.0, 0.0)},
    {"position": Position(25.0, float("inf"))},
    {"position": Position(25.0, 114.0, altitude_metres=1e9)},
    {"position": Position(25.0, 114.0, accuracy_metres=-1.0)},
    {"position": Position(25.0, 114.0, datum="x" * 300)},
    {"thumbnails": (RenderedThumbnail(10, 10, "text/html", JPEG),)},
    {"thumbnails": (RenderedThumbnail(10, 10, "image/jpeg", b"<script>"),)},
    {"thumbnails": (RenderedThumbnail(10**9, 10, "image/jpeg", JPEG),)},
    {"thumbnails": (RenderedThumbnail(10, 10, "image/jpeg", JPEG),) * 3},
    {"likeness": (Likeness(0, 2**63, "0" * 64),)},
    {"likeness": (Likeness(10**6, 0, "0" * 64),)},
    {"likeness": (Likeness(0, 0, "zz"),)},
    {"likeness": (Likeness(0, 0, "0" * 64, bytes(10_000)),)},
    {"likeness": (Likeness(0, 0, "0" * 64),) * 2},
]


def lie(medium: MediaSource) -> ReadResult:
    """Return an impossible width for a file that ends with LIE, otherwise the true width. This runs in the child."""
    return replace(examine(medium), width=2**62) if medium.read_bytes().endswith(LIE) else examine(medium)


@pytest.fixture
def honest(tmp_path: Path) -> ReadResult:
    path = tmp_path / "honest"
    path.write_bytes(
        saved(
            Image.linear_gradient("L").rotate(30).convert("RGB").resize((640, 480)), exif=block(GPS, tag_010F="Maker")
        )
    )
    return examine(path)


def test_real_results_are_plausible(honest: ReadResult) -> None:
    assert honest.likeness
    assert honest.position
    assert len(honest.thumbnails) == 2
    assert is_plausible(honest)
    assert is_plausible(ReadResult())


@pytest.mark.parametrize("fields", LIES, ids=",".join)
def test_impossible_results_are_not_plausible(honest: ReadResult, fields: dict[str, Any]) -> None:
    assert not is_plausible(replace(honest, **fields))


async def test_an_impossible_result_costs_its_file_and_the_child(tmp_path: Path, honest: ReadResult) -> None:
    for name, end in (("lie", LIE), ("truth", b"")):
        (tmp_path / name).write_bytes((tmp_path / "honest").read_bytes() + end)
    async with Decoder(work="tests.formats.test_result_validation:lie") as decoder:
        assert await decoder.examine(tmp_path / "truth") == honest
        before = decoder.pid
        found = await decoder.examine(tmp_path / "lie")
        # Another child then reads the facts again.
        assert (found.damage, found.width, found.thumbnails) == (Damage.CRASHED, 640, ())
        assert decoder.pid != before
        assert await decoder.examine(tmp_path / "truth") == honest
