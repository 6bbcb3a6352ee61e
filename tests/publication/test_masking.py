"""Test covering: each pixel that a box touches is black, the picture is upright and whole, and no metadata is left."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from storage.formats.results import Covered, Damage
from storage.publication.masking import cover, decode_views, pixels_of
from tests.support.picture_files import BLACK, GPS, GREEN, RED, block, near, saved


def covered(folder: Path, body: bytes, *boxes: tuple[float, float, float, float]) -> tuple[Covered, Image.Image]:
    path, into = folder / "original", folder / "copy"
    path.write_bytes(body)
    with into.open("wb") as copy:
        answer = cover(path, boxes, copy)
    assert path.read_bytes() == body
    return answer, Image.open(io.BytesIO(into.read_bytes()))


def test_a_box_is_black_and_the_rest_is_unchanged(tmp_path: Path) -> None:
    answer, copy = covered(tmp_path, saved(Image.new("RGB", (200, 100), RED)), (0.25, 0.2, 0.5, 0.8))
    assert answer == Covered(200, 100)
    assert copy.size == (200, 100)
    # JPEG blends within its blocks of 8 pixels: well inside and well outside must be exact.
    assert all(near(copy.getpixel((x, y)), BLACK) for x in range(58, 93) for y in range(28, 73))
    assert all(near(copy.getpixel(at), RED) for at in ((5, 5), (40, 50), (120, 50), (75, 8), (75, 95)))


@pytest.mark.parametrize("format", ["JPEG", "HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_apply_to_the_upright_picture(tmp_path: Path, orientation: int, format: str) -> None:
    """The box is the upper left quarter as people see it, however the phone was held."""
    upright = Image.new("RGB", (160, 80), RED)
    upright.paste(GREEN, (0, 0, 80, 40))
    stored = {
        1: [],
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }[orientation]
    image = upright
    for turn in stored:
        image = image.transpose(turn)
    # Both encoders turn EXIF's orientation into the container's own properties, `irot` and `imir`.
    body = saved(image, format, exif=block(tag_0112=orientation))
    assert format == "JPEG" or orientation == 1 or {b"irot", b"imir"} & {body[at : at + 4] for at in range(len(body))}
    answer, copy = covered(tmp_path, body, (0, 0, 0.5, 0.5))
    assert (answer, copy.format, copy.size) == (Covered(160, 80), "JPEG", (160, 80))
    # Blocks of 8 and 16 pixels, of the copy and of the original, blend at the edges.
    assert all(near(copy.getpixel((x, y)), BLACK) for x in range(72) for y in range(32))
    assert all(near(copy.getpixel((x, y)), RED) for x in range(100, 160) for y in range(80))
    assert all(near(copy.getpixel((x, y)), RED) for x in range(160) for y in range(60, 80))
    assert not any(near(copy.getpixel((x, y)), GREEN) for x in range(160) for y in range(80))
    assert not copy.getexif()


def test_no_metadata_of_any_kind_is_left(tmp_path: Path) -> None:
    inner = Image.new("RGB", (64, 64), GREEN)
    exif = block(GPS, tag_010F="SecretPhone", tag_0110="SecretModel", tag_9286="SecretNote")
    body = saved(
        Image.new("RGB", (64, 64), RED), exif=exif, comment=b"SecretComment", xmp=b"<x>SecretXmp</x>", dpi=(300, 300),
        icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    )  # fmt: skip
    polyglot = body + b"PK\x03\x04SecretTrailer" + saved(inner)
    _, copy = covered(tmp_path, polyglot)
    left = (tmp_path / "copy").read_bytes()
    assert b"Secret" in polyglot
    assert b"Secret" not in left
    assert {"exif", "xmp", "comment", "icc_profile"}.isdisjoint(copy.info)
    assert not copy.getexif()
    markers = [left[at : at + 2] for at in range(len(left) - 1) if left[at] == 0xFF and 0xE1 <= left[at + 1] <= 0xEF]
    assert markers == []  # no APP1 to APP15, and so no embedded thumbnail
    assert left.endswith(b"\xff\xd9")
    assert left.count(b"\xff\xd8\xff") == 1


def test_colours_hidden_by_transparency_stay_hidden(tmp_path: Path) -> None:
    body = saved(Image.new("RGBA", (64, 64), (*GREEN, 0)), "PNG")
    _, copy = covered(tmp_path, body, (0, 0, 0.5, 1))
    assert (copy.format, copy.mode) == ("JPEG", "RGB")
    assert near(copy.getpixel((60, 30)), (255, 255, 255))
    assert near(copy.getpixel((10, 30)), BLACK)


def test_a_truncated_picture_is_covered_too(tmp_path: Path) -> None:
    whole = saved(Image.effect_noise((640, 480), 60).convert("RGB"))
    answer, copy = covered(tmp_path, whole[: len(whole) // 2], (0, 0, 1, 0.1))
    assert (answer.damage, copy.size) == (None, (640, 480))
    assert near(copy.getpixel((320, 20)), BLACK)


@pytest.mark.parametrize(
    ("body", "damage"),
    [(b"", Damage.EMPTY), (b"%PDF-1.7 no picture", Damage.UNSUPPORTED), (b"\xff\xd8\xff\xe0nothing", Damage.CORRUPT)],
)
def test_a_file_that_is_not_a_picture_leaves_no_copy(tmp_path: Path, body: bytes, damage: Damage) -> None:
    path, into = tmp_path / "original", io.BytesIO()
    path.write_bytes(body)
    found = cover(path, [], into).damage
    assert found in {damage, Damage.TRUNCATED}
    assert into.getvalue() == b""
    assert decode_views(path, [64], 32)[1] == found


def test_a_decompression_bomb_leaves_no_copy(tmp_path: Path) -> None:
    path, into = tmp_path / "original", io.BytesIO()
    path.write_bytes(saved(Image.new("1", (12_000, 9_000)), "PNG"))
    assert cover(path, [], into) == Covered(damage=Damage.TOO_MANY_PIXELS)
    assert decode_views(path, [64], 32) == ([], Damage.TOO_MANY_PIXELS)
    assert into.getvalue() == b""


EDGE = st.floats(0, 1, allow_subnormal=False)


@given(EDGE, EDGE, st.integers(1, 9000))
def test_a_box_is_rounded_outwards_within_the_picture(one: float, other: float, side: int) -> None:
    low, high = sorted((one, other))
    left, _, right, _ = pixels_of((low, 0, high, 1), side, side)
    assert 0 <= left <= low * side
    assert high * side <= right <= side
    json.dumps([left, right])
    if high - low > 1e-9:
        assert left < right


def test_views_are_upright_and_fit_the_network(tmp_path: Path) -> None:
    path = tmp_path / "original"
    image = Image.new("RGB", (300, 400), RED)
    image.paste(GREEN, (0, 0, 300, 40))  # upright, this is the right edge
    path.write_bytes(saved(image, exif=block(tag_0112=6)))
    [small, large], damage = decode_views(path, [64, 320], 32)
    assert damage is None
    assert ((small.width, small.height), (large.width, large.height)) == ((64, 64), (320, 256))
    assert len(large.pixels) == 320 * 256 * 3
    assert near(tuple(large.pixels[(320 - 4) * 3 : (320 - 4) * 3 + 3]), GREEN)
    assert near(tuple(large.pixels[:3]), RED)
