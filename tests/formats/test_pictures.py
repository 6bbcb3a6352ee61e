"""Test pictures of every orientation, colour mode and format: thumbnails are upright and carry no metadata."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms

from storage.formats.pictures import examine
from storage.formats.results import ReadResult, from_json, to_json
from tests.support.picture_files import GPS, block, png, saved

PHOTOS = Path(__file__).parents[3] / "shared/data/photos"
RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 180, 60), (40, 60, 220), (255, 255, 255)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "upload"


def see(file: Path, data: bytes) -> ReadResult:
    file.write_bytes(data)
    picture = examine(file)
    assert from_json(to_json(picture), ReadResult) == picture
    return picture


def thumbnail(picture: ReadResult, place: int = 0) -> Image.Image:
    return Image.open(io.BytesIO(picture.thumbnails[place].data))


def assert_colour(seen: Any, wanted: tuple[int, ...], tolerance: int = 12) -> None:
    assert all(abs(a - b) <= tolerance for a, b in zip(seen, wanted, strict=True)), f"{seen} is not {wanted}"


# The sides of the scene in the stored picture's first row and first column (EXIF 3.0, table 6).
SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def turned(scene: Image.Image, orientation: int) -> Image.Image:
    """Return the scene as a camera stores it in this orientation. Each pixel is placed as the EXIF standard says."""
    first_row, first_column = SIDES[orientation]
    swapped = orientation >= 5
    stored = Image.new("RGB", (scene.height, scene.width) if swapped else scene.size)
    for row in range(stored.height):
        for column in range(stored.width):
            across, down = (row, column) if swapped else (column, row)
            x = scene.width - 1 - across if "right" in (first_row, first_column) else across
            y = scene.height - 1 - down if "bottom" in (first_row, first_column) else down
            stored.putpixel((column, row), scene.getpixel((x, y)))  # type: ignore[arg-type]
    return stored


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_thumbnails_are_upright(file: Path, orientation: int, format: str) -> None:
    scene = Image.new("RGB", (96, 64), WHITE)
    for corner, colour in (((0, 0), RED), ((64, 0), GREEN), ((0, 32), BLUE)):
        scene.paste(colour, (*corner, corner[0] + 32, corner[1] + 32))
    picture = see(file, saved(turned(scene, orientation), format, exif=block(tag_0112=orientation), quality=95))
    if format not in {"HEIF", "AVIF"}:  # their encoders move the rotation from EXIF into the container
        assert picture.orientation == orientation
    assert (picture.turn, picture.display_width, picture.display_height) == (orientation, 96, 64)
    assert (picture.width, picture.height) == ((96, 64) if orientation < 5 else (64, 96))
    for place in (0, 1):
        upright = thumbnail(picture, place).convert("RGB")
        assert upright.size == (96, 64)
        for point, colour in (((8, 8), RED), ((88, 8), GREEN), ((8, 56), BLUE), ((88, 56), WHITE)):
            assert_colour(upright.getpixel(point), colour, 30)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_out_of_range_counts_as_upright(file: Path, orientation: int) -> None:
    picture = see(file, saved(Image.new("RGB", (90, 60), RED), exif=block(tag_0112=orientation)))
    assert (picture.orientation, picture.display_width, picture.display_height) == (orientation, 90, 60)
    assert thumbnail(picture).size == (90, 60)


@pytest.mark.parametrize(
    ("size", "large", "small"),
    [
        ((3000, 1500), (1280, 640), (320, 160)),
        ((1500, 3000), (640, 1280), (160, 320)),
        ((1280, 960), (1280, 960), (320, 240)),
        ((321, 20), (321, 20), (320, 20)),
        ((16, 9), (16, 9), (16, 9)),
        ((1, 1), (1, 1), (1, 1)),
        ((9000, 3), (1280, 1), (320, 1)),
    ],
)
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_thumbnails_are_never_larger_than_the_picture(
    file: Path, format: str, size: tuple[int, int], large: tuple[int, int], small: tuple[int, int]
) -> None:
    picture = see(file, saved(Image.new("RGB", size, BLUE), format))
    assert [thumbnail(picture, place).size for place in (0, 1)] == [large, small]
    assert [(found.width, found.height) for found in picture.thumbnails] == [large, small]
    assert_colour(thumbnail(picture).getpixel((0, 0)), BLUE)


def segments(jpeg: bytes) -> list[int]:
    """Return the marker codes before the scan."""
    codes, at = [], 2
    while jpeg[at + 1] != 0xDA:
        codes.append(jpeg[at + 1])
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4])
    return codes


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
def test_thumbnails_carry_no_metadata_or_trailing_bytes(file: Path, format: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    options: dict[str, Any] = {"exif": block(GPS, tag_010F="secret"), "icc_profile": profile, "dpi": (72, 72)}
    options |= {"comment": b"secret"} if format == "JPEG" else {}
    options |= {"xmp": b"<secret/>"} if format != "PNG" else {}
    original = saved(Image.new("RGB", (400, 300), GREEN), format, **options) + b"PK\3\4secret"
    picture = see(file, original)
    assert (picture.make, picture.damage) == ("secret", None)
    for found in picture.thumbnails:
        assert b"secret" not in found.data
        assert b"Exif" not in found.data
        assert {code for code in segments(found.data) if 0xE0 <= code <= 0xEF or code == 0xFE} == {0xE0}
        assert_colour(Image.open(io.BytesIO(found.data)).getpixel((5, 5)), GREEN)
    assert file.read_bytes() == original


def palette() -> bytes:
    image = Image.new("P", (40, 40), 1)
    image.putpalette([*RED, *GREEN])
    image.paste(0, (0, 0, 20, 40))
    return saved(image, "PNG", transparency=0)


def half_clear(mode: str) -> bytes:
    image = Image.new(mode, (40, 40), (*GREEN, 255) if mode == "RGBA" else (90, 255))
    image.paste((0,) * len(image.getbands()), (0, 0, 20, 40))
    return saved(image, "PNG")


def animated(format: str) -> bytes:
    frames = [Image.new("RGB", (40, 40), colour) for colour in (RED, GREEN, BLUE)]
    return saved(frames[0], format, save_all=True, append_images=frames[1:], duration=100)


@pytest.mark.parametrize(
    ("data", "left", "right"),
    [
        pytest.param(saved(Image.new("CMYK", (40, 40), (0, 255, 255, 0))), (255, 0, 0), (255, 0, 0), id="cmyk"),
        pytest.param(saved(Image.new("L", (40, 40), 90)), (90,) * 3, (90,) * 3, id="grey"),
        pytest.param(saved(Image.new("1", (40, 40), 1), "PNG"), WHITE, WHITE, id="bit"),
        pytest.param(saved(Image.new("I;16", (40, 40), 0x8080), "PNG"), (128,) * 3, (128,) * 3, id="grey16"),
        pytest.param(
            png(2, 2, 16, 2, (b"\0" + b"\xff\xff\x80\x80\x00\x00" * 2) * 2), (255, 128, 0), (255, 128, 0), id="rgb16"
        ),
        pytest.param(palette(), WHITE, GREEN, id="palette"),
        pytest.param(half_clear("RGBA"), WHITE, GREEN, id="rgba"),
        pytest.param(half_clear("LA"), WHITE, (90,) * 3, id="la"),
        pytest.param(saved(Image.new("RGBA", (40, 40), (*RED, 0)), "WEBP"), WHITE, WHITE, id="clear"),
        pytest.param(saved(Image.new("RGB", (40, 40), RED), "WEBP", lossless=True), RED, RED, id="webp"),
        pytest.param(animated("WEBP"), RED, RED, id="awebp"),
        pytest.param(animated("PNG"), RED, RED, id="apng"),
        pytest.param(animated("MPO"), RED, RED, id="mpo"),
        pytest.param(saved(Image.new("RGB", (40, 40), BLUE), progressive=True), BLUE, BLUE, id="progressive"),
        pytest.param(saved(Image.new("RGB", (40, 40), BLUE), icc_profile=b"no profile"), BLUE, BLUE, id="bad-icc"),
    ],
)
def test_every_colour_mode_and_format_is_shown_in_its_colours(
    file: Path, data: bytes, left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    picture = see(file, data)
    assert (picture.damage, len(picture.thumbnails)) == (None, 2)
    shown = thumbnail(picture)
    assert (shown.mode, shown.size) == ("RGB", (picture.width, picture.height))
    assert_colour(shown.getpixel((0, 0)), left, 14)
    assert_colour(shown.getpixel((shown.width - 1, shown.height - 1)), right, 14)


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="../shared/data is missing")
def test_a_wide_colour_space_becomes_srgb(file: Path) -> None:
    with Image.open(PHOTOS / "vivo-x90pro-shenzhen.jpg") as photo:
        profile = photo.info["icc_profile"]  # Display P3
    picture = see(file, saved(Image.new("RGB", (40, 40), (200, 100, 100)), "PNG", icc_profile=profile))
    assert_colour(thumbnail(picture).getpixel((20, 20)), (214, 95, 97), 6)


def test_a_picture_of_108_megapixels_is_read(file: Path) -> None:
    picture = see(file, saved(Image.new("L", (12000, 9000), 90), quality=30))
    assert (picture.damage, picture.width, picture.height) == (None, 12000, 9000)
    assert thumbnail(picture).size == (1280, 960)
