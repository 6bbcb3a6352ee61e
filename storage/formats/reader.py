"""What any medium says of itself: by its content, each goes to the reader of its kind; run in the child of `decoding`.

Reading pictures is left to `pictures`, videos to `movies` and `frames`, sounds to `sounds`, documents to `pdfs`.
"""

from dataclasses import replace
from pathlib import Path

from storage.formats import pictures
from storage.formats.audio import read_sound
from storage.formats.content_types import HEAD_BYTES, sniff
from storage.formats.movies import read_movie
from storage.formats.results import Damage, ReadResult
from storage.formats.similarity_features import likeness_of

MOVIES = frozenset({"video/mp4", "video/quicktime", "video/3gpp", "audio/mp4"})
SOUNDS = frozenset({"audio/mpeg", "audio/amr"})
PDF = "application/pdf"


def examine(path: Path) -> ReadResult:
    """Facts, and the two thumbnails, large and small, of a picture, a video or a document.

    A picture and a video's poster have a likeness too; pages don't: one form filled in twice is no copy.

    Raises `OSError` for a file that can't be opened.
    """
    content_type = _sniffed(path)
    if content_type in MOVIES:
        return _shown(path, read_movie(path))
    if content_type == PDF:
        return _opened(path)
    return read_facts(path) if content_type in SOUNDS else pictures.examine(path)


def read_facts(path: Path) -> ReadResult:
    """Everything that `examine` says without decoding a pixel, and so without thumbnails."""
    content_type = _sniffed(path)
    if content_type in MOVIES:
        return read_movie(path)
    if content_type in SOUNDS:
        return read_sound(path)
    return ReadResult(content_type) if content_type == PDF else pictures.read_facts(path)


def _sniffed(path: Path) -> str | None:
    with path.open("rb") as file:
        return sniff(file.read(HEAD_BYTES))


# PyAV and pdfium are loaded by the first file that needs them: most files don't, and a child starts often.


def _shown(path: Path, movie: ReadResult) -> ReadResult:
    if movie.width is None:  # only sound, or nothing that says a size
        return movie
    from storage.formats.video_frames import poster  # noqa: PLC0415

    found = poster(path, movie, pictures.LARGE)
    if isinstance(found, Damage):
        return replace(movie, damage=movie.damage or found)
    made = pictures.from_raster(found, movie.turn)
    return replace(movie, thumbnails=made, likeness=likeness_of(made))


def _opened(path: Path) -> ReadResult:
    from storage.formats.pdf import read_pdf  # noqa: PLC0415

    document, page = read_pdf(path, pictures.LARGE)
    return replace(document, thumbnails=pictures.from_raster(page, None)) if page else document
