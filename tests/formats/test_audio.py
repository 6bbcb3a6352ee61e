"""Test sounds and documents: their type, their length, and whether they are whole."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from storage.formats.reader import examine
from storage.formats.results import Damage, ReadResult
from tests.support.media_files import sound
from tests.support.pdf_files import pdf

AMR = b"#!AMR\n" + (b"\x3c" + bytes(31)) * 50


@pytest.fixture
def see(tmp_path: Path) -> Callable[[bytes], ReadResult]:
    def look(data: bytes) -> ReadResult:
        path = tmp_path / "upload"
        path.write_bytes(data)
        picture = examine(path)
        assert path.read_bytes() == data
        return picture

    return look


def id3(size: int) -> bytes:
    return b"ID3\4\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


@pytest.mark.parametrize(
    ("data", "type", "millis"),
    [
        (sound("mp3", "libmp3lame", 2.0), "audio/mpeg", 2000),
        (sound("mp3", "libmp3lame", 2.0, 22050), "audio/mpeg", 2000),
        (sound("mp3", "libmp3lame", 2.0, id3v2_version="0", write_xing="0"), "audio/mpeg", 2000),
        (sound("mp3", "libmp3lame", 2.0) + b"TAG" + bytes(125), "audio/mpeg", 2000),
        (id3(200_000) + bytes(200_000) + sound("mp3", "libmp3lame", 2.0), "audio/mpeg", 2000),
        (sound("ipod", "aac", 2.0), "audio/mp4", 2000),
        (AMR, "audio/amr", 1000),
        (b"#!AMR-WB\n" + (b"\x24" + bytes(40)) * 25, "audio/amr", 500),
    ],
    ids=range(8),
)
def test_the_duration_of_a_sound_is_read(
    see: Callable[[bytes], ReadResult], data: bytes, type: str, millis: int
) -> None:
    picture = see(data)
    assert (picture.content_type, picture.damage, picture.thumbnails) == (type, None, ())
    assert picture.duration_ms == pytest.approx(millis, abs=110)  # an encoder pads to whole frames


@pytest.mark.parametrize(
    ("data", "damage"),
    [
        (AMR[:-5], Damage.TRUNCATED),
        (b"#!AMR\n", Damage.TRUNCATED),
        (AMR + b"\xff" * 40, Damage.CORRUPT),
        (sound("mp3", "libmp3lame")[:-30], Damage.TRUNCATED),
        (id3(2**27) + bytes(1000), Damage.TRUNCATED),
        (id3(20) + b"no sound at all" * 99, Damage.CORRUPT),
        (sound("mp3", "libmp3lame") + b"<html>" * 99, Damage.CORRUPT),
        (sound("mp3", "libmp3lame") + bytes(99_000), Damage.CORRUPT),
        (sound("ipod", "aac")[:-40], Damage.TRUNCATED),
    ],
    ids=range(9),
)
def test_damage_to_a_sound_is_reported(see: Callable[[bytes], ReadResult], data: bytes, damage: Damage) -> None:
    assert see(data).damage is damage


def test_a_document_gets_its_page_count_and_a_thumbnail(see: Callable[[bytes], ReadResult]) -> None:
    picture = see(pdf(3))
    assert (picture.page_count, picture.is_encrypted, picture.damage) == (3, False, None)
    shown = Image.open(io.BytesIO(picture.thumbnails[0].data)).convert("RGB")
    assert (max(shown.size), shown.width < shown.height) == (1280, True)
    red, green, blue = shown.getpixel((shown.width // 2, 100))  # type: ignore[misc]
    assert red > 200
    assert max(green, blue) < 60
    assert picture.thumbnails[0].data.find(b"Exif") == -1


def test_only_a_document_with_a_user_password_is_unreadable(see: Callable[[bytes], ReadResult]) -> None:
    locked, open_ = see(pdf(owner="owner", user="user")), see(pdf(owner="owner"))
    assert (locked.is_encrypted, locked.damage, locked.thumbnails) == (True, Damage.ENCRYPTED, ())
    assert (open_.is_encrypted, open_.damage, len(open_.thumbnails)) == (True, None, 2)


@pytest.mark.parametrize("tenths", [2, 5, 9])
def test_a_truncated_document_is_reported(see: Callable[[bytes], ReadResult], tenths: int) -> None:
    whole = pdf(5)
    assert see(whole[: len(whole) * tenths // 10]).damage is Damage.TRUNCATED


def test_a_document_without_objects_is_reported_as_corrupt(see: Callable[[bytes], ReadResult]) -> None:
    assert see(b"%PDF-1.7\nnothing\nstartxref\n0\n%%EOF").damage is Damage.CORRUPT
