"""Test that readers find in a file that another process opened what they find in a path."""

import os
from pathlib import Path

import pytest
from PIL import Image

from storage.formats.media_sources import InheritedFile
from storage.formats.reader import examine
from tests.support.media_files import sound, video
from tests.support.pdf_files import pdf
from tests.support.picture_files import GPS, block, saved

PHOTO = saved(Image.new("RGB", (640, 480), (220, 30, 30)), exif=block(GPS, tag_0110="Demo"))


@pytest.mark.parametrize(
    "body",
    [
        PHOTO,
        PHOTO[: len(PHOTO) // 2],
        saved(Image.new("RGB", (320, 240), (9, 200, 9)), "HEIF"),
        video(),
        sound("mp3", "libmp3lame"),
        pdf(),
        b"",
    ],
    ids=["jpeg", "cut jpeg", "heic", "video", "sound", "pdf", "empty"],
)
def test_a_descriptor_reads_like_a_path(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "medium"
    path.write_bytes(body)
    with path.open("rb") as opened:
        opened.seek(0, os.SEEK_END)
        assert examine(InheritedFile(opened.fileno())) == examine(path)
        assert not opened.closed


def test_readings_of_one_file_do_not_move_each_other(tmp_path: Path) -> None:
    path = tmp_path / "medium"
    path.write_bytes(bytes(range(100)))
    with path.open("rb") as opened:
        medium = InheritedFile(opened.fileno())
        with medium.open("rb") as one, medium.open("rb") as other:
            assert other.seek(-10, os.SEEK_END) == 90
            assert one.read(10) == bytes(range(10))
            assert other.read() == bytes(range(90, 100))
            with pytest.raises(OSError, match="before the first byte"):
                one.seek(-1)
        assert medium.read_bytes() == path.read_bytes()
