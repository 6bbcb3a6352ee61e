"""Read the ZIP of an evidence pack strictly: entries are stored, and every byte is accounted for.

ZIP programs accept much that is refused here.
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

CHUNK = 1024 * 1024
MAX_DIRECTORY_BYTES = 64 * 1024 * 1024
SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
UNSAID = 0xFFFFFFFF
"""Stands for a number that needs 64 bits and is told elsewhere."""


class BadZipError(Exception):
    """What is wrong, in a sentence."""


@dataclass(frozen=True)
class ZipEntry:
    """One file as it lies in the ZIP; `when` is its time as DOS wrote it, `crc_fits` whether
    the ZIP's own checksum is right."""

    name: str
    start: int
    size: int
    when: int
    sha256: str
    crc_fits: bool


def entries_of(file: IO[bytes]) -> Iterator[ZipEntry]:
    """Every file in the order in which they lie, without a byte before, between or after them."""
    directory, count, end = find_directory(file)
    raw = part(file, directory, end - directory)
    expected, at, seen = 0, 0, set[str]()
    for _ in range(count):
        name, flags, when, crc, size, offset, length = read_central(raw, at)
        at += length
        if name in seen:
            raise BadZipError(f"{name} is in the ZIP twice.")
        seen.add(name)
        if offset != expected:
            raise BadZipError(f"{name} does not lie where it should: there are bytes that belong to no file.")
        entry, expected = read_entry(file, name, flags, when, crc, size, offset)
        yield entry
    if at != len(raw):
        raise BadZipError("The ZIP's directory has bytes that belong to no file.")
    if expected != directory:
        raise BadZipError("There are bytes between the last file and the ZIP's directory.")


def find_directory(file: IO[bytes]) -> tuple[int, int, int]:
    """Where the directory begins, how many entries it has, where it ends."""
    total = file.seek(0, 2)
    if total < 22:
        raise BadZipError("This is no ZIP, or it is cut off.")
    end = total - 22
    sign, disk, start_disk, here, count, size, offset, comment = struct.unpack("<4s4H2LH", part(file, end, 22))
    if sign != b"PK\5\6" or comment or disk or start_disk or here != count:
        raise BadZipError("This is no ZIP, or it is cut off, or something was added at its end.")
    if offset + size == end and size <= MAX_DIRECTORY_BYTES:
        return offset, count, end
    large = end - 76
    if large > 0:
        found = struct.unpack("<4sQ2H2L4Q4sLQL", part(file, large, 76))
        count_, size_, offset_ = found[6], found[8], found[9]
        wanted = (b"PK\6\6", 44, 45, 45, 0, 0, count_, count_, size_, offset_, b"PK\6\7", 0, large, 1)
        cut = min(count_, 0xFFFF), min(size_, UNSAID), min(offset_, UNSAID)
        if (
            found == wanted
            and cut == (count, size, offset)
            and offset_ + size_ == large
            and size_ <= MAX_DIRECTORY_BYTES
        ):
            return offset_, count_, large
    raise BadZipError("The ZIP's directory is damaged, or the ZIP is cut off.")


def read_central(raw: bytes, at: int) -> tuple[str, int, int, int, int, int, int]:
    """One entry of the directory: name, flags, time, checksum, size, where it begins, and the entry's own length."""
    if len(raw) < at + 46:
        raise BadZipError("The ZIP's directory is damaged.")
    fields = struct.unpack("<4s4B2HL3L5H2L", raw[at : at + 46])
    sign, made, system, needed, reserved, flags, method, when, crc, packed, size = fields[:11]
    long, extra_long, comment, disk, inner, outer, offset = fields[11:]
    name = read_name(raw[at + 46 : at + 46 + long])
    extra = raw[at + 46 + long : at + 46 + long + extra_long]
    is_large = len(extra) > 0
    if (method, flags, packed) != (0, 8, size) or (made, needed) != ((45, 45) if is_large else (20, 20)):
        raise BadZipError(f"{name} is not stored as packs are: compressed, encrypted, or its entry is damaged.")
    if (sign, system, reserved, comment, disk, inner, outer) != (b"PK\1\2", 3, 0, 0, 0, 0, 0o100644 << 16):
        raise BadZipError(f"The ZIP's directory is damaged at {name}.")
    if is_large:
        size, offset = read_extra(name, extra, packed, size, offset)
    return name, flags, when, crc, size, offset, 46 + long + extra_long + comment


def read_extra(name: str, extra: bytes, packed: int, size: int, offset: int) -> tuple[int, int]:
    """Size and place that need 64 bits."""
    wanted = ([0, 0] if packed == UNSAID else []) + ([0] if offset == UNSAID else [])
    if not wanted or len(extra) != 4 + 8 * len(wanted) or struct.unpack("<2H", extra[:4]) != (1, 8 * len(wanted)):
        raise BadZipError(f"The ZIP's directory is damaged at {name}.")
    numbers = list(struct.unpack(f"<{len(wanted)}Q", extra[4:]))
    if packed == UNSAID:
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
    file: IO[bytes], name: str, flags: int, when: int, crc: int, size: int, offset: int
) -> tuple[ZipEntry, int]:
    """The file at `offset`, and where the next one must begin."""
    header = struct.unpack("<4s2B2H4L2H", part(file, offset, 30))
    long, extra_long = header[-2:]
    start = offset + 30 + long + extra_long
    large = extra_long == 20
    wanted = (b"PK\3\4", 45 if large else 20, 0, flags, 0, when, 0, *((UNSAID, UNSAID) if large else (0, 0)))
    extra = part(file, offset + 30 + long, extra_long)
    if header[:9] != wanted or part(file, offset + 30, long) != name.encode():
        raise BadZipError(f"The head of {name} in the ZIP is damaged or is that of another file.")
    if extra_long and extra != struct.pack("<2H2Q", 1, 16, 0, 0):
        raise BadZipError(f"The head of {name} in the ZIP is damaged or is that of another file.")
    digest, sum_, left = hashlib.sha256(), 0, size
    file.seek(start)
    while left:
        chunk = file.read(min(CHUNK, left))
        if not chunk:
            raise BadZipError(f"The ZIP is cut off within {name}.")
        digest.update(chunk)
        sum_ = zlib.crc32(chunk, sum_)
        left -= len(chunk)
    form = "<4sL2Q" if large else "<4s3L"
    tail = struct.unpack(form, part(file, start + size, struct.calcsize(form)))
    if tail[0] != b"PK\7\10" or tail[2:] != (size, size):
        raise BadZipError(f"What follows {name} in the ZIP is damaged.")
    entry = ZipEntry(name, start, size, when, digest.hexdigest(), crc == sum_ == tail[1])
    return entry, start + size + struct.calcsize(form)


def part(file: IO[bytes], start: int, size: int) -> bytes:
    file.seek(start)
    found = file.read(size)
    if len(found) != size:
        raise BadZipError("The ZIP is cut off or damaged.")
    return found
