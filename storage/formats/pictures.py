"""Pictures, by Pillow and pillow-heif: what one says of itself, and its upright thumbnails.

It decodes hostile bytes in the calling process, one thread at a time, since Pillow's switches belong to the process;
keeping a crash, a hang or a bomb to one file is left to `decoding`.
"""

import contextlib
import functools
import io
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, TypeVar

from PIL import Image, ImageCms, ImageFile
from pillow_heif import register_heif_opener

from storage.formats import heif, image_containers
from storage.formats.content_types import HEAD_BYTES, sniff
from storage.formats.exif import ExifPositionProblem, Position, Tags, read_exif
from storage.formats.motion_photos import find_motion
from storage.formats.orientations import degrees, swaps_sides
from storage.formats.results import Damage, Raster, ReadResult, RenderedThumbnail
from storage.formats.similarity_features import likeness_of
from storage.formats.xmp import read_xmp

T = TypeVar("T")
LARGE, SMALL = 1280, 320
"""Long sides of the two thumbnails, pixels."""

# Phones make JPEGs of 200 megapixels; what is held decoded at once stays at Pillow's own limit (256 MiB of RGB).
Image.MAX_IMAGE_PIXELS = 2**28
DECODED_PIXELS = 2**28 // 3

# A thumbnail that the file brings along may show something else than the picture does; threads cost memory.
register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)

_FORMATS = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
    "image/heic": "HEIF",
    "image/avif": "AVIF",
}
_LENIENT = frozenset({"image/heic"})
"""Decoders that leave blank what is missing, and don't say so."""
_FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    EOFError,
    struct.error,
    zlib.error,
)
"""What Pillow's readers let through on broken input; they promise no exception of their own."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def examine(path: Path) -> ReadResult:
    """Read the facts and make the two thumbnails, large and small; `damage` says what kept either from being whole.

    Raises `OSError` for a file that can't be opened.
    """
    picture = read_facts(path)
    if picture.damage in {Damage.EMPTY, Damage.UNSUPPORTED}:
        return picture
    with quiet():
        try:
            thumbnails, damage = decode(path, picture, _renditions)
        except MemoryError:
            return replace(picture, damage=Damage.OUT_OF_MEMORY)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            return replace(picture, damage=Damage.TOO_MANY_PIXELS)
    # The decoder has the last word: a file cut short may hold every pixel. What was never written it shows as grey.
    if damage or picture.content_type in _LENIENT or picture.damage is Damage.CORRUPT:
        damage = picture.damage or damage
    made = thumbnails or ()
    return replace(picture, thumbnails=made, likeness=likeness_of(made), damage=damage)


def read_facts(path: Path) -> ReadResult:
    """Everything that `examine` says without decoding a pixel, and so without thumbnails."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        content_type = sniff(head)
        if content_type not in _FORMATS:
            return ReadResult(content_type, damage=Damage.UNSUPPORTED if head else Damage.EMPTY)
        is_boxed = content_type in {"image/heic", "image/avif"}
        container = heif.scan(file) if is_boxed else image_containers.scan(file, str(content_type))
        xmp = read_xmp(container.xmp)
        motion = find_motion(file, xmp.motion_bytes) if content_type == "image/jpeg" else container.motion
    with quiet():
        ifd0, exif_ifd, gps = _tags(container.exif)
    exif = read_exif(ifd0, exif_ifd, gps)
    width, height = _side(container.width), _side(container.height)
    if container.width is None or container.height is None:  # no frame header left: EXIF states the size too
        width, height = _side(exif_ifd.get(0xA002, ifd0.get(0x0100))), _side(exif_ifd.get(0xA003, ifd0.get(0x0101)))
    turn = container.turn or exif.orientation
    sides = container.shown or (width, height)
    if swaps_sides(turn):
        sides = (sides[1], sides[0])
    taken = exif.taken or xmp.taken
    position, source, problem = _choose(exif.position, xmp.position)
    return ReadResult(
        content_type=content_type,
        width=width,
        height=height,
        orientation=exif.orientation,
        display_width=_side(sides[0]),
        display_height=_side(sides[1]),
        taken_at=taken.at if taken else None,
        taken_offset_minutes=taken.offset_minutes if taken else None,
        position=position,
        position_source=source,
        position_problem=problem,
        stated=None if position else exif.stated or xmp.stated,
        turn=turn,
        rotation=None if container.turn is None else degrees(container.turn),
        motion_offset=motion.offset if motion else None,
        motion_bytes=motion.byte_size if motion else None,
        make=exif.make,
        model=exif.model,
        software=exif.software,
        damage=Damage.TRUNCATED if container.is_cut else Damage.CORRUPT if container.is_hollow else None,
    )


def _tags(block: bytes) -> tuple[Tags, Tags, Tags]:
    """IFD0, Exif and GPS directory; one that can't be read is empty and costs the others nothing."""
    exif = Image.Exif()
    found: list[Tags] = [{}, {}, {}]
    with contextlib.suppress(*_FAULTS):
        exif.load(block)
        found[0] = dict(exif)
    for place, pointer in ((1, 0x8769), (2, 0x8825)):
        with contextlib.suppress(*_FAULTS):
            found[place] = exif.get_ifd(pointer)
    return found[0], found[1], found[2]


