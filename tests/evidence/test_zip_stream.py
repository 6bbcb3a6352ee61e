"""Test a pack's ZIP: every Python version writes the same bytes, and other programs can read them.

From a fixed size on, sizes and offsets have 64 bits.
"""

import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from api.evidence import zip_stream
from api.evidence.zip_stream import LARGE, Archive, ChangedFileError, Entry
from scripts.stored_zip import entries_of, read_central

AT = datetime(2026, 11, 23, 1, 12, 33, tzinfo=UTC)
WHEN = 0x5D77_4990
"""9:12:32 on 23 November 2026 in Beijing, in DOS format."""


async def written(*files: tuple[str, bytes]) -> bytes:
    """Return a ZIP of these files, each streamed in chunks of 700 bytes."""
    archive = Archive(AT)
    pieces: list[bytes] = []
    for path, body in files:

        async def chunks(body: bytes = body) -> AsyncIterator[bytes]:
            for start in range(0, len(body), 700):
                yield body[start : start + 700]

        pieces += [piece async for piece in archive.stream(path, len(body), zlib.crc32(body), chunks())]
    assert [(file.path, file.byte_size) for file in archive.files] == [(path, len(body)) for path, body in files]
    return b"".join([*pieces, archive.end()])


@pytest.mark.parametrize("bound", [1, 2_000, 2_001, 2_002, LARGE])
async def test_every_reader_finds_the_written_files(bound: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_stream, "LARGE", bound)
    files = {"empty.txt": b"", "a/under.jpg": b"a" * 2_000, "a/over.jpg": b"b" * 2_001, "last.json": b"{}"}
    body = await written(*files.items())
    found = list(entries_of(io.BytesIO(body)))
    assert {entry.name: (entry.size, entry.sha256, entry.crc_fits, entry.dos_time) for entry in found} == {
        name: (len(content), hashlib.sha256(content).hexdigest(), True, WHEN) for name, content in files.items()
    }
    for entry in found:
        [version] = struct.unpack("<H", body[(place := body.index(entry.name.encode())) - 26 : place - 24])
        assert version == (45 if entry.size >= bound else 20), entry.name
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files
    added = Archive(AT)
    assert b"".join([*(added.add(*file) for file in files.items()), added.end()]) == body


@pytest.mark.parametrize(
    ("bound", "sha256"),
    [
        (LARGE, "aa76106c3d41f08a668800bc445d28718c09da33c0774e030bb0d368ac421016"),
        (2_000, "1d99a656fef126bb7cdcc7720d8677d01e949a3cfb9446311cd1740888bc67b6"),
    ],
)
async def test_the_zip_is_identical_on_every_python(bound: int, sha256: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_stream, "LARGE", bound)
    body = await written(("a.jpg", b"a" * 1_999), ("b.jpg", b"b" * 2_000), ("c.json", b"{}"))
    assert hashlib.sha256(body).hexdigest() == sha256


@pytest.mark.parametrize("size", [0, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40])
@pytest.mark.parametrize("start", [0, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40])
def test_sizes_and_offsets_of_any_magnitude_are_listed(size: int, start: int) -> None:
    entry = Entry(b"a.jpg", start, size, checksum=7)
    listing, head = entry.listing(WHEN), entry.head(WHEN)
    assert read_central(listing, 0) == ("a.jpg", 0, WHEN, 7, size, start, len(listing))
    stated = head[39:] if size >= 2**31 else head[18:26]
    assert stated == struct.pack("<2Q" if size >= 2**31 else "<2L", size, size)
    assert struct.unpack("<HL", head[6:8] + head[14:18]) == (0, 7)


@pytest.mark.parametrize("body", [b"", b"a" * 1_999, b"a" * 2_001, b"b" * 2_000])
async def test_bytes_that_differ_from_what_the_head_says_are_an_error(body: bytes) -> None:
    """The writer never yields more bytes than the head says."""

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 700):
            yield body[start : start + 700]

    pieces: list[bytes] = []
    archive = Archive(AT)

    async def write() -> None:
        async for piece in archive.stream("a.jpg", 2_000, zlib.crc32(b"a" * 2_000), chunks()):
            pieces.append(piece)  # noqa: PERF401  what was yielded before the error

    with pytest.raises(ChangedFileError):
        await write()
    assert sum(map(len, pieces[1:])) <= 2_000
    assert archive.files == []


async def test_a_zip_can_hold_more_files_than_16_bits_can_count() -> None:
    archive = Archive(AT)
    body = b"".join([*(archive.add(f"{number}.txt", b"") for number in range(2**16)), archive.end()])
    assert sum(1 for _ in entries_of(io.BytesIO(body))) == 2**16
