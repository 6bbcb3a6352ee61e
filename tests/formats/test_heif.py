"""Test the metadata and damage of HEIC and AVIF pictures, and the videos inside motion photos."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from storage.formats import heif_tiles, pictures
from storage.formats.exif import ExifPositionProblem
from storage.formats.reader import examine
from storage.formats.results import Damage, ReadResult
from tests.support.media_files import box, video, xmp
from tests.support.picture_files import GPS, block, saved

RED, BLUE = (220, 30, 30), (40, 60, 220)
PLACE = 'exif:GPSLatitude="25,49.75302N" exif:GPSLongitude="114,56.01672E"'
MOTION = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:G="http://ns.google.com/photos/1.0/camera/" '
    'xmlns:C="http://ns.google.com/photos/1.0/container/" xmlns:I="http://ns.google.com/photos/1.0/container/item/" %s>%s'
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
)


@pytest.fixture
def see(tmp_path: Path) -> Callable[[bytes], ReadResult]:
    def look(data: bytes) -> ReadResult:
        path = tmp_path / "upload"
        path.write_bytes(data)
        picture = examine(path)
        assert path.read_bytes() == data
        return picture

    return look


@pytest.mark.parametrize("format", ["HEIF", "AVIF", "JPEG", "PNG", "WEBP"])
def test_exif_comes_before_xmp_and_xmp_alone_is_used(see: Callable[[bytes], ReadResult], format: str) -> None:
    def made(**options: Any) -> ReadResult:
        return see(saved(Image.new("RGB", (64, 48), RED), format, **options))

    if format == "PNG":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp(PLACE).decode())
        alone = made(pnginfo=info)
    else:
        alone = made(xmp=xmp(PLACE))
    both = made(exif=block(GPS, tag_010F="Demo"), xmp=xmp(PLACE.replace("25,", "26,")))
    for picture, source in ((both, "EXIF"), (alone, "XMP")):
        assert (picture.position_source, picture.damage) == (source, None)
        assert (picture.display_width, picture.display_height) == (64, 48)  # a HEIC this small is coded larger
        assert picture.position
        assert picture.position.latitude == pytest.approx(25.829217, abs=1e-6)
        assert picture.position.longitude == pytest.approx(114.933612, abs=1e-6)
    assert both.make == "Demo"


@pytest.mark.parametrize("format", ["HEIF", "AVIF", "JPEG"])
def test_a_void_fix_is_stated_but_not_used_as_the_position(see: Callable[[bytes], ReadResult], format: str) -> None:
    picture = see(saved(Image.new("RGB", (64, 48)), format, exif=block(GPS | {9: "V"}), xmp=xmp(PLACE)))
    assert (picture.position, picture.position_problem) == (None, ExifPositionProblem.VOID_FIX)
    assert picture.stated == pytest.approx((25.829217, 114.933612), abs=1e-6)
    active = see(saved(Image.new("RGB", (64, 48)), format, exif=block(GPS | {9: "A"})))
    assert (active.position_problem, active.stated) == (None, None)
    alone = see(saved(Image.new("RGB", (64, 48)), format, xmp=xmp(PLACE + ' exif:GPSStatus="V"')))
    assert (alone.position, alone.position_problem) == (None, ExifPositionProblem.VOID_FIX)


def test_a_picture_is_never_rotated_twice(see: Callable[[bytes], ReadResult]) -> None:
    """Phones write the rotation both into the container and into EXIF, so it must be applied only once."""
    image = Image.new("RGB", (96, 64), BLUE)
    image.paste(RED, (0, 0, 48, 64))
    picture = see(saved(image, "HEIF", exif=block(tag_0112=6, tag_0110="Demo")))
    assert (picture.orientation, picture.turn, picture.rotation) == (6, 6, 90)
    assert (picture.width, picture.height, picture.display_width, picture.display_height) == (96, 64, 64, 96)
    shown = Image.open(io.BytesIO(picture.thumbnails[0].data)).convert("RGB")
    assert shown.size == (64, 96)
    red, _, blue = shown.getpixel((32, 8))  # type: ignore[misc]
    assert red > blue


@pytest.mark.parametrize("format", ["HEIF", "AVIF"])
@pytest.mark.parametrize("tenths", [2, 5, 8])
def test_a_truncated_picture_is_reported_and_keeps_its_size(
    see: Callable[[bytes], ReadResult], format: str, tenths: int
) -> None:
    noise = Image.effect_noise((400, 300), 80).convert("RGB")
    data = saved(noise, format, exif=block(GPS, tag_0110="Demo"))
    picture = see(data[: len(data) * tenths // 10])
    assert (picture.damage, picture.width, picture.height) == (Damage.TRUNCATED, 400, 300)


def test_unwritten_pixels_are_reported_as_corrupt(see: Callable[[bytes], ReadResult]) -> None:
    """A file has unwritten pixels if a program reserved the space for a copy and then broke off.

    libheif shows these pixels in green and reports nothing.
    """
    whole = saved(Image.effect_noise((400, 300), 80).convert("RGB"), "HEIF", exif=block(GPS))
    at = whole.index(b"mdat") + 4
    picture = see(whole[:at] + bytes(len(whole) - at))
    assert (picture.damage, picture.width) == (Damage.CORRUPT, 400)
    assert see(whole).damage is None


def still(packet: str = "", behind: bytes = b"") -> bytes:
    options: dict[str, Any] = {"xmp": packet.encode()} if packet else {}
    return saved(Image.new("RGB", (64, 48), RED), exif=block(GPS), **options) + behind


def test_the_video_of_a_motion_photo_is_found(see: Callable[[bytes], ReadResult]) -> None:
    movie, gain_map = video(), still()
    tail = b"\0\0\0\0SEFT trailer"
    item = '<C:Directory><rdf:Seq><rdf:li C:Item=""><C:Item I:Mime="video/mp4" I:Semantic="MotionPhoto" I:Length="%d"/>'
    announced = [
        MOTION % (f'G:MicroVideo="1" G:MicroVideoOffset="{len(movie)}"', ""),
        MOTION % (f'G:MotionPhoto="1" G:MotionPhotoOffset="{len(movie)}"', ""),
        MOTION % ("", item % len(movie) + "</rdf:li></rdf:Seq></C:Directory>"),
        MOTION % ('G:MicroVideoOffset="7"', ""),  # a false offset: the video is found anyway
        "",
    ]
    for packet in announced:
        for before, after in ((b"", b""), (gain_map, b""), (b"MotionPhoto_Data", tail)):
            data = still(packet, before + movie + after)
            picture = see(data)
            assert (picture.content_type, picture.damage, picture.width) == ("image/jpeg", None, 64)
            assert (picture.motion_offset, picture.motion_bytes) == (data.index(movie), len(movie)), packet
            assert len(picture.thumbnails) == 2


def test_a_video_that_is_announced_but_missing_is_not_reported(see: Callable[[bytes], ReadResult]) -> None:
    for data in (still(MOTION % ('G:MicroVideoOffset="300"', "")), still("", b"PK\3\4" + bytes(500)), still()):
        picture = see(data)
        assert (picture.motion_offset, picture.motion_bytes, picture.damage) == (None, None, None)


def test_the_video_in_a_samsung_box_is_found(see: Callable[[bytes], ReadResult]) -> None:
    data, movie = saved(Image.new("RGB", (64, 48)), "HEIF"), video()
    picture = see(data + box(b"mpvd", movie))
    assert (picture.motion_offset, picture.motion_bytes, picture.damage) == (len(data) + 8, len(movie), None)


@pytest.mark.parametrize("format", ["HEIF", "AVIF"])
def test_a_picture_above_the_pixel_limit_keeps_its_facts(
    see: Callable[[bytes], ReadResult], monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    monkeypatch.setattr(pictures, "DECODED_PIXELS", 64 * 48 - 1)
    monkeypatch.setattr(heif_tiles, "MAX_PIXELS", 64 * 48 - 1)
    picture = see(saved(Image.new("RGB", (64, 48), RED), format, exif=block(GPS, tag_010F="Demo")))
    assert (picture.damage, picture.thumbnails, picture.likeness) == (Damage.TOO_MANY_PIXELS, (), ())
    assert (picture.display_width, picture.display_height, picture.make) == (64, 48, "Demo")
    assert picture.position
    assert picture.position.latitude == pytest.approx(25.829217, abs=1e-6)
