"""Wrap JPEG pictures for the typesetter. It takes binary data only inside an SVG picture, and keeps their bytes as they are."""

import base64

_SOI, _EOI, _SOS = b"\xff\xd8", b"\xff\xd9", 0xDA
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
"""Frames that PDF readers decode: baseline, extended and progressive, with Huffman codes."""
_COLOURS = frozenset({1, 3})
"""Components of a gray and of a YCbCr picture. PDF/A permits no CMYK picture without a profile of the printer."""
_WIDTH, _HEIGHT = 533, 440
"""Shape of the box into which a picture is fitted."""


def to_svg(body: bytes) -> str | None:
    """Return an SVG picture that shows the JPEG as large as it fits, or None if it is damaged or of another kind."""
    if not _is_printable(body):
        return None
    data = base64.b64encode(body).decode()
    image = f'<image width="{_WIDTH}" height="{_HEIGHT}" href="data:image/jpeg;base64,{data}"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}">{image}</svg>'


def _is_printable(body: bytes) -> bool:
    """Walk the segments up to the pixels, and find the end behind them (ITU-T T.81, B.1.1)."""
    at, has_frame = 2, False
    while body.startswith(_SOI) and at + 10 < len(body) and body[at] == 0xFF:
        code = body[at + 1]
        if code in _FRAMES:
            precision, size, components = body[at + 4], body[at + 5 : at + 9], body[at + 9]
            has_frame = precision == 8 and components in _COLOURS and all((any(size[:2]), any(size[2:])))
        elif code == _SOS:
            return has_frame and body.find(_EOI, at) > 0
        at += 2 + int.from_bytes(body[at + 2 : at + 4])
    return False
