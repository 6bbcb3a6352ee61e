"""Read the facts of pictures and make their upright thumbnails, with Pillow and pillow-heif.

These functions decode hostile bytes in the calling process, which must be a sandbox. Call them from one thread at a
time, because Pillow's switches are global to the process.
"""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import BinaryIO, TypeVar

from PIL import Image, ImageFile
from pillow_heif import register_heif_opener

from storage.formats import heif, image_containers
from storage.formats.content_types import HEAD_BYTES, sniff
from storage.formats.exif import ExifPositionProblem, Position, Tags, read_exif
from storage.formats.media_sources import MediaSource
from storage.formats.motion_photos import find_motion
from storage.formats.orientations import rotation_of, swaps_sides
from storage.formats.results import Damage, ReadResult
from storage.formats.similarity_features import compute_likeness
from storage.formats.thumbnails import FAULTS, LARGE, image_of, make_thumbnails
from storage.formats.xmp import read_xmp

T = TypeVar("T")
# Phones make JPEGs of 200 megapixels. What is decoded at once stays within Pillow's own limit (256 MiB of RGB).
Image.MAX_IMAGE_PIXELS = 2**28
DECODED_PIXELS = 2**28 // 3

# A thumbnail inside the file may show something else than the picture. Threads cost memory.
register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)

_FORMATS = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
    "image/heic": "HEIF",
    "image/avif": "AVIF",
}
_LENIENT = frozenset({"image/heic"})
"""Types whose decoders leave missing parts blank without reporting it."""


def examine(medium: MediaSource) -> ReadResult:
    """Read the facts, and make the large and the small thumbnail. `damage` says why facts or thumbnails are incomplete.

    Raise `OSError` if the file can't be opened.
    """
    picture = read_facts(medium)
    if picture.damage in {Damage.EMPTY, Damage.UNSUPPORTED}:
        return picture
    with quiet_pillow():
        try:
            thumbnails, damage = decode(medium, picture, make_thumbnails)
        except MemoryError:
            return replace(picture, damage=Damage.OUT_OF_MEMORY)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            return replace(picture, damage=Damage.TOO_MANY_PIXELS)
    # The decoder decides whether a cut file has all its pixels. It does not notice holes: it shows them grey.
    if damage or picture.content_type in _LENIENT or picture.damage is Damage.CORRUPT:
        damage = picture.damage or damage
    thumbnails = thumbnails or ()
    return replace(picture, thumbnails=thumbnails, likeness=compute_likeness(thumbnails), damage=damage)


def read_facts(medium: MediaSource) -> ReadResult:
    """Read all that `examine` returns except thumbnails and likeness, without decoding a pixel."""
    with medium.open("rb") as file:
        head = file.read(HEAD_BYTES)
        content_type = sniff(head)
        if content_type not in _FORMATS:
            return ReadResult(content_type, damage=Damage.UNSUPPORTED if head else Damage.EMPTY)
        is_boxed = content_type in {"image/heic", "image/avif"}
        container = heif.scan(file) if is_boxed else image_containers.scan(file, str(content_type))
        xmp = read_xmp(container.xmp)
        motion = find_motion(file, xmp.motion_bytes) if content_type == "image/jpeg" else container.motion
    with quiet_pillow():
        ifd0, exif_ifd, gps = _read_tags(container.exif)
    exif = read_exif(ifd0, exif_ifd, gps)
    width, height = _valid_side(container.width), _valid_side(container.height)
    if container.width is None or container.height is None:  # without a frame header, use the size in EXIF
        width, height = (
            _valid_side(exif_ifd.get(0xA002, ifd0.get(0x0100))),
            _valid_side(exif_ifd.get(0xA003, ifd0.get(0x0101))),
        )
    turn = container.turn or exif.orientation
    sides = container.shown or (width, height)
    if swaps_sides(turn):
        sides = (sides[1], sides[0])
    taken = exif.taken or xmp.taken
    position, source, problem = _choose_position(exif.position, xmp.position)
    return ReadResult(
        content_type=content_type,
        width=width,
        height=height,
        orientation=exif.orientation,
        display_width=_valid_side(sides[0]),
        display_height=_valid_side(sides[1]),
        taken_at=taken.at if taken else None,
        taken_offset_minutes=taken.offset_minutes if taken else None,
        position=position,
        position_source=source,
        position_problem=problem,
        stated=None if position else exif.stated or xmp.stated,
        turn=turn,
        rotation=None if container.turn is None else rotation_of(container.turn),
        motion_offset=motion.offset if motion else None,
        motion_bytes=motion.byte_size if motion else None,
        make=exif.make,
        model=exif.model,
        software=exif.software,
        damage=Damage.TRUNCATED if container.is_cut else Damage.CORRUPT if container.is_hollow else None,
    )


def _read_tags(block: bytes) -> tuple[Tags, Tags, Tags]:
    """Return the IFD0, Exif and GPS directories. A directory that can't be read is empty."""
    exif = Image.Exif()
    directories: list[Tags] = [{}, {}, {}]
    with contextlib.suppress(*FAULTS):
        exif.load(block)
        directories[0] = dict(exif)
    for index, pointer in ((1, 0x8769), (2, 0x8825)):
        with contextlib.suppress(*FAULTS):
            directories[index] = exif.get_ifd(pointer)
    return directories[0], directories[1], directories[2]


