"""Read the ZIP of an evidence pack strictly.

The files in it must not be compressed, and the ZIP must have no unknown bytes.

Ordinary ZIP programs accept much that this module refuses.
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

CHUNK = 1024 * 1024
SIZES_FIRST, SIZES_FOLLOW = 0, 8
"""Flags of a file whose checksum and sizes stand before its bytes, and of one that they follow.

Packs made before December 2026 have them behind. A pack has them in the same place for all files.
"""
MAX_DIRECTORY_BYTES = 64 * 1024 * 1024
SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
IN_64_BITS = 0xFFFFFFFF
"""The value of a 32-bit field if the number needs 64 bits. The number itself is then written elsewhere in the ZIP."""


class BadZipError(Exception):
    """The pack is wrong. The message says in one sentence what is wrong."""


@dataclass(frozen=True)
class ZipEntry:
    """One file in the ZIP. `dos_time` is its time in DOS format. `crc_fits` is true if the ZIP's checksum is right."""

    name: str
    start: int
    size: int
    dos_time: int
    sha256: str
    crc_fits: bool


def entries_of(file: IO[bytes]) -> Iterator[ZipEntry]:
    """Yield the files in their order in the ZIP.

    Raise `BadZipError` if anything is wrong. Even one unknown byte before, between or after the files is wrong.
    """
    directory, count, end = find_directory(file)
    raw = read_part(file, directory, end - directory)
    expected, at, seen, form = 0, 0, set[str](), None
    for _ in range(count):
        name, flags, dos_time, crc, size, offset, length = read_central(raw, at)
        at += length
        if name in seen:
            raise BadZipError(f"{name} is in the ZIP twice.")
        seen.add(name)
        if form not in {None, flags}:
            raise BadZipError(f"{name} is not stored as the files before it.")
        form = flags
        if offset != expected:
            raise BadZipError(f"{name} does not lie where it should: there are bytes that belong to no file.")
        entry, expected = read_entry(file, name, flags, dos_time, crc, size, offset)
        yield entry
    if at != len(raw):
        raise BadZipError("The ZIP's directory has bytes that belong to no file.")
    if expected != directory:
        raise BadZipError("There are bytes between the last file and the ZIP's directory.")


def find_directory(file: IO[bytes]) -> tuple[int, int, int]:
    """Return the start of the directory, its number of entries, and its end."""
    total = file.seek(0, 2)
    if total < 22:
        raise BadZipError("This is no ZIP, or it is cut off.")
    end = total - 22
    sign, disk, start_disk, here, count, size, offset, comment = struct.unpack("<4s4H2LH", read_part(file, end, 22))
    if sign != b"PK\5\6" or comment or disk or start_disk or here != count:
        raise BadZipError("This is no ZIP, or it is cut off, or something was added at its end.")
    if offset + size == end and size <= MAX_DIRECTORY_BYTES:
        return offset, count, end
    end64 = end - 76
    if end64 > 0:
        record = struct.unpack("<4sQ2H2L4Q4sLQL", read_part(file, end64, 76))
        count64, size64, offset64 = record[6], record[8], record[9]
        expected = (b"PK\6\6", 44, 45, 45, 0, 0, count64, count64, size64, offset64, b"PK\6\7", 0, end64, 1)
        capped = min(count64, 0xFFFF), min(size64, IN_64_BITS), min(offset64, IN_64_BITS)
        if (
            record == expected
            and capped == (count, size, offset)
            and offset64 + size64 == end64
            and size64 <= MAX_DIRECTORY_BYTES
        ):
            return offset64, count64, end64
    raise BadZipError("The ZIP's directory is damaged, or the ZIP is cut off.")


def read_central(raw: bytes, at: int) -> tuple[str, int, int, int, int, int, int]:
    """Read an entry of the ZIP's directory.

    Return its name, flags, time, checksum, size, start of the file, and entry length.
    """
    if len(raw) < at + 46:
        raise BadZipError("The ZIP's directory is damaged.")
    fields = struct.unpack("<4s4B2HL3L5H2L", raw[at : at + 46])
    sign, made, system, needed, reserved, flags, method, dos_time, crc, packed, size = fields[:11]
    long, extra_long, comment, disk, inner, outer, offset = fields[11:]
    name = read_name(raw[at + 46 : at + 46 + long])
    extra = raw[at + 46 + long : at + 46 + long + extra_long]
    is_large = len(extra) > 0
    if (
        (method, packed) != (0, size)
        or flags not in {SIZES_FIRST, SIZES_FOLLOW}
        or (made, needed) != ((45, 45) if is_large else (20, 20))
    ):
        raise BadZipError(f"{name} is not stored as packs are: compressed, encrypted, or its entry is damaged.")
    if (sign, system, reserved, comment, disk, inner, outer) != (b"PK\1\2", 3, 0, 0, 0, 0, 0o100644 << 16):
        raise BadZipError(f"The ZIP's directory is damaged at {name}.")
    if is_large:
        size, offset = read_extra(name, extra, packed, size, offset)
    return name, flags, dos_time, crc, size, offset, 46 + long + extra_long + comment


