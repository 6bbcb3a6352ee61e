"""Detect faces in a picture with the CenterFace model, ONNX Runtime and NumPy. This runs in a sandboxed child process.

CenterFace: Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2019 (arXiv:1911.03599).
"""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime

from storage.formats.media_sources import MediaSource
from storage.formats.results import Face, Faces
from storage.publication.masking import View, decode_views

LONG_SIDES = (640, 1920)
"""Long sides, in pixels, of the two sizes in which a picture is searched.

Large faces are found in the small view, and small faces in the background are found in the large view.
"""
THRESHOLD = 0.2
"""Minimum confidence of a face. It is low on purpose: people remove a false face easily, but overlook a missing one."""
OVERLAP = 0.3
"""Maximum intersection over union of the boxes of two faces. With more overlap, the boxes count as the same face."""
MARGIN = 0.15
"""Share of a face's width and height that is added on each side, because the model's box ends at brow and chin."""
MAX_FACES = 200
STRIDE, MULTIPLE = 4, 32
"""`STRIDE` is the number of pixels per cell of the heat map. The sides of a view must be multiples of `MULTIPLE`.

The reason is that the network halves its input five times.
"""


def find(medium: MediaSource, model: str) -> Faces:
    """Find at most `MAX_FACES` faces in the picture, highest confidence first. `model` is the path of the model's file.

    Raise `OSError` if a file can't be opened, and `ValueError` if `model` is not the CenterFace model of 2019.
    """
    views, damage = decode_views(medium, LONG_SIDES, MULTIPLE)
    network = _network(model) if views else None
    detections = [face for view in views if network for face in _detect(network, view)]
    faces = (_widen(face) for face in _suppress_overlaps(detections))
    return Faces(tuple(face for face in faces if face.left < face.right and face.top < face.bottom), damage)


@cache
def _network(model: str) -> onnxruntime.InferenceSession:
    onnxruntime.set_default_logger_severity(3)  # otherwise it logs every weight that is not optimised
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = (
        False  # the two views differ in size, so memory of the first is no use for the second
    )
    resizable = _free_sizes(Path(model).read_bytes())
    return onnxruntime.InferenceSession(resizable, options, providers=["CPUExecutionProvider"])


def _free_sizes(model: bytes) -> bytes:
    """Return the model changed so that it accepts pictures of any size.

    The published model accepts only batches of ten 32 x 32 pictures. In ONNX's protobuf, a dimension is a `dim_value`
    (field 1, a number) or a `dim_param` (field 2, a name). Each fixed number is replaced by an empty name, which has
    the same length in bytes and leaves the dimension open.
    """
    for channels, side in ((3, 32), (1, 8), (2, 8), (10, 8)):
        fixed = b"".join(b"\x0a\x02\x08%c" % size for size in (10, channels, side, side))
        if fixed not in model:
            raise ValueError("not the CenterFace model of 2019")
        model = model.replace(fixed, b"\x0a\x02\x12\0\x0a\x02\x08%c\x0a\x02\x12\0\x0a\x02\x12\0" % channels)
    return model


def _detect(network: onnxruntime.InferenceSession, view: View) -> Iterator[Face]:
    pixels = np.frombuffer(view.pixels, np.uint8).reshape(view.height, view.width, 3)
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis], dtype=np.float32)
    heat, scale, offset, _ = network.run(None, {network.get_inputs()[0].name: planes})
    for row, column in np.argwhere(heat[0, 0] > THRESHOLD):
        height, width = (float(np.exp(side)) * STRIDE for side in scale[0, :, row, column])
        down, across = (float(shift) for shift in offset[0, :, row, column])
        y, x = (row + down + 0.5) * STRIDE, (column + across + 0.5) * STRIDE
        yield Face(
            left=float((x - width / 2) / view.width),
            top=float((y - height / 2) / view.height),
            right=float((x + width / 2) / view.width),
            bottom=float((y + height / 2) / view.height),
            confidence=round(float(heat[0, 0, row, column]), 3),
        )


def _suppress_overlaps(faces: Sequence[Face]) -> list[Face]:
    """Drop each face that overlaps a face with higher confidence. Keep at most `MAX_FACES`."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: face.confidence, reverse=True):
        if len(kept) == MAX_FACES:
            break
        if all(_overlap(face, other) <= OVERLAP for other in kept):
            kept.append(face)
    return kept


def _overlap(one: Face, other: Face) -> float:
    """Return the intersection over union of two faces' boxes."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (_area(one) + _area(other) - shared)


def _area(face: Face) -> float:
    return (face.right - face.left) * (face.bottom - face.top)


def _widen(face: Face) -> Face:
    """Add `MARGIN` on each side of a face's box. Clip the box to the picture."""
    across, down = (face.right - face.left) * MARGIN, (face.bottom - face.top) * MARGIN
    return Face(
        left=round(max(face.left - across, 0.0), 4),
        top=round(max(face.top - down, 0.0), 4),
        right=round(min(face.right + across, 1.0), 4),
        bottom=round(min(face.bottom + down, 1.0), 4),
        confidence=face.confidence,
    )
