"""Make hostile files: bombs, loops, truncated files, false sizes, and files of two formats at once.

Each file is listed with the result that the decoder must give, which is readable, damaged or unsupported.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

from PIL import Image

from tests.support.media_files import box, edited, sound, video
from tests.support.pdf_files import pdf, raw_pdf
from tests.support.picture_files import GPS, block, png, saved, webp_chunk


@cache
def picture(format: str = "JPEG", **options: Any) -> bytes:
    image = Image.new("RGB", (640, 480))
    image.putdata([(x * 7 % 256, x // 640 % 256, x * x % 251) for x in range(640 * 480)])
    return saved(image, format, exif=block(GPS, tag_0110="Demo"), **options)


def loop(*pointers: tuple[int, int]) -> bytes:
    """Return EXIF whose directories point at themselves."""
    entries = b"".join(struct.pack(">HHII", tag, 4, 1, target) for tag, target in pointers)
    return b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", len(pointers)) + entries + (8).to_bytes(4)


def deep(levels: int) -> bytes:
    """Return boxes nested that many levels deep."""
    data = b""
    for _ in range(levels):
        data = box(b"meta", bytes(4), data)
    return data


def zipped(data: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("index.html", "<script>alert(1)</script>")
    return data + stream.getvalue()


def heic_of(width: int, height: int) -> bytes:
    """Return a complete HEIC whose header claims this size, which is false."""
    data = picture("HEIF")
    size = struct.pack(">II", 640, 480)
    assert size in data
    return data.replace(size, struct.pack(">II", width, height))


def webp_of(width: int, height: int) -> bytes:
    """Return a small WebP picture whose `VP8X` claims a canvas of that size."""
    head = bytes((0, 0, 0, 0)) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    small = saved(Image.new("RGB", (8, 8)), "WEBP")[12:]
    chunks = webp_chunk(b"VP8X", head) + small
    return b"RIFF" + (4 + len(chunks)).to_bytes(4, "little") + b"WEBP" + chunks


def nested_forms(levels: int) -> bytes:
    """Return a small PDF whose page draws a form that draws another form twice, and so on: 2^levels drawings."""
    resources = "/Resources << /XObject << /X {} 0 R >> >>"
    first = 4
    page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents {first + levels} 0 R "
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"{page}{resources.format(first)} >>",
    ]
    for level in range(levels):
        is_last = level == levels - 1
        body = "0 0 1 1 re f" if is_last else "/X Do /X Do"
        inner = "" if is_last else resources.format(first + level + 1)
        objects.append(
            f"<< /Type /XObject /Subtype /Form /BBox [0 0 200 200] {inner} /Length {len(body)} >>\n"
            f"stream\n{body}\nendstream"
        )
    objects.append("<< /Length 5 >>\nstream\n/X Do\nendstream")
    return raw_pdf(*objects, trailer=f"<< /Size {len(objects) + 1} /Root 1 0 R >>")


def looped_xref() -> bytes:
    made = raw_pdf("<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [] /Count 0 >>", trailer="@@")
    at = made.index(b"xref\n")
    return made.replace(b"@@", f"<< /Size 3 /Root 1 0 R /Prev {at} >>".encode())


def page_of(size: str, content: bytes = b"", extra: str = "") -> bytes:
    packed = zlib.compress(content)
    stream = f"<< /Length {len(packed)} /Filter /FlateDecode >>\nstream\n{packed.decode('latin-1')}\nendstream"
    return raw_pdf(
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [{size}] /Contents 4 0 R {extra} >>",
        stream,
    )


def with_chunks(offset: int) -> bytes:
    movie = video()
    at = movie.index(b"stco") + 12
    return movie[:at] + offset.to_bytes(4) + movie[at + 4 :]


def pictures() -> Iterator[tuple[str, str, bytes]]:
    jpeg, flat = picture(), b"\0" * 2501 * 20_000
    yield "png-bomb-20000.png", "damaged", png(20_000, 20_000, 1, 0, flat)
    yield "png-2^31.png", "damaged", png(2**31, 2**31, 8, 2, b"\0")
    yield "png-2^32.png", "damaged", png(2**32 - 1, 1, 8, 2, b"\0")
    yield (
        "png-ztxt-bomb.png",
        "damaged",
        png(8, 8, 8, 0, bytes(72), (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(200 * 2**20), 9))),
    )
    yield (
        "png-itxt-bomb.png",
        "damaged",
        png(8, 8, 8, 0, bytes(72), (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b" " * 200 * 2**20, 9))),
    )
    yield (
        "png-iccp-bomb.png",
        "damaged",
        png(8, 8, 8, 0, bytes(72), (b"iCCP", b"p\0\0" + zlib.compress(bytes(100 * 2**20), 9))),
    )
    yield "png-no-data.png", "damaged", png(64, 64, 8, 0, b"")
    yield "png-exif-10mb.png", "readable", png(8, 8, 8, 0, bytes(72), (b"eXIf", block(GPS)[6:] + bytes(10 * 2**20)))
    yield "png-chunk-2gb.png", "damaged", b"\x89PNG\r\n\x1a\n" + (2**31 - 1).to_bytes(4) + b"eXIf" + bytes(99)
    yield "jpeg-65535.jpg", "damaged", jpeg.replace(struct.pack(">HH", 480, 640), struct.pack(">HH", 65535, 65535), 1)
    yield "jpeg-bomb.jpg", "damaged", b"\xff\xd8" + b"\xff\xc0\0\x0b\x08\xff\xff\xff\xff\1\1\x11\0" + b"\xff\xda"
    yield "jpeg-0x0.jpg", "damaged", jpeg.replace(struct.pack(">HH", 480, 640), bytes(4), 1)
    yield "jpeg-exif-10mb.jpg", "readable", b"\xff\xd8" + (b"\xff\xe1\xff\xffExif\0\0" + bytes(65527)) * 160 + jpeg[2:]
    yield "jpeg-ifd-loop.jpg", "readable", saved(Image.new("RGB", (9, 9)), exif=loop((0x8769, 8), (0x8825, 8)))
    yield (
        "jpeg-ifd-count.jpg",
        "readable",
        saved(
            Image.new("RGB", (9, 9)),
            exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + struct.pack(">HHII", 0x110, 2, 2**32 - 1, 8),
        ),
    )
    yield "jpeg-cut.jpg", "damaged", jpeg[: len(jpeg) // 2]
    yield "jpeg-cut-in-exif.jpg", "damaged", jpeg[:40]
    yield "jpeg-zip.jpg", "readable", zipped(jpeg)
    yield "jpeg-html-comment.jpg", "readable", jpeg[:2] + b"\xff\xfe\0\x20<script>alert(1)</script>12345" + jpeg[2:]
    yield "jpeg-markers.jpg", "damaged", b"\xff\xd8" + b"\xff\xe0\0\2" * 200_000
    yield "jpeg-fill.jpg", "damaged", b"\xff\xd8" + b"\xff" * 2**20
    yield (
        "jpeg-progressive-scans.jpg",
        "damaged",
        picture(progressive=True)[:-2] + b"\xff\xda\0\x08\1\1\0\0\x3f\0" * 50_000,
    )
    yield "webp-16384.webp", "damaged", webp_of(2**24, 2**24)
    yield "webp-cut.webp", "damaged", picture("WEBP")[:9000]
    yield "webp-sizes.webp", "damaged", b"RIFF\xff\xff\xff\xffWEBPVP8 \xff\xff\xff\xff" + bytes(64)
    yield "heic-2^31.heic", "damaged", heic_of(2**31, 2**31)
    yield "heic-60000.heic", "damaged", heic_of(60_000, 60_000)
    yield "heic-cut.heic", "damaged", picture("HEIF")[:-3000]
    yield "heic-meta-loop.heic", "damaged", picture("HEIF")[:24] + deep(3000)
    yield (
        "heic-extents.heic",
        "damaged",
        box(b"ftyp", b"heic\0\0\0\0mif1heic")
        + box(
            b"meta",
            bytes(4),
            box(b"iinf", bytes(4), b"\0\1", box(b"infe", b"\2\0\0\0\0\1\0\0Exif\0")),
            box(b"iloc", bytes(4), b"\0\0", b"\xff\xff", b"\0\1\0\0\xff\xff" * 65_535),
        ),
    )
    yield "avif-cut.avif", "damaged", picture("AVIF")[:-2000]
    yield "avif-empty.avif", "damaged", box(b"ftyp", b"avif\0\0\0\0mif1avif") + box(b"meta", bytes(4))


def others() -> Iterator[tuple[str, str, bytes]]:
    movie = video()
    head = movie[: int.from_bytes(movie[:4])]
    yield "mp4-cut.mp4", "damaged", movie[: len(movie) // 2]
    yield "mp4-zero-box.mp4", "damaged", head + bytes(8)
    yield "mp4-tiny-box.mp4", "damaged", head + b"\0\0\0\4moov" * 1000
    yield "mp4-64-bit.mp4", "damaged", head + b"\0\0\0\1moov" + b"\xff" * 8 + bytes(99)
    yield "mp4-64-bit-small.mp4", "damaged", head + b"\0\0\0\1moov" + (3).to_bytes(8) + bytes(99)
    yield "mp4-empty-boxes.mp4", "damaged", head + b"\0\0\0\x08free" * 500_000
    yield "mp4-deep.mp4", "damaged", head + box(b"moov", deep(5000))
    yield "mp4-stco.mp4", "damaged", with_chunks(2**31)
    yield "mp4-traks.mp4", "damaged", edited(movie, lambda moov: moov + box(b"trak") * 50_000)[: -8 * 20_000]
    yield "mp4-65535.mp4", "damaged", movie.replace(struct.pack(">HH", 96, 64), b"\xff" * 4)
    yield (
        "mp4-keys.mp4",
        "readable",
        edited(
            movie,
            lambda moov: (
                moov + box(b"meta", box(b"hdlr", bytes(24)), box(b"keys", bytes(4), b"\xff" * 64), box(b"ilst"))
            ),
        ),
    )
    yield "mov-dref.mov", "readable", video("mov").replace(b"url \0\0\0\1", b"url \0\0\0\0")
    yield "mp4-html.mp4", "readable", movie + b"<html><script>alert(1)</script></html>"
    yield "m4a-cut.m4a", "damaged", sound("ipod", "aac")[:-50]
    yield "mp3-huge-id3.mp3", "damaged", b"ID3\4\0\0\x7f\x7f\x7f\x7f" + bytes(4096)
    yield "mp3-id3-only.mp3", "damaged", b"ID3\4\0\0\0\0\x10\0" * 3 + bytes(6144)
    yield "mp3-syncs.mp3", "damaged", b"ID3\4\0\0\0\0\0\0" + b"\xff\xfb\x90\x00" * 100_000
    yield "amr-reserved.amr", "damaged", b"#!AMR\n" + b"\x64" * 4096
    yield "amr-no-data.amr", "readable", b"#!AMR\n" + b"\x7c" * 3_000_000
    yield "pdf-xref-loop.pdf", "damaged", looped_xref()
    yield (
        "pdf-page-loop.pdf",
        "damaged",
        raw_pdf("<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 999999999 >>"),
    )
    yield "pdf-flate-bomb.pdf", "readable", page_of("0 0 200 200", b"0 0 1 1 re f\n" * 1_000_000)
    yield "pdf-huge-page.pdf", "readable", page_of("0 0 1e9 1e9")
    yield "pdf-thin-page.pdf", "readable", page_of("0 0 1e7 1")
    yield "pdf-nan-page.pdf", "readable", page_of("nan nan inf -inf")
    yield "pdf-form-loop.pdf", "readable", page_of("0 0 200 200", b"/X Do", "/Resources << /XObject << /X 4 0 R >> >>")
    yield "pdf-nested.pdf", "damaged", raw_pdf("[" * 100_000)
    yield "pdf-cut.pdf", "damaged", pdf()[:-300]
    yield "pdf-locked.pdf", "damaged", pdf(owner="a", user="b")
    yield "empty.jpg", "damaged", b""
    yield "gif.jpg", "unsupported", saved(Image.new("P", (9, 9)), "GIF")
    yield "html.jpg", "unsupported", b"<html><script>alert(1)</script></html>"
    yield "exe.jpg", "unsupported", b"MZ\x90\0" + bytes(400)
    yield "svg.jpg", "unsupported", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    yield "zip.heic", "unsupported", zipped(b"")
    yield "playlist.mp4", "unsupported", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"
    yield "mp4-named.jpg", "readable", movie
    yield "jpeg-named.pdf", "readable", picture()
    yield "one-byte.png", "unsupported", b"\x89"
