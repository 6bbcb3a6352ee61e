"""Encrypt a file in chunks, so that any range can be read alone and every change is detected.

An encrypted file is 16 random bytes of salt, then chunks of 64 KiB. The last chunk can be shorter. Each chunk is
encrypted with AES-256-GCM and followed by its tag of 16 bytes. The file's own key is derived (HKDF-SHA-256) from the
given key, the salt and the file's name. The nonce is the chunk's number, then a byte that is 1 for the last chunk and 0
for all others. So a chunk that was moved within the file or to another file doesn't decrypt. If the file was truncated,
the chunk that is now the last doesn't decrypt.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from secrets import token_bytes
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CHUNK = 64 * 1024
TAG, SALT = 16, 16


class BrokenFileError(Exception):
    """An encrypted file was changed, or was written under another key or name."""


def derive_key(key: bytes, purpose: str, salt: bytes | None = None) -> bytes:
    """Derive a key of 32 bytes for one purpose."""
    return HKDF(SHA256(), 32, salt, f"mingcha phone: {purpose}".encode()).derive(key)


def seal(key: bytes, name: str, plain: Iterable[bytes], writer: BinaryIO) -> None:
    """Write the encrypted file `name` to `writer`. `plain` yields the content in pieces of any size."""
    salt = token_bytes(SALT)
    cipher = _cipher(key, name, salt)
    writer.write(salt)
    number, held = 0, bytearray()
    for piece in plain:
        held += piece
        while len(held) > CHUNK:  # keep at least one byte back: the last chunk is marked as the last
            writer.write(cipher.encrypt(_nonce(number, is_last=False), bytes(held[:CHUNK]), None))
            del held[:CHUNK]
            number += 1
    writer.write(cipher.encrypt(_nonce(number, is_last=True), bytes(held), None))


def unseal(key: bytes, path: Path, start: int, byte_size: int) -> Iterator[bytes]:
    """Decrypt `byte_size` bytes from `start`, chunk by chunk.

    Raise `BrokenFileError`, or `OSError` if the file can't be read.
    """
    with path.open("rb") as reader:
        salt = reader.read(SALT)
        cipher = _cipher(key, path.name, salt)
        sealed = reader.seek(0, 2) - SALT
        count = max(1, -(-sealed // (CHUNK + TAG)))
        number, skip, left = start // CHUNK, start % CHUNK, byte_size
        reader.seek(SALT + number * (CHUNK + TAG))
        while left > 0 and number < count:
            try:
                plain = cipher.decrypt(_nonce(number, is_last=number == count - 1), reader.read(CHUNK + TAG), None)
            except InvalidTag:
                raise BrokenFileError from None
            piece = plain[skip : skip + left]
            number, skip, left = number + 1, 0, left - len(piece)
            yield piece


def _cipher(key: bytes, name: str, salt: bytes) -> AESGCM:
    return AESGCM(derive_key(key, f"file {name}", salt))


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])
