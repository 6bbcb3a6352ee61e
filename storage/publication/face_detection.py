"""The one file that imports ONNX Runtime and NumPy: faces in a picture, by the CenterFace model.

Runs in the child process of `redacting`; decoding the picture is left to `covering`.
CenterFace: Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2019 (arXiv:1911.03599).
"""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime

from storage.formats.results import Face, Faces
from storage.publication.masking import View, decode_views

LONG_SIDES = (640, 1920)
"""Pixels of the two decode_views: in the small one large faces are seen whole, in the large one those in the background."""
THRESHOLD = 0.2
"""Low on purpose: a person takes a false face away at a glance, and does not see one that was missed so easily."""
OVERLAP = 0.3
"""Two boxes that share more than this part of their union are the same face."""
MARGIN = 0.15
"""Of the face's width and height, added on each side: the model's box ends at brow and chin."""
MAX_FACES = 200
STRIDE, MULTIPLE = 4, 32
"""One cell of the heat map is so many pixels; the network halves its input five times."""


def find(path: Path, model: str) -> Faces:
    """Faces of the picture by the model in that file, the surest first, at most 200.

    Raises `OSError` for files that can't be opened, `ValueError` for another model.
    """
    seen, damage = decode_views(path, LONG_SIDES, MULTIPLE)
    network = _network(model) if seen else None
    found = [face for view in seen if network for face in _detect(network, view)]
    shown = (_widen(face) for face in _suppress_overlaps(found))
    return Faces(tuple(face for face in shown if face.left < face.right and face.top < face.bottom), damage)


@cache
def _network(model: str) -> onnxruntime.InferenceSession:
    onnxruntime.set_default_logger_severity(3)  # it would say of each weight that it isn't optimised
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = (
        False  # the two decode_views differ in size: memory kept for one is of no use to the other
    )
    exact = _free_sizes(Path(model).read_bytes())
    return onnxruntime.InferenceSession(exact, options, providers=["CPUExecutionProvider"])


def _free_sizes(model: bytes) -> bytes:
    """The model with its sizes left open; as published it takes ten pictures of 32 by 32 pixels, and nothing else.

    In ONNX's protobuf a dimension is `dim_value` (field 1, a number) or `dim_param` (field 2, a name): an empty name, of
    the same length as the number, leaves it open.
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
        height, width = (float(np.exp(each)) * STRIDE for each in scale[0, :, row, column])
        down, across = (float(each) for each in offset[0, :, row, column])
        y, x = (row + down + 0.5) * STRIDE, (column + across + 0.5) * STRIDE
        yield Face(
            left=float((x - width / 2) / view.width),
            top=float((y - height / 2) / view.height),
            right=float((x + width / 2) / view.width),
            bottom=float((y + height / 2) / view.height),
            confidence=round(float(heat[0, 0, row, column]), 3),
        )


def _suppress_overlaps(found: Sequence[Face]) -> list[Face]:
    """The surest of each group that overlaps."""
    kept: list[Face] = []
    for face in sorted(found, key=lambda face: face.confidence, reverse=True):
        if len(kept) == MAX_FACES:
            break
        if all(_overlap(face, other) <= OVERLAP for other in kept):
            kept.append(face)
    return kept


def _overlap(one: Face, other: Face) -> float:
    """Intersection over union."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (_area(one) + _area(other) - shared)


def _area(face: Face) -> float:
    return (face.right - face.left) * (face.bottom - face.top)


def _widen(face: Face) -> Face:
    """With the margin, within the picture."""
    across, down = (face.right - face.left) * MARGIN, (face.bottom - face.top) * MARGIN
    return Face(
        left=round(max(face.left - across, 0.0), 4),
        top=round(max(face.top - down, 0.0), 4),
        right=round(min(face.right + across, 1.0), 4),
        bottom=round(min(face.bottom + down, 1.0), 4),
        confidence=face.confidence,
    )
