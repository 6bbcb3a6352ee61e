"""Test that metadata is found wherever writers put it in JPEG, PNG and WebP files, even in a wrong order."""

import io
import zlib
from pathlib import Path

import pytest
from PIL import Image

from storage.formats.exif import ExifPositionProblem, Position
from storage.formats.image_containers import Container, scan
from storage.formats.pictures import examine
from storage.formats.results import ReadResult
from tests.support.picture_files import GPS, block, png, saved, webp_chunk

EXIF = block(GPS, tag_0110="Demo")
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="26,30.0N"'
    b' exif:GPSLongitude="115,30.0E" exif:DateTimeOriginal="2026-11-20T14:07:31+08:00"/></rdf:RDF></x:xmpmeta>'
)
FROM_EXIF, FROM_XMP = Position(25.82921667, 114.933612), Position(26.5, 115.5)
ROW = b"\0\0"


def see(tmp_path: Path, data: bytes) -> ReadResult:
    (tmp_path / "upload").write_bytes(data)
    return examine(tmp_path / "upload")


def raw_profile(exif: bytes) -> bytes:
    lines = exif.hex("\n", 36)
    return f"\nexif\n{len(exif):8}\n{lines}\n".encode()


def itxt(text: bytes, *, packed: bool) -> bytes:
    return b"XML:com.adobe.xmp\0" + (b"\1\0\0\0" + zlib.compress(text) if packed else b"\0\0\0\0" + text)


def webp(*chunks: bytes) -> bytes:
    """Return an extended WebP file: one lossless frame, then the chunks."""
    frame = saved(Image.new("RGB", (8, 8), (220, 30, 30)), "WEBP", lossless=True)[12:]
    body = b"WEBP" + webp_chunk(b"VP8X", b"\x0c\0\0\0\7\0\0\7\0\0") + frame + b"".join(chunks)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


@pytest.mark.parametrize(
    "data",
    [
        png(1, 1, 8, 0, ROW, (b"eXIf", EXIF[6:])),
        png(1, 1, 8, 0, ROW, (b"eXIf", EXIF)),
        png(1, 1, 8, 0, ROW, (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw_profile(EXIF)))),
        png(1, 1, 8, 0, ROW, (b"tEXt", b"Raw profile type APP1\0" + raw_profile(EXIF))),
        png(1, 1, 8, 0, ROW, (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw_profile(EXIF[6:])))),
        png(1, 1, 8, 0, ROW, (b"tEXt", b"Raw profile type exif\0" + raw_profile(EXIF[6:]))),
        png(1, 1, 8, 0, ROW, (b"iTXt", b"Raw profile type exif\0\0\0\0\0" + raw_profile(EXIF[6:]))),
        webp(webp_chunk(b"EXIF", EXIF[6:])),
        webp(webp_chunk(b"odd ", b"x"), webp_chunk(b"EXIF", EXIF)),
        saved(Image.new("L", (8, 8)), exif=EXIF),
        saved(Image.new("L", (8, 8)), "MPO", save_all=True, append_images=[Image.new("L", (8, 8))], exif=EXIF),
        saved(Image.new("L", (8, 8)), exif=EXIF).replace(b"Exif\0\0", b"Exif\0\xff"),
    ],
    ids=range(12),
)
def test_exif_is_found_in_every_place_that_writers_use(tmp_path: Path, data: bytes) -> None:
    picture = see(tmp_path, data)
    assert (picture.position, picture.position_source, picture.model) == (FROM_EXIF, "EXIF", "Demo")
    assert (picture.damage, len(picture.thumbnails)) == (None, 2)


@pytest.mark.parametrize(
    "data",
    [
        png(1, 1, 8, 0, ROW, (b"iTXt", itxt(XMP, packed=False))),
        png(1, 1, 8, 0, ROW, (b"iTXt", itxt(XMP, packed=True))),
        png(1, 1, 8, 0, ROW, (b"zTXt", b"Raw profile type xmp\0\0" + zlib.compress(raw_profile(XMP)))),
        webp(webp_chunk(b"XMP ", XMP)),
        saved(Image.new("L", (8, 8)), xmp=XMP),
        saved(Image.new("L", (8, 8)), xmp=XMP, exif=block({**GPS, 1: ""})),
    ],
    ids=range(6),
)
def test_xmp_is_found_and_used_where_exif_has_no_position(tmp_path: Path, data: bytes) -> None:
    picture = see(tmp_path, data)
    assert (picture.position, picture.position_source, picture.position_problem) == (FROM_XMP, "XMP", None)
    assert (str(picture.taken_at), picture.taken_offset_minutes) == ("2026-11-20 14:07:31", 480)


def test_exif_wins_over_xmp_if_both_are_valid(tmp_path: Path) -> None:
    picture = see(tmp_path, saved(Image.new("L", (8, 8)), exif=EXIF, xmp=XMP))
    assert (picture.position, picture.position_source) == (FROM_EXIF, "EXIF")


def test_a_position_problem_in_exif_is_reported_before_one_in_xmp(tmp_path: Path) -> None:
    null_island = {**GPS, 2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)}
    bad_xmp = XMP.replace(b"26,30.0N", b"96,30.0N")
    for exif, xmp, problem in (
        (block(null_island), bad_xmp, ExifPositionProblem.NULL_ISLAND),
        (block(), bad_xmp, ExifPositionProblem.OUT_OF_RANGE),
        (block(), b"", ExifPositionProblem.ABSENT),
    ):
        assert see(tmp_path, saved(Image.new("L", (8, 8)), exif=exif, xmp=xmp)).position_problem is problem


def test_ten_megabytes_of_exif_are_read(tmp_path: Path) -> None:
    picture = see(tmp_path, png(1, 1, 8, 0, ROW, (b"eXIf", EXIF[6:] + bytes(10 * 2**20))))
    assert (picture.position, picture.damage) == (FROM_EXIF, None)


def test_a_compressed_xmp_bomb_is_cut_off() -> None:
    bomb = zlib.compress(b" " * 200 * 2**20)
    found = scan(io.BytesIO(png(1, 1, 8, 0, ROW, (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb))), "image/png")
    assert len(found.xmp) == 16 * 2**20


def test_exif_that_spans_several_segments_is_joined() -> None:
    tiff = bytes(range(256)) * 400
    parts = [tiff[at : at + 65_000] for at in range(0, len(tiff), 65_000)]
    app1 = b"".join(b"\xff\xe1" + (len(part) + 8).to_bytes(2) + b"Exif\0\0" + part for part in parts)
    jpeg = saved(Image.new("L", (8, 8)))
    found = scan(io.BytesIO(jpeg[:2] + app1 + jpeg[2:]), "image/jpeg")
    assert (found.exif, found.width, found.is_cut) == (tiff, 8, False)


def test_fill_bytes_and_garbage_between_segments_are_skipped() -> None:
    jpeg = saved(Image.new("L", (8, 8)), exif=EXIF)
    assert scan(io.BytesIO(jpeg[:2] + b"junk\xff\0\xff\xd0" + b"\xff" * 9 + jpeg[2:]), "image/jpeg").exif == EXIF[6:]


@pytest.mark.parametrize("options", [{}, {"lossless": True}], ids=["lossy", "lossless"])
def test_the_size_of_a_simple_webp_is_read(options: dict[str, bool]) -> None:
    found = scan(io.BytesIO(saved(Image.new("RGB", (301, 203)), "WEBP", **options)), "image/webp")
    assert found == Container(301, 203)