def read_extra(name: str, extra: bytes, packed: int, size: int, offset: int) -> tuple[int, int]:
    """Return a file's size and start. At least one of the two needs 64 bits and is read from `extra`."""
    count = (2 if packed == IN_64_BITS else 0) + (1 if offset == IN_64_BITS else 0)
    if not count or len(extra) != 4 + 8 * count or struct.unpack("<2H", extra[:4]) != (1, 8 * count):
        raise BadZipError(f"The ZIP's directory is damaged at {name}.")
    numbers = list(struct.unpack(f"<{count}Q", extra[4:]))
    if packed == IN_64_BITS:
        if numbers[0] != numbers[1]:
            raise BadZipError(f"The ZIP's directory is damaged at {name}.")
        size, numbers = numbers[0], numbers[2:]
    return size, numbers[0] if numbers else offset


def read_name(raw: bytes) -> str:
    name = raw.decode("ascii", "replace")
    if not SAFE.fullmatch(name):
        raise BadZipError(f"The ZIP holds a file by a name that no pack has: {name[:100]!r}.")
    return name


def read_entry(
    file: IO[bytes], name: str, flags: int, dos_time: int, crc: int, size: int, offset: int
) -> tuple[ZipEntry, int]:
    """Read the file at `offset`. Return its entry, and the offset at which the next file must begin."""
    header = struct.unpack("<4s2B2H4L2H", read_part(file, offset, 30))
    long, extra_long = header[-2:]
    start = offset + 30 + long + extra_long
    is_large = extra_long == 20
    is_first = flags == SIZES_FIRST
    stated = (crc, size) if is_first else (0, 0)
    sizes = (IN_64_BITS, IN_64_BITS) if is_large else (stated[1], stated[1])
    expected = (b"PK\3\4", 45 if is_large else 20, 0, flags, 0, dos_time, stated[0], *sizes)
    extra = read_part(file, offset + 30 + long, extra_long)
    if header[:9] != expected or read_part(file, offset + 30, long) != name.encode():
        raise BadZipError(f"The head of {name} in the ZIP is damaged or is that of another file.")
    if extra_long and extra != struct.pack("<2H2Q", 1, 16, stated[1], stated[1]):
        raise BadZipError(f"The head of {name} in the ZIP is damaged or is that of another file.")
    digest, checksum, left = hashlib.sha256(), 0, size
    file.seek(start)
    while left:
        chunk = file.read(min(CHUNK, left))
        if not chunk:
            raise BadZipError(f"The ZIP is cut off within {name}.")
        digest.update(chunk)
        checksum = zlib.crc32(chunk, checksum)
        left -= len(chunk)
    entry = ZipEntry(name, start, size, dos_time, digest.hexdigest(), crc == checksum)
    return entry, start + size if is_first else read_tail(file, entry, crc, is_large=is_large)


def read_tail(file: IO[bytes], entry: ZipEntry, crc: int, *, is_large: bool) -> int:
    """Read the checksum and the sizes that follow a file. Return the offset behind them."""
    form, start = "<4sL2Q" if is_large else "<4s3L", entry.start + entry.size
    tail = struct.unpack(form, read_part(file, start, struct.calcsize(form)))
    if tail != (b"PK\7\10", crc, entry.size, entry.size):
        raise BadZipError(f"What follows {entry.name} in the ZIP is damaged.")
    return start + struct.calcsize(form)


def read_part(file: IO[bytes], start: int, size: int) -> bytes:
    """Read exactly `size` bytes. Raise `BadZipError` if there are fewer."""
    file.seek(start)
    content = file.read(size)
    if len(content) != size:
        raise BadZipError("The ZIP is cut off or damaged.")
    return content