def _choose_position(
    exif: Position | ExifPositionProblem, xmp: Position | ExifPositionProblem
) -> tuple[Position | None, str | None, ExifPositionProblem | None]:
    """Return the position and its source, or the problem that best explains why there is none."""
    if isinstance(exif, Position):
        return exif, "EXIF", None
    # A position that EXIF marks as void stays void: XMP is often a copy of it.
    if isinstance(xmp, Position):
        return (None, None, exif) if exif is ExifPositionProblem.VOID_FIX else (xmp, "XMP", None)
    return None, None, xmp if exif is ExifPositionProblem.ABSENT else exif


def _valid_side(stated: object) -> int | None:
    return stated if isinstance(stated, int) and 0 < stated < 2**31 else None


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Ignore Pillow's warnings of broken metadata. Raise Pillow's warning of a decompression bomb as an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def decode(
    medium: MediaSource, picture: ReadResult, make: Callable[[Image.Image, int | None], T], within: int = LARGE
) -> tuple[T | None, Damage | None]:
    """Decode a picture, and pass it and its orientation to `make`. Decode as much of a broken picture as possible.

    Return the result of `make`, or None if nothing decodes, and the damage. Decode a JPEG at half, a quarter or an
    eighth of its size if the long side of the result has at least `within` pixels. Decode a HEIC or AVIF picture in this
    way only above `DECODED_PIXELS`.
    Raise `MemoryError`, or Pillow's error or warning of a decompression bomb above `DECODED_PIXELS`.
    """
    coding = _FORMATS[str(picture.content_type)]
    if coding in {"HEIF", "AVIF"} and (picture.width or 0) * (picture.height or 0) > DECODED_PIXELS:
        try:
            image, is_whole = _decode_tiles(medium, within)
            return make(image, picture.turn), None if is_whole else Damage.CORRUPT
        except FAULTS:
            return None, Damage.CORRUPT
    turn = None if coding == "HEIF" else picture.turn  # libheif has already turned the picture
    try:
        with medium.open("rb") as file:
            return make(_decode_whole(file, coding, within), turn), None
    except FAULTS as error:
        damage = Damage.TRUNCATED if "truncated" in str(error) else Damage.CORRUPT
    try:
        return make(_decode_broken(medium, coding, within), turn), damage
    except FAULTS:
        return None, damage


def _decode_whole(file: BinaryIO, coding: str, within: int) -> Image.Image:
    image: Image.Image = Image.open(file, formats=(coding,))
    shrink = max(*image.size, within) / within
    if image.width * image.height > DECODED_PIXELS:
        shrink = max(shrink, 2)
    image.draft(None, (max(int(image.width / shrink), 1), max(int(image.height / shrink), 1)))
    if image.width * image.height > DECODED_PIXELS:
        raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels")
    image.load()  # the only step that notices a cut file: `verify()` accepts half a JPEG
    return image


def _decode_tiles(medium: MediaSource, within: int) -> tuple[Image.Image, bool]:
    """Decode a picture that is too large to be decoded as a whole, at half, a quarter or a smaller part of its size.

    The picture is not turned yet. Its long side has at least `within` pixels, if so many fit into memory. Return also
    whether all tiles were decoded. Raise `ValueError` if none was.
    """
    from storage.formats import heif_tiles  # noqa: PLC0415  few files need PyAV, and children start often

    with medium.open("rb") as file:
        layout = heif_tiles.read_layout(file)
    if layout.width * layout.height > heif_tiles.MAX_PIXELS:
        raise Image.DecompressionBombError(f"{layout.width} x {layout.height} pixels")
    shrink = 2
    while max(layout.width, layout.height) >= 2 * shrink * within:
        shrink *= 2
    image, count = Image.new("RGB", (max(layout.width // shrink, 1), max(layout.height // shrink, 1)), "grey"), 0
    for tile in heif_tiles.decode_tiles(medium, layout, shrink):
        image.paste(image_of(tile.raster), (tile.left, tile.top))
        count += 1
    if not count:
        raise ValueError("no tile can be decoded")
    if layout.profile:
        image.info["icc_profile"] = layout.profile
    return image, count == len(layout.tiles)


def _decode_broken(medium: MediaSource, coding: str, within: int) -> Image.Image:
    """Decode as much of a broken picture as possible. The rest is blank."""
    # With its end marker put back, a JPEG decodes as far as it goes, a progressive one in all its lines.
    data = medium.read_bytes()
    if coding == "JPEG":
        data += b"\xff\xd9"
    elif coding == "WEBP":  # only a whole file decodes, so the missing bytes are replaced by zeros
        data += bytes(max(min(8 + int.from_bytes(data[4:8], "little"), 2**26) - len(data), 0))
    stream = io.BytesIO(data)
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        return _decode_whole(stream, coding, within)
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
