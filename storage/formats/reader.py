"""Read any medium: detect its type by its content, and call the reader of that type. This runs in the sandbox."""

from dataclasses import replace

from storage.formats import pictures
from storage.formats.audio import read_sound
from storage.formats.content_types import HEAD_BYTES, sniff
from storage.formats.media_sources import MediaSource
from storage.formats.movies import read_movie
from storage.formats.results import Damage, ReadResult
from storage.formats.similarity_features import compute_likeness
from storage.formats.thumbnails import LARGE, thumbnails_from_raster

MOVIES = frozenset({"video/mp4", "video/quicktime", "video/3gpp", "audio/mp4"})
SOUNDS = frozenset({"audio/mpeg", "audio/amr"})
PDF = "application/pdf"


def examine(medium: MediaSource) -> ReadResult:
    """Read the facts, and make the two thumbnails of a picture, a video or a document.

    Also compute the likeness of a picture or of a video's poster. Documents get no likeness, because two filled-in
    copies of one form look alike but are different documents.
    Raise `OSError` if the file can't be opened.
    """
    content_type = _sniff_file(medium)
    if content_type in MOVIES:
        return _add_poster(medium, read_movie(medium))
    if content_type == PDF:
        return _read_document(medium)
    return read_facts(medium) if content_type in SOUNDS else pictures.examine(medium)


def read_facts(medium: MediaSource) -> ReadResult:
    """Read the facts that `examine` returns, without decoding a pixel. Of a document, return only the content type."""
    content_type = _sniff_file(medium)
    if content_type in MOVIES:
        return read_movie(medium)
    if content_type in SOUNDS:
        return read_sound(medium)
    return ReadResult(content_type) if content_type == PDF else pictures.read_facts(medium)


def _sniff_file(medium: MediaSource) -> str | None:
    with medium.open("rb") as file:
        return sniff(file.read(HEAD_BYTES))


# The first file that needs PyAV or pdfium loads it: most files don't need them, and children start often.


def _add_poster(medium: MediaSource, movie: ReadResult) -> ReadResult:
    if movie.width is None:  # only sound, or no known size
        return movie
    from storage.formats.video_frames import read_poster  # noqa: PLC0415

    poster = read_poster(medium, movie, LARGE)
    if isinstance(poster, Damage):
        return replace(movie, damage=movie.damage or poster)
    thumbnails = thumbnails_from_raster(poster, movie.turn)
    return replace(movie, thumbnails=thumbnails, likeness=compute_likeness(thumbnails))


def _read_document(medium: MediaSource) -> ReadResult:
    from storage.formats.pdf import read_pdf  # noqa: PLC0415

    document, page = read_pdf(medium, LARGE)
    return replace(document, thumbnails=thumbnails_from_raster(page, None)) if page else document
