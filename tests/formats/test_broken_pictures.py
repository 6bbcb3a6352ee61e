"""Test truncated, mutated and hostile pictures.

Their readable facts are kept, no picture raises an error, and no picture affects the next one.
"""

import io
import random
import warnings
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from scripts.demo.scenes import SceneExif, draw_scene
from storage.formats.pictures import examine
from storage.formats.results import Damage, ReadResult, from_json, to_json
from tests.support.picture_files import GPS, block, png, saved

SCENE = draw_scene(7, 800, 600, ["14:07"], SceneExif(25.829217, 114.933612, datetime.fromisoformat("2026-11-20T14:07")))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "upload"


def see(file: Path, data: bytes) -> ReadResult:
    file.write_bytes(data)
    picture = examine(file)
    assert from_json(to_json(picture), ReadResult) == picture
    return picture


def scene(format: str) -> bytes:
    image = Image.open(file_like(SCENE))
    options = {"progressive": True} if format == "PROGRESSIVE" else {}
    return saved(image, "JPEG" if options else format, exif=image.getexif().tobytes(), **options)


def file_like(data: bytes) -> io.BytesIO:
    return io.BytesIO(data)


@pytest.mark.parametrize("side", [20_000, 60_000, 2**31 - 1])
def test_a_decompression_bomb_is_reported_and_not_decoded(file: Path, side: int) -> None:
    rows = b"\0" * 2501 * 20_000
    picture = see(file, png(side, side, 1, 0, rows, (b"eXIf", block(GPS)[6:])))
    assert picture.damage is Damage.TOO_MANY_PIXELS
    assert (picture.width, picture.height, picture.thumbnails) == (side, side, ())
    assert picture.position is not None


@pytest.mark.parametrize(
    ("data", "damage"),
    [
        (b"", Damage.EMPTY),
        (b"\n", Damage.UNSUPPORTED),
        (b"GIF89a" + bytes(20), Damage.UNSUPPORTED),
        (b"<svg/>", Damage.UNSUPPORTED),
        (b"%PDF-1.7", Damage.UNSUPPORTED),
        (b"\xff\xd8\xff", Damage.TRUNCATED),
        (b"\xff\xd8\xff\xd9", Damage.TRUNCATED),
        (b"\xff\xd8\xff" + b"A" * 200_000, Damage.TRUNCATED),
        (b"\x89PNG\r\n\x1a\n", Damage.TRUNCATED),
        (b"RIFF\0\0\0\0WEBP", Damage.CORRUPT),
    ],
    ids=range(10),
)
def test_files_that_are_not_pictures_are_reported_as_damaged(file: Path, data: bytes, damage: Damage) -> None:
    picture = see(file, data)
    assert (picture.damage, picture.thumbnails, picture.position, picture.width) == (damage, (), None, None)


@pytest.mark.parametrize("tenths", range(1, 10))
@pytest.mark.parametrize("format", ["JPEG", "PROGRESSIVE", "PNG", "WEBP"])
def test_a_truncated_picture_keeps_its_facts_and_shows_the_rest(file: Path, format: str, tenths: int) -> None:
    whole = scene(format)
    data = whole[: len(whole) * tenths // 10]
    picture = see(file, data)
    assert picture.damage is Damage.TRUNCATED
    assert (picture.width, picture.height) == (800, 600)
    if format != "WEBP":  # WebP stores metadata last, and its decoder may show nothing of a cut file
        assert picture.position is not None
        assert picture.position.latitude == pytest.approx(25.829217, abs=1e-6)
        assert picture.model == "Demo"
        assert [(found.width, found.height) for found in picture.thumbnails] == [(800, 600), (320, 240)]
        left, whole_top = (Image.open(file_like(d)).getpixel((400, 8)) for d in (picture.thumbnails[0].data, SCENE))
        assert isinstance(left, tuple)
        assert isinstance(whole_top, tuple)
        assert all(abs(a - b) < 24 for a, b in zip(left, whole_top, strict=True))
    assert file.read_bytes() == data
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize(("format", "end", "damage"), [("JPEG", 2, Damage.TRUNCATED), ("PNG", 12, None)])
def test_a_missing_end_marker_loses_no_pixels(file: Path, format: str, end: int, damage: Damage | None) -> None:
    whole, cut = see(file, scene(format)), see(file, scene(format)[:-end])
    assert (cut.damage, cut.thumbnails) == (damage, whole.thumbnails)


def test_a_picture_with_corrupt_pixels_still_gets_thumbnails(file: Path) -> None:
    data = bytearray(scene("PNG"))
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(40)
    picture = see(file, bytes(data))
    assert (picture.damage, len(picture.thumbnails)) == (Damage.CORRUPT, 2)


def test_a_broken_picture_does_not_affect_the_next_one(file: Path) -> None:
    filters = list(warnings.filters)
    assert see(file, scene("PNG")[:9000]).damage is Damage.TRUNCATED
    assert (list(warnings.filters), ImageFile.LOAD_TRUNCATED_IMAGES) == (filters, False)
    assert see(file, scene("PNG")).damage is None


def test_a_self_referencing_exif_directory_does_not_loop(file: Path) -> None:
    loop = b"Exif\0\0MM\0*\0\0\0\x08" + b"\0\x03"
    for tag, kind, value in ((0x0112, 3, 6 << 16), (0x8769, 4, 8), (0x8825, 4, 8)):
        loop += tag.to_bytes(2) + kind.to_bytes(2) + (1).to_bytes(4) + value.to_bytes(4)
    picture = see(file, saved(Image.new("RGB", (90, 60)), exif=loop + (8).to_bytes(4)))
    assert (picture.orientation, picture.damage, picture.position) == (6, None, None)


def test_mutated_pictures_never_raise(file: Path) -> None:
    chance = random.Random(20261122)  # noqa: S311  the same mutations every time
    sources = [scene(format) for format in ("JPEG", "PROGRESSIVE", "PNG", "WEBP")]
    for turn in range(160):
        data = bytearray(sources[turn % 4])
        reach = len(data) if turn % 3 == 0 else 700
        for _ in range(chance.choice((1, 3, 20))):
            data[chance.randrange(12, reach)] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        see(file, bytes(data[: chance.randrange(len(data))] if turn % 5 == 0 else data))


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.binary(max_size=120), st.sampled_from([b"MM\0*\0\0\0\x08", b"II*\0\x08\0\0\0", b""]))
def test_no_exif_block_raises_or_damages_the_picture(file: Path, junk: bytes, head: bytes) -> None:
    tiny = saved(Image.new("RGB", (8, 8)), exif=b"Exif\0\0" + head + junk)
    picture = see(file, tiny)
    assert (picture.width, picture.damage) == (8, None)
