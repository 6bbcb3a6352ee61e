"""Detect a file's content type by its magic number. The phone announces this type to the server.

The file name is ignored. The server detects the type again.
"""

_PDF_MARK = b"%PDF-"
HEAD_BYTES = 1024 + len(_PDF_MARK)
"""Readers look for a PDF's header in its first 1,024 bytes."""

_PREFIXES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"#!AMR", "audio/amr"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
)
# Brands of ISO base media files, by their first three letters.
_BRANDS = {
    b"avi": "image/avif",
    b"hei": "image/heic",
    b"hev": "image/heic",
    b"mif": "image/heic",
    b"msf": "image/heic",
    b"M4A": "audio/mp4",
    b"M4B": "audio/mp4",
    b"qt ": "video/quicktime",
    b"3gp": "video/3gpp",
    b"3g2": "video/3gpp",
    b"iso": "video/mp4",
    b"mp4": "video/mp4",
    b"avc": "video/mp4",
    b"M4V": "video/mp4",
    b"MSN": "video/mp4",
    b"XAV": "video/mp4",
    b"das": "video/mp4",
}


def sniff(head: bytes) -> str | None:
    """Return the content type of a file that begins with `head`, or None if the phone doesn't accept such a file."""
    for prefix, content_type in _PREFIXES:
        if head.startswith(prefix):
            return content_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        # `mif1` only means "an HEIF file"; the compatible brands name AVIF.
        if head[8:11] == b"mif" and b"avif" in head[16:]:
            return "image/avif"
        return _BRANDS.get(head[8:11])
    # A byte order mark or line ends may precede the header. Whether other bytes may is the server's decision.
    return "application/pdf" if _PDF_MARK in head[:HEAD_BYTES] else None
