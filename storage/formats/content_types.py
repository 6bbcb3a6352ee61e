"""Detect content types by magic number, from a small allow-list. Ignore a file's name and its declared type."""

_PDF_MARK = b"%PDF-"
_PDF_MARK_WITHIN = 1024
"""Readers look for a PDF's header in its first 1,024 bytes (ISO 32000-1, annex H, note 13)."""
HEAD_BYTES = _PDF_MARK_WITHIN + len(_PDF_MARK)
"""Number of bytes that `sniff` needs from the beginning of a file."""

_PREFIXES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"#!AMR\n", "audio/amr"),
    (b"#!AMR-WB\n", "audio/amr"),
    (b"ID3", "audio/mpeg"),
)

_NOT_PDF = (
    b"<",
    b"GIF8",
    b"PK",
    b"MZ",
    b"\x7fELF",
    b"#!",
    b"II*\0",
    b"MM\0*",
    b"Rar!",
    b"7z\xbc\xaf",
    b"\xd0\xcf\x11\xe0",
)
"""How markup, programs, archives and other documents begin. A PDF that one of them precedes is not read as a PDF."""

# Brands of ISO base media files (ISO/IEC 14496-12; registered at mp4ra.org), without trailing spaces.
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "image/heic"),
    **dict.fromkeys((b"M4A", b"M4B"), "audio/mp4"),
    b"qt": "video/quicktime",
    **dict.fromkeys(
        (b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V", b"MSNV", b"dash", b"XAVC"),
        "video/mp4",
    ),
}
# These only say "an HEIF file". The compatible brands say which codec it uses.
_GENERIC_HEIF = frozenset({b"mif1", b"msf1", b"mif2", b"miaf"})
# QuickTime files without `ftyp` begin with one of these atoms.
_OLD_QUICKTIME = frozenset({b"moov", b"mdat", b"wide"})


def sniff(head: bytes) -> str | None:
    """Return the content type of a file that begins with `head`.

    Return None if it is not one of the twelve allowed types.
    """
    for prefix, content_type in _PREFIXES:
        if head.startswith(prefix):
            return content_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        return _sniff_brands(head)
    if head[4:8] in _OLD_QUICKTIME:
        return "video/quicktime"
    if _begins_mp3_frame(head):
        return "audio/mpeg"
    return "application/pdf" if _holds_pdf_mark(head) else None


def _holds_pdf_mark(head: bytes) -> bool:
    """Look for a PDF's header, also behind a byte order mark, line ends or what a mail program put before it."""
    at = head.find(_PDF_MARK, 0, _PDF_MARK_WITHIN + len(_PDF_MARK))
    return at >= 0 and not head[:at].removeprefix(b"\xef\xbb\xbf").lstrip().startswith(_NOT_PDF)


def _sniff_brands(head: bytes) -> str | None:
    box = head[: min(int.from_bytes(head[:4]), HEAD_BYTES)]
    major, *others = (box[at : at + 4].rstrip(b" \0") for at in (8, *range(16, len(box) - 3, 4)))
    if major == b"crx":  # Canon's raw pictures have the brand `isom` too
        return None
    # The major brand decides. The compatible brands count only if it is not specific.
    for brand in (major, *others):
        if brand[:3] in {b"3gp", b"3g2", b"3gr", b"3gs", b"3ge", b"3gg"}:
            return "video/3gpp"
        if brand in _BRANDS and not (major in _GENERIC_HEIF and not _BRANDS[brand].startswith("image/")):
            return _BRANDS[brand]
    return "image/heic" if major in _GENERIC_HEIF else None


def _begins_mp3_frame(head: bytes) -> bool:
    """Check for an MPEG audio frame of layer III with a valid bit rate and sampling rate (ISO/IEC 11172-3, 2.4.2.3)."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    return version != 1 and layer == 1 and head[2] >> 4 not in {0, 15} and head[2] >> 2 & 3 != 3
