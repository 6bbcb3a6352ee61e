"""Test face detection in a child with limits: drawn faces are found in every orientation, and nothing else is.

The people are drawings from the demo. Drawings suffice to test that model and decoding fit together, so no photo of a
real person is needed.
"""

import importlib.metadata
import importlib.util
import io
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from scripts.demo.scenes import draw_scene
from storage.formats.results import Damage, Face, Faces
from storage.publication.face_detection import find
from storage.publication.redaction_sandbox import FaceFinder, face_model
from tests.support.picture_files import block, saved
from tests.support.process_states import environment_of

pytestmark = pytest.mark.anyio
COUNTER = draw_scene(1, 1600, 1200, [])
CLERKS = ((0.1708, 0.5533), (0.8328, 0.5542), (0.5094, 0.5542))
"""Centres (x, y) of the faces of the three clerks in `COUNTER`, as fractions of its width and height."""


@pytest.fixture
def model() -> Path:
    found = face_model()
    assert found is not None
    return found


def kept(folder: Path, body: bytes) -> Path:
    path = folder / "picture"
    path.write_bytes(body)
    return path


def middles(faces: tuple[Face, ...]) -> list[tuple[float, float]]:
    return [((face.left + face.right) / 2, (face.top + face.bottom) / 2) for face in faces]


def assert_are_the_clerks(faces: tuple[Face, ...]) -> None:
    assert len(faces) == len(CLERKS)
    for x, y in CLERKS:
        assert any(abs(x - across) < 0.01 and abs(y - down) < 0.01 for across, down in middles(faces)), (x, y)


def test_every_face_is_found_and_covered_whole(tmp_path: Path, model: Path) -> None:
    found = find(kept(tmp_path, COUNTER), str(model))
    assert_are_the_clerks(found.faces)
    confidences = [face.confidence for face in found.faces]
    assert confidences == sorted(confidences, reverse=True)
    for face in found.faces:  # a drawn head is 78 by 96 units of a frame that is 1333 by 1000
        assert 0.04 < face.right - face.left < 0.09
        assert 0.07 < face.bottom - face.top < 0.13


def test_faces_are_found_in_a_picture_held_sideways(tmp_path: Path, model: Path) -> None:
    sideways = Image.open(io.BytesIO(COUNTER)).transpose(Image.Transpose.ROTATE_90)
    assert_are_the_clerks(find(kept(tmp_path, saved(sideways, exif=block(tag_0112=6), quality=92)), str(model)).faces)


def test_the_box_of_a_face_at_the_edge_stays_within_the_picture(tmp_path: Path, model: Path) -> None:
    across = 0.1708 * 1600
    cut = Image.open(io.BytesIO(COUNTER)).crop((int(across) - 25, 500, 1600, 1200))
    faces = find(kept(tmp_path, saved(cut, quality=92)), str(model)).faces
    assert min(face.left for face in faces) == 0.0
    assert all(0 <= face.left < face.right <= 1 and 0 <= face.top < face.bottom <= 1 for face in faces)


def test_no_face_is_found_in_text_noise_or_a_blank_picture(tmp_path: Path, model: Path) -> None:
    page = Image.new("RGB", (1240, 900), "white")
    canvas = ImageDraw.Draw(page)
    for line in range(22):
        canvas.text(
            (60, 40 + line * 38), "Rules of the service counter 0123456789", "black", ImageFont.load_default(28)
        )
    noise = Image.effect_noise((800, 600), 80).convert("RGB")
    for image in (page, noise, Image.new("RGB", (40, 30), "grey")):
        assert find(kept(tmp_path, saved(image)), str(model)) == Faces()


def test_an_undecodable_file_is_reported_as_damaged(tmp_path: Path, model: Path) -> None:
    assert find(kept(tmp_path, b"%PDF-1.7"), str(model)) == Faces(damage=Damage.UNSUPPORTED)


def test_a_wrong_model_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "model"
    other.write_bytes(b"\x08\x07no such network")
    with pytest.raises(ValueError, match="CenterFace"):
        find(kept(tmp_path, COUNTER), str(other))


async def test_a_child_finds_the_faces_within_its_caps(tmp_path: Path, model: Path) -> None:
    path = kept(tmp_path, COUNTER)
    async with FaceFinder(model) as finder:
        assert await finder.find(path) == find(path, str(model))
        assert "ORT_DISABLE_TELEMETRY=1" in environment_of(finder.pid)


async def test_a_crash_or_a_timeout_is_reported_as_damage(tmp_path: Path, model: Path) -> None:
    other = tmp_path / "model"
    other.write_bytes(b"no model")
    async with FaceFinder(other) as finder:
        assert await finder.find(kept(tmp_path, COUNTER)) == Faces(damage=Damage.CRASHED)
    async with FaceFinder(model, seconds=0.01) as finder:
        assert await finder.find(kept(tmp_path, COUNTER)) == Faces(damage=Damage.TIMED_OUT)


def test_without_the_extra_there_is_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else object())
        assert face_model() is None

    def missing(name: str) -> importlib.metadata.Distribution:
        raise importlib.metadata.PackageNotFoundError(name)

    with monkeypatch.context() as patched:
        patched.setattr(importlib.metadata, "distribution", missing)
        assert face_model() is None
