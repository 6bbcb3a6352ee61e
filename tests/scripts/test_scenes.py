"""Test demo scenes: each seed draws its own picture, and the position and time in the picture are read back."""

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from scripts.demo.scenes import SceneExif, draw_scene
from storage.formats.pictures import examine

NOON = datetime.fromisoformat("2026-11-20T14:07:31.250")


def test_each_seed_draws_its_own_picture() -> None:
    exif = SceneExif(25.829217, 114.933612, NOON)
    scenes = [draw_scene(seed, 320, 240, ["03"], exif) for seed in (1, 1, 2, 3, 4, 5)]
    assert scenes[0] == scenes[1]
    assert len(set(scenes)) == 5


@pytest.mark.parametrize("size", [(800, 600), (600, 800), (960, 540), (64, 64)])
def test_a_scene_has_the_requested_size(size: tuple[int, int]) -> None:
    with Image.open(io.BytesIO(draw_scene(9, *size, ["窗口 03", "", "2026-11-20 14:07"]))) as image:
        assert (image.size, dict(image.getexif())) == (size, {})


@pytest.mark.parametrize(
    ("exif", "fixed"),
    [
        (SceneExif(25.829217, 114.933612, NOON, 480, 112.5, 8), datetime(2026, 11, 20, 6, 7, 31, tzinfo=UTC)),
        (SceneExif(-33.859972, -70.658472, NOON, -210, -2.25), datetime(2026, 11, 20, 17, 37, 31, tzinfo=UTC)),
        (SceneExif(59.9999999, 179.9999999, NOON, 0), datetime(2026, 11, 20, 14, 7, 31, tzinfo=UTC)),
    ],
)
def test_the_exif_data_of_a_scene_are_read_back(tmp_path: Path, exif: SceneExif, fixed: datetime) -> None:
    (tmp_path / "scene").write_bytes(draw_scene(3, 320, 240, [], exif))
    picture = examine(tmp_path / "scene")
    position = picture.position
    assert position is not None
    assert (position.latitude, position.longitude) == pytest.approx((exif.latitude, exif.longitude), abs=1e-7)
    assert (position.altitude_metres, position.accuracy_metres) == (exif.altitude_metres, exif.accuracy_metres)
    assert (position.fixed_at, position.datum) == (fixed, "WGS-84")
    assert (picture.taken_at, picture.taken_offset_minutes) == (NOON, exif.offset_minutes)
    assert (picture.make, picture.model, picture.orientation, picture.damage) == ("Mingcha", "Demo", 1, None)
