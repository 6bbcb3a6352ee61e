"""Make upright pictures in sRGB and thumbnails of decoded pixels, with Pillow."""

import contextlib
import functools
import io
import struct
import zlib

from PIL import Image, ImageCms

from storage.formats.results import Raster, RenderedThumbnail

LARGE, SMALL = 1280, 320
"""Long sides of the two thumbnails in pixels."""
FAULTS = (
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
"""The exceptions that Pillow's readers raise on broken input; Pillow documents no exception of its own."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def thumbnails_from_raster(raster: Raster, orientation: int | None) -> tuple[RenderedThumbnail, ...]:
    """Make the two thumbnails from pixels that another library decoded. `orientation` is an EXIF orientation."""
    return make_thumbnails(image_of(raster), orientation)


def image_of(raster: Raster) -> Image.Image:
    return Image.frombytes("RGB", (raster.width, raster.height), raster.data, "raw", "RGB", raster.stride, 1)


def make_thumbnails(image: Image.Image, orientation: int | None) -> tuple[RenderedThumbnail, ...]:
    large = make_upright(image, orientation, LARGE)
    small = large.copy()
    small.thumbnail((SMALL, SMALL), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return _encode(large), _encode(small)


def make_upright(image: Image.Image, orientation: int | None, within: int | None = None) -> Image.Image:
    """Return the picture as people see it: upright, on white, in sRGB, with a long side of at most `within` pixels."""
    profile = image.info.get("icc_profile")
    image = _to_scalable_mode(image)
    if within is not None:
        image.thumbnail((within, within), Image.Resampling.LANCZOS, reducing_gap=2.0)
    image = _to_srgb(_flatten_on_white(image), profile)
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _to_scalable_mode(image: Image.Image) -> Image.Image:
    """Convert to a mode whose values can be averaged: L, LA, RGB, RGBA or CMYK."""
    if image.mode.startswith("I"):  # 16 bits per sample: `convert` alone would clip, not scale
        image = image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    elif image.has_transparency_data and image.mode not in {"LA", "RGBA"}:
        image = image.convert("RGBA")
    return image if image.mode in {"L", "LA", "RGB", "RGBA", "CMYK"} else image.convert("RGB")


def _flatten_on_white(image: Image.Image) -> Image.Image:
    if image.mode not in {"LA", "RGBA"}:
        return image
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    return white.convert("RGB")


@functools.cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert to sRGB, the colour space that needs no profile. Ignore a broken or unsuitable profile."""
    if profile:
        with contextlib.suppress(ImageCms.PyCMSError, *FAULTS):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, _srgb(), outputMode="RGB")
            return converted if converted is not None else image
    return image.convert("RGB")


def _encode(image: Image.Image) -> RenderedThumbnail:
    image.info = {}  # else Pillow copies the comment
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80, optimize=True)
    return RenderedThumbnail(image.width, image.height, "image/jpeg", stream.getvalue())
