"""Content types by magic number, from a small allow-list; a file's name or its sender's word decides nothing.

Whether the rest of the file keeps what its head promises is left to who decodes it.
"""

HEAD_BYTES = 512
"""As much of a file's head as `sniff` can use."""

_PREFIXES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"%PDF-", "application/pdf"),
    (b"#!AMR\n", "audio/amr"),
    (b"#!AMR-WB\n", "audio/amr"),
    (b"ID3", "audio/mpeg"),
)

# Brands of ISO base media files (ISO/IEC 14496-12; registered at mp4ra.org), without their trailing spaces.
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
# These two only say "an HEIF file": which coding it holds stands among the compatible brands.
_GENERIC_HEIF = frozenset({b"mif1", b"msf1", b"mif2", b"miaf"})
# QuickTime files from before `ftyp` begin with one of these atoms.
_OLD_QUICKTIME = frozenset({b"moov", b"mdat", b"wide"})


def sniff(head: bytes) -> str | None:
    """The content type of a file that begins with `head`, or None where it is none of the twelve that are allowed."""
    for prefix, content_type in _PREFIXES:
        if head.startswith(prefix):
            return content_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        return _by_brands(head)
    if head[4:8] in _OLD_QUICKTIME:
        return "video/quicktime"
    return "audio/mpeg" if _begins_mp3_frame(head) else None


def _by_brands(head: bytes) -> str | None:
    box = head[: min(int.from_bytes(head[:4]), HEAD_BYTES)]
    major, *others = (box[at : at + 4].rstrip(b" \0") for at in (8, *range(16, len(box) - 3, 4)))
    if major == b"crx":  # Canon's raw pictures call themselves `isom` too
        return None
    # The major brand speaks for the file; the compatible ones only where it says nothing definite.
    for brand in (major, *others):
        if brand[:3] in {b"3gp", b"3g2", b"3gr", b"3gs", b"3ge", b"3gg"}:
            return "video/3gpp"
        if brand in _BRANDS and not (major in _GENERIC_HEIF and not _BRANDS[brand].startswith("image/")):
            return _BRANDS[brand]
    return "image/heic" if major in _GENERIC_HEIF else None


def _begins_mp3_frame(head: bytes) -> bool:
    """An MPEG audio frame of layer III with a bit rate and a sampling rate that exist (ISO/IEC 11172-3, 2.4.2.3)."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    return version != 1 and layer == 1 and head[2] >> 4 not in {0, 15} and head[2] >> 2 & 3 != 3
