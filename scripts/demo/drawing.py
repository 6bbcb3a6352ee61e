"""Draw shapes as JPEGs with EXIF."""

import io
from collections.abc import Iterable

from PIL import Image, ImageDraw, ImageFont

from scripts.demo.shapes import Shape, ShapeKind
from storage.formats.exif import Tags


def draw(width: int, height: int, shapes: Iterable[Shape], ifd0: Tags, exif_ifd: Tags, gps: Tags) -> bytes:
    """Return a JPEG of shapes painted in order, in a frame 1000 units high, with the given EXIF tags."""
    # Drawn at twice the size and reduced, because PIL draws lines with hard edges.
    image = Image.new("RGB", (width * 2, height * 2))
    canvas, unit = ImageDraw.Draw(image), height * 2 / 1000
    for shape in shapes:
        points = [(x * unit, y * unit) for x, y in shape.points]
        match shape.kind:
            case ShapeKind.BOX:
                canvas.rounded_rectangle((*points[0], *points[1]), shape.size * unit, fill=shape.colour)
            case ShapeKind.OVAL:
                canvas.ellipse((*points[0], *points[1]), fill=shape.colour)
            case ShapeKind.POLYGON:
                canvas.polygon(points, fill=shape.colour)
            case ShapeKind.LINE:
                canvas.line(points, fill=shape.colour, width=max(int(shape.size * unit), 1), joint="curve")
            case ShapeKind.TEXT:
                font = ImageFont.load_default(shape.size * unit)
                canvas.text(points[0], shape.text, fill=shape.colour, font=font, anchor=shape.anchor)
    exif = Image.Exif()
    exif.update(ifd0)
    for pointer, tags in ((0x8769, exif_ifd), (0x8825, gps)):
        if tags:
            exif.get_ifd(pointer).update(tags)
    stream = io.BytesIO()
    image.reduce(2).save(stream, "JPEG", quality=88, exif=exif)
    return stream.getvalue()
