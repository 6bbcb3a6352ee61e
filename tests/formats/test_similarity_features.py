"""Test that keypoints stay what they are: a copy is found by comparing its keypoints with stored ones.

The digests are of what the first version made of these pictures. Another version of Pillow may scale otherwise.
"""

import hashlib

import pytest
from PIL import Image

from storage.formats import similarity_features
from storage.similarity.keypoints import unpack


def noise(width: int, height: int, scale: int) -> Image.Image:
    """Make a picture of soft light and dark spots, the same on every machine."""
    small = (width // scale, height // scale)
    grey = Image.frombytes("L", small, hashlib.shake_256(bytes([scale])).digest(small[0] * small[1]))
    return grey.resize((width, height), Image.Resampling.BICUBIC)


def checks(side: int) -> Image.Image:
    """Make a symmetrical picture, in which many peaks are equally strong and some frequencies are zero."""
    return Image.frombytes(
        "L", (16, 16), bytes(255 * (x // 2 + y // 2) % 256 for y in range(16) for x in range(16))
    ).resize((side, side), Image.Resampling.NEAREST)


@pytest.mark.parametrize(
    ("picture", "count", "digest"),
    [
        (noise(320, 240, 8), 72, "52a2aba9da80f3d5"),
        (noise(240, 320, 20), 56, "5bbb9b69c19f9adb"),
        (noise(320, 60, 12), 30, "96292bab48ed6868"),
        (noise(320, 28, 4), 0, "146887db462926b9"),
        (checks(320), 27, "b740066fca76b705"),
    ],
    ids=["landscape", "portrait", "strip", "too narrow", "checks"],
)
def test_pictures_have_the_keypoints_that_the_first_version_stored(
    picture: Image.Image, count: int, digest: str
) -> None:
    packed = similarity_features._compute_keypoints(picture)
    assert len(unpack(packed).marks) == count
    assert hashlib.sha256(packed).hexdigest()[:16] == digest
