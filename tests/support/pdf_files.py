"""Make PDF files object by object, also with passwords."""

import hashlib

_PADDING = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")
"""Fills passwords up to 32 bytes (ISO 32000-1, 7.6.3.3, algorithm 2)."""
_ID = bytes(range(16))
_PERMITS_ALL = 0xFFFFFFFC


def raw_pdf(*objects: str, trailer: str = "<< /Size 9 /Root 1 0 R >>", xref: int | None = None) -> bytes:
    body = "%PDF-1.7\n"
    places = []
    for number, each in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj\n{each}\nendobj\n"
    at = len(body)
    lines = "".join(f"{place:010} 00000 n \n" for place in places)
    body += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{lines}trailer\n{trailer}\n"
    return f"{body}startxref\n{at if xref is None else xref}\n%%EOF\n".encode("latin-1")


def pdf(pages: int = 2, *, owner: str = "", user: str = "") -> bytes:
    """Return a document in A4 with a red upper half on each page. It is encrypted if it has the password of an owner.

    Its encryption is the oldest one: RC4 with 40 bits (ISO 32000-1, 7.6.3, revision 2).
    """
    key, encryption, trailer = b"", [], ""
    if owner:
        of_owner = _rc4(hashlib.md5(_padded(owner), usedforsecurity=False).digest()[:5], _padded(user))
        permissions = _PERMITS_ALL.to_bytes(4, "little")
        key = hashlib.md5(_padded(user) + of_owner + permissions + _ID, usedforsecurity=False).digest()[:5]
        of_user = _rc4(key, _PADDING)
        encryption = [f"<< /Filter /Standard /V 1 /R 2 /P -4 /O <{of_owner.hex()}> /U <{of_user.hex()}> >>"]
        trailer = f" /Encrypt {3 + 2 * pages} 0 R /ID [<{_ID.hex()}> <{_ID.hex()}>]"
    drawing = b"0.86 0.12 0.12 rg 0 421 595 421 re f"
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    for _ in range(pages):
        number = len(objects) + 1
        objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {number + 1} 0 R >>")
        content = _encrypted(key, number + 1, drawing) if key else drawing
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content.decode('latin-1')}\nendstream")
    kids = " ".join(f"{number} 0 R" for number in range(3, 3 + 2 * pages, 2))
    objects[1] = f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>"
    objects += encryption
    return raw_pdf(*objects, trailer=f"<< /Size {len(objects) + 1} /Root 1 0 R{trailer} >>")


def _padded(password: str) -> bytes:
    return (password.encode("latin-1") + _PADDING)[:32]


def _encrypted(key: bytes, number: int, data: bytes) -> bytes:
    """Encrypt a stream of the object with this number (algorithm 1)."""
    own_key = hashlib.md5(key + number.to_bytes(3, "little") + bytes(2), usedforsecurity=False).digest()
    return _rc4(own_key[: len(key) + 5], data)


def _rc4(key: bytes, data: bytes) -> bytes:
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    i = j = 0
    found = bytearray()
    for each in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        found.append(each ^ state[(state[i] + state[j]) % 256])
    return bytes(found)
