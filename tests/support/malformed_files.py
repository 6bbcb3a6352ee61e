"""Make files whose structure is false: endless sizes, loops, counts of billions.

Each file is listed with the results that reading it may give.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from storage.formats.results import Damage
from tests.support.picture_files import GPS, block, png, saved, webp_chunk

MIB = 2**20
WHOLE, GONE = frozenset({None}), frozenset({Damage.TRUNCATED, Damage.CORRUPT})
LARGE = frozenset({Damage.OUT_OF_MEMORY})
NO_TYPE = frozenset({Damage.UNSUPPORTED})
BOMB = frozenset({Damage.TOO_MANY_PIXELS, Damage.CORRUPT, Damage.TRUNCATED})
ANY = frozenset(Damage) - {Damage.CRASHED} | {None}
"""Every result but a crash. Such a file may be readable or not, but reading it must end within the limits."""


@dataclass(frozen=True)
class Lying:
    """A malformed file. Its `name` may be false too. `damage` holds the possible results; None means no damage."""

    name: str
    data: bytes
    damage: frozenset[Damage | None]
    content_type: str | None


def scene(format: str = "JPEG", side: int = 240, **options: object) -> bytes:
    image = Image.linear_gradient("L").resize((side, side * 3 // 4)).convert("RGB")
    return saved(image, format, **options)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _pngs() -> Iterator[Lying]:
    def made(name: str, data: bytes, damage: frozenset[Damage | None]) -> Lying:
        return Lying(f"{name}.png", data, damage, "image/png")

    rows = zlib.compress(bytes(30 * MIB), 9)
    yield made("bomb-of-pixels", png(60_000, 60_000, 8, 2, bytes(100)), BOMB)
    yield made("sides-of-2-31", png(2**31 - 1, 2**31 - 1, 1, 0, bytes(10)), BOMB)
    yield made("no-width", png(0, 10, 8, 0, bytes(20)), GONE)
    yield made("bomb-of-zeros", png(8, 8, 8, 0, bytes(200 * MIB)), WHOLE)
    yield made("bomb-in-a-profile", png(8, 8, 8, 0, bytes(72), (b"iCCP", b"x\0\0" + rows)), ANY)
    yield made("bomb-in-a-text", png(8, 8, 8, 0, bytes(72), (b"zTXt", b"Comment\0\0" + rows)), ANY)
    yield made("bomb-in-xmp", png(8, 8, 8, 0, bytes(72), (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + rows)), ANY)
    yield made("exif-of-10-mb", png(8, 8, 8, 0, bytes(72), (b"eXIf", block(GPS)[6:] + bytes(10 * MIB))), WHOLE)
    yield made("chunk-of-2-gb", png(8, 8, 8, 0, bytes(72))[:33] + b"\x7f\xff\xff\xffIDAT" + bytes(50), GONE | LARGE)
    yield made("many-frames", png(8, 8, 8, 0, bytes(72), (b"acTL", struct.pack(">II", 2**31 - 1, 0))), ANY)
    wrong = bytearray(png(8, 8, 8, 0, bytes(72)))
    wrong[29] ^= 0xFF
    yield made("wrong-checksum", bytes(wrong), ANY)
    yield made("million-chunks", png(8, 8, 8, 0, bytes(72), *((b"tEXt", b""),) * 100_000), ANY)


def _segment(marker: int, payload: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload


def _into_jpeg(*segments: bytes, whole: bytes | None = None) -> bytes:
    data = whole or scene()
    return data[:2] + b"".join(segments) + data[2:]


def _jpegs() -> Iterator[Lying]:
    def made(name: str, data: bytes, damage: frozenset[Damage | None]) -> Lying:
        return Lying(f"{name}.jpg", data, damage, "image/jpeg")

    plain, big = scene(), scene(side=1200, progressive=True)
    at = plain.index(b"\xff\xc0") + 5
    yield made("sides-of-65535", plain[:at] + b"\xff" * 4 + plain[at + 4 :], ANY - {None})
    yield made("sides-of-0", plain[:at] + b"\0" * 4 + plain[at + 4 :], GONE)
    yield made("cut-in-its-head", plain[:100], GONE)
    yield made("cut-in-its-scan", plain[: len(plain) // 2], GONE)
    yield made("cut-and-ended", plain[: len(plain) // 2] + b"\xff\xd9", ANY)
    yield made("two-frames", plain[:2] + plain[plain.index(b"\xff\xc0") : plain.index(b"\xff\xc4")] + plain[2:], ANY)
    yield made("no-tables", plain[:2] + plain[plain.index(b"\xff\xc0") :], ANY)
    scan = big[big.rindex(b"\xff\xda") : -2]
    yield made("thousand-scans", big[:-2] + scan * 1000 + b"\xff\xd9", ANY)
    yield made("thousands-of-segments", _into_jpeg(*(_segment(0xE3, b""),) * 200_000), WHOLE)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("run.sh", "rm -rf /")
    yield made("zip-behind", plain + stream.getvalue(), WHOLE)
    yield made("page-inside", _into_jpeg(_segment(0xFE, b"<html><script>alert(1)</script>")), WHOLE)
    yield made("twice-itself", plain + plain, WHOLE)
    yield made("profile-in-255-pieces", _into_jpeg(_segment(0xE2, b"ICC_PROFILE\0\xff\xff" + bytes(60_000))), WHOLE)
    mark = b"http://ns.adobe.com/xap/1.0/\0"
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "ha"}">' for n in range(10))
    for name, text in (
        ("billion-laughs", f"<!DOCTYPE x [{laughs}]><x>&a9;</x>"),
        ("entity-outside", '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'),
        ("deep-xmp", "<a>" * 15_000),
    ):
        yield made(name, _into_jpeg(_segment(0xE1, mark + text.encode())), WHOLE)


def _ifd(*entries: tuple[int, int, int, int], next: int = 0, head: bytes = b"MM\0*\0\0\0\x08") -> bytes:
    listed = b"".join(struct.pack(">HHII", *entry) for entry in entries)
    return head + struct.pack(">H", len(entries)) + listed + struct.pack(">I", next)


def _exifs() -> Iterator[Lying]:
    def made(name: str, exif: bytes, *more: bytes) -> Lying:
        segments = [_segment(0xE1, b"Exif\0\0" + part) for part in (exif, *more)]
        return Lying(f"{name}.jpg", _into_jpeg(*segments), WHOLE, "image/jpeg")

    yield made("ifd-into-itself", _ifd((0x0112, 3, 1, 6 << 16), (0x8769, 4, 1, 8), (0x8825, 4, 1, 8), next=8))
    yield made("ifd-far-away", _ifd((0x8825, 4, 1, 2**32 - 4), next=2**32 - 2))
    yield made("ifd-of-65535", b"MM\0*\0\0\0\x08\xff\xff" + bytes(60_000))
    yield made("values-of-4-gb", _ifd((0x010F, 2, 2**32 - 1, 8), (0x0110, 5, 2**32 - 1, 8), (0x9286, 7, 2**31, 8)))
    yield made("unknown-kinds", _ifd((0x0112, 99, 1, 1), (0x010F, 0, 1, 1), (0x8825, 2, 4, 0x41414141)))
    yield made("exif-of-10-mb", _ifd(), *(bytes(65_000) for _ in range(160)))
    yield made("no-order", b"XX\0*\0\0\0\x08\0\0")
    nowhere = [(1, 2, 2, 0x4E000000), (2, 5, 3, 200), (3, 2, 2, 0x45000000), (4, 5, 3, 200)]
    gps = _ifd((0x8825, 4, 1, 26)) + b"".join(
        (struct.pack(">H", 4), *(struct.pack(">HHII", *entry) for entry in nowhere), bytes(200))
    )
    yield made("degrees-of-nothing", gps)
    tall = dict(GPS) | {2: (125.0, 0.0, 0.0), 4: (514.0, 0.0, 0.0)}
    yield made("beyond-the-pole", block(tall)[6:])


def _webps() -> Iterator[Lying]:
    def made(name: str, data: bytes, damage: frozenset[Damage | None]) -> Lying:
        return Lying(f"{name}.webp", data, damage, "image/webp")

    def riff(*chunks: bytes, size: int | None = None) -> bytes:
        body = b"WEBP" + b"".join(chunks)
        return b"RIFF" + (len(body) if size is None else size).to_bytes(4, "little") + body

    canvas = webp_chunk(b"VP8X", b"\x02\0\0\0" + (16_777_214).to_bytes(3, "little") * 2)
    plain = scene("WEBP")
    yield made("canvas-without-end", riff(canvas), ANY - {None})
    yield made("cut", plain[: len(plain) // 2], GONE)
    yield made("size-of-4-gb", plain[:4] + b"\xff" * 4 + plain[8:], ANY)
    yield made("chunk-of-4-gb", riff(b"VP8 \xff\xff\xff\xff" + bytes(20)), GONE)
    frame = webp_chunk(b"ANMF", bytes(16) + webp_chunk(b"VP8 ", bytes(10)))
    yield made("thousands-of-frames", riff(canvas, webp_chunk(b"ANIM", bytes(6)), *(frame,) * 20_000), ANY - {None})


def _strangers() -> Iterator[Lying]:
    jpeg = scene()
    for name, data in (
        ("empty.jpg", b""),
        ("newline.jpg", b"\n"),
        ("gif.jpg", b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(20)),
        ("program.jpg", b"MZ" + bytes(500)),
        ("elf.png", b"\x7fELF" + bytes(500)),
        ("page.jpg", b"<!DOCTYPE html><script>alert(1)</script>" + jpeg),
        ("drawing.png", b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'),
        ("archive.mp4", b"PK\x03\x04" + bytes(500)),
        ("script.jpg", b"#!/bin/sh\nrm -rf /\n"),
        ("tiff.jpg", _ifd((0x0100, 4, 1, 2**31), (0x0101, 4, 1, 2**31))),
        ("bitmap.png", b"BM" + struct.pack("<IHHIIiiHH", 2**31, 0, 0, 54, 40, 2**31 - 1, 2**31 - 1, 1, 24)),
    ):
        yield Lying(name, data, NO_TYPE if data else frozenset({Damage.EMPTY}), None)
    yield Lying("picture.txt", jpeg, WHOLE, "image/jpeg")
    yield Lying("picture.exe", scene("PNG"), WHOLE, "image/png")


def box(kind: bytes, *parts: bytes, size: int | None = None) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8 if size is None else size) + kind + body


def _boxes() -> Iterator[Lying]:
    def made(name: str, brand: bytes, *parts: bytes) -> Lying:
        types = {b"heic": "image/heic", b"avif": "image/avif", b"isom": "video/mp4", b"qt  ": "video/quicktime"}
        types |= {b"3gp5": "video/3gpp", b"M4A ": "audio/mp4"}
        file = box(b"ftyp", brand, bytes(4), brand) + b"".join(parts)
        return Lying(f"{name}.{brand.decode().strip()}", file, ANY, types[brand])

    def nested(depth: int) -> bytes:
        return b"".join(struct.pack(">I", (depth - level) * 8) + b"moov" for level in range(depth))

    loop = struct.pack(">IHHBBBBHHHHHIII", 0, 0, 0, 0, 0x44, 0, 0, 1, 1, 0, 0, 1, 0, 2**32 - 1, 0)
    primary = box(b"pitm", bytes(4), struct.pack(">H", 1))
    many = struct.pack(">IH", 0, 65535)
    huge = box(b"ispe", bytes(4), struct.pack(">II", 2**31 - 1, 2**31 - 1))
    head = struct.pack(">IIIIIHH", 0, 0, 0, 0, 2**32 - 1, 0, 0) + bytes(80)
    table = box(b"stsz", struct.pack(">III", 0, 0, 2**32 - 1)), box(b"stts", struct.pack(">II", 0, 2**32 - 1))
    far = box(b"co64", struct.pack(">IIQ", 0, 1, 2**63))
    track = box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", *table, far))))
    for brand in (b"heic", b"avif"):
        yield made("type-only", brand)
        yield made("items-in-themselves", brand, box(b"meta", bytes(4), primary, box(b"iloc", loop[4:])))
        yield made("items-without-end", brand, box(b"meta", bytes(4), box(b"iinf", many), box(b"iloc", many)))
        yield made("sides-of-2-31", brand, box(b"meta", bytes(4), primary, box(b"iprp", box(b"ipco", huge))))
    for brand in (b"isom", b"qt  ", b"3gp5", b"M4A "):
        yield made("type-only", brand)
        yield made("samples-without-end", brand, box(b"moov", box(b"mvhd", head), track), box(b"mdat", bytes(40)))
    yield made("nested-without-end", b"isom", nested(50_000))
    yield made("box-of-no-size", b"isom", box(b"moov", box(b"udta", box(b"free", size=3))))
    yield made("box-to-the-end", b"isom", box(b"moov", box(b"udta", size=0)))
    yield made("box-of-2-63", b"isom", struct.pack(">I4sQ", 1, b"mdat", 2**63) + bytes(40))
    yield made("boxes-by-the-thousand", b"isom", box(b"moov", box(b"udta", *(box(b"free"),) * 200_000)))
    yield made("place-of-nonsense", b"isom", box(b"moov", box(b"udta", box(b"\xa9xyz", b"\xff\xff\0\0+999.0-999.0/"))))
    yield made("loci-cut", b"3gp5", box(b"moov", box(b"udta", box(b"loci", bytes(4) + b"\xff" * 5))))
    yield made("no-moov", b"qt  ", box(b"mdat", bytes(5000)))


def _sounds() -> Iterator[Lying]:
    yield Lying("tag-of-256-mb.mp3", b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(100), ANY, "audio/mpeg")
    yield Lying("noise.mp3", b"\xff\xfb\x90\0" + bytes(range(256)) * 40, ANY, "audio/mpeg")
    yield Lying("noise.amr", b"#!AMR\n" + bytes(range(256)) * 4, ANY, "audio/amr")
    yield Lying("nothing.amr", b"#!AMR\n", ANY, "audio/amr")


def _pdf(*objects: str, trailer: str = "/Root 1 0 R") -> bytes:
    body, places = b"%PDF-1.7\n", []
    for number, text in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj\n{text}\nendobj\n".encode("latin-1")
    listed = f"xref\n0 {len(places) + 1}\n0000000000 65535 f \n" + "".join(f"{at:010} 00000 n \n" for at in places)
    end = f"{listed}trailer\n<< /Size {len(places) + 1} {trailer} >>\nstartxref\n{len(body)}\n%%EOF\n"
    return body + end.encode("latin-1")


def _pdfs() -> Iterator[Lying]:
    def made(name: str, data: bytes) -> Lying:
        return Lying(f"{name}.pdf", data, ANY, "application/pdf")

    catalog, page = "<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {0} {0}] >>"
    one = "<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
    yield made("head-only", b"%PDF-1.7\n")
    yield made("pages-in-themselves", _pdf(catalog, "<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"))
    yield made("two-billion-pages", _pdf(catalog, "<< /Type /Pages /Kids [3 0 R] /Count 2147483647 >>", page.format(9)))
    yield made("page-of-a-billion", _pdf(catalog, one, page.format(10**9)))
    yield made("xref-in-itself", _pdf(catalog, one, page.format(9), trailer="/Root 1 0 R /Prev 9"))
    zeros = zlib.compress(bytes(60 * MIB), 9).decode("latin-1")
    stream = f"<< /Length {len(zeros)} /Filter [/FlateDecode /FlateDecode] >>\nstream\n{zeros}\nendstream"
    full = page.format(9).replace(">>", "/Contents 4 0 R >>")
    yield made("bomb-in-a-page", _pdf(catalog, one, full, stream))
    yield made("deep-arrays", _pdf(catalog, one, "[" * 100_000))
    yield made(
        "locked", _pdf(catalog, one, page.format(9), trailer="/Root 1 0 R /Encrypt << /Filter /Standard /V 9 >>")
    )
    yield made("picture-behind", _pdf(catalog, one, page.format(9)) + scene())


FAMILIES = {
    "png": _pngs,
    "jpeg": _jpegs,
    "exif": _exifs,
    "webp": _webps,
    "strangers": _strangers,
    "boxes": _boxes,
    "sounds": _sounds,
    "pdf": _pdfs,
}
"""The functions that make the files. Some take seconds, so a test calls them, and not the collection of tests."""