def _choose(
    exif: Position | ExifPositionProblem, xmp: Position | ExifPositionProblem
) -> tuple[Position | None, str | None, ExifPositionProblem | None]:
    """The position, its source, or the problem that explains best why there is none."""
    if isinstance(exif, Position):
        return exif, "EXIF", None
    # What EXIF calls void stays so: XMP is often its copy.
    if isinstance(xmp, Position):
        return (None, None, exif) if exif is ExifPositionProblem.VOID_FIX else (xmp, "XMP", None)
    return None, None, xmp if exif is ExifPositionProblem.ABSENT else exif


def _side(stated: object) -> int | None:
    return stated if isinstance(stated, int) and 0 < stated < 2**31 else None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Pillow's remarks on broken metadata are no news here; its warning of a bomb is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def decode(
    path: Path, picture: ReadResult, make: Callable[[Image.Image, int | None], T], within: int = LARGE
) -> tuple[T | None, Damage | None]:
    """What `make` makes of the decoded picture and its orientation, or of what decodes of a broken one; else None.

    A JPEG comes at half, a quarter or an eighth of its size, as long as its long side then has `within` pixels.
    Raises `MemoryError`, and Pillow's error or warning of a bomb beyond `DECODED_PIXELS`.
    """
    coding = _FORMATS[str(picture.content_type)]
    turn = None if coding == "HEIF" else picture.turn  # libheif has turned the picture already
    try:
        with path.open("rb") as file:
            return make(_decoded(file, coding, within), turn), None
    except _FAULTS as error:
        damage = Damage.TRUNCATED if "truncated" in str(error) else Damage.CORRUPT
    try:
        return make(_salvaged(path, coding, within), turn), damage
    except _FAULTS:
        return None, damage


def _decoded(file: BinaryIO, coding: str, within: int) -> Image.Image:
    image: Image.Image = Image.open(file, formats=(coding,))
    shrink = max(*image.size, within) / within
    image.draft(None, (max(int(image.width / shrink), 1), max(int(image.height / shrink), 1)))
    if image.width * image.height > DECODED_PIXELS:
        raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels")
    image.load()  # the only step that notices a cut file; `verify()` passes half a JPEG
    return image


def _salvaged(path: Path, coding: str, within: int) -> Image.Image:
    """What decodes of a broken picture: the rest is left blank."""
    # With its end marker put back, a JPEG decodes as far as it goes, a progressive one in all its lines.
    data = path.read_bytes()
    if coding == "JPEG":
        data += b"\xff\xd9"
    elif coding == "WEBP":  # decodes only whole: what is missing is taken for zeros
        data += bytes(max(min(8 + int.from_bytes(data[4:8], "little"), 2**26) - len(data), 0))
    stream = io.BytesIO(data)
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        return _decoded(stream, coding, within)
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def from_raster(raster: Raster, orientation: int | None) -> tuple[RenderedThumbnail, ...]:
    """The two thumbnails of pixels that another library decoded, to be turned by `orientation`, EXIF's figure."""
    size = (raster.width, raster.height)
    return _renditions(Image.frombytes("RGB", size, raster.data, "raw", "RGB", raster.stride, 1), orientation)


def _renditions(image: Image.Image, orientation: int | None) -> tuple[RenderedThumbnail, ...]:
    large = upright(image, orientation, LARGE)
    small = large.copy()
    small.thumbnail((SMALL, SMALL), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return _encoded(large), _encoded(small)


def upright(image: Image.Image, orientation: int | None, within: int | None = None) -> Image.Image:
    """The picture as people see it: upright, on white, in sRGB; its long side at most `within` pixels."""
    profile = image.info.get("icc_profile")
    image = _scalable(image)
    if within is not None:
        image.thumbnail((within, within), Image.Resampling.LANCZOS, reducing_gap=2.0)
    image = _in_srgb(_on_white(image), profile)
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _scalable(image: Image.Image) -> Image.Image:
    """The same picture in a mode whose values can be averaged: L, LA, RGB, RGBA or CMYK."""
    if image.mode.startswith("I"):  # 16 bits a sample: `convert` alone would clip, not scale
        image = image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    elif image.has_transparency_data and image.mode not in {"LA", "RGBA"}:
        image = image.convert("RGBA")
    return image if image.mode in {"L", "LA", "RGB", "RGBA", "CMYK"} else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode not in {"LA", "RGBA"}:
        return image
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    return white.convert("RGB")


@functools.cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB in the one colour space that needs no profile; a broken or unfitting profile is passed over."""
    if profile:
        with contextlib.suppress(ImageCms.PyCMSError, *_FAULTS):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, _srgb(), outputMode="RGB")
            return converted if converted is not None else image
    return image.convert("RGB")


def _encoded(image: Image.Image) -> RenderedThumbnail:
    image.info = {}  # Pillow would carry a comment over
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80, optimize=True)
    return RenderedThumbnail(image.width, image.height, "image/jpeg", stream.getvalue())
