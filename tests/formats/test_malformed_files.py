"""Test that no malformed file crashes the decoder, exceeds its limits, or is changed when it is read."""

import hashlib
import resource
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.formats.content_types import HEAD_BYTES, sniff
from storage.formats.results import Damage
from storage.formats.sandbox import Decoder
from tests.support.malformed_files import Lying, corpus

CORPUS = corpus()
SECONDS, MEMORY_BYTES = 20.0, 1536 * 2**20
"""The worker's own limits for one file."""


@pytest.fixture(scope="module")
async def decoder() -> AsyncIterator[Decoder]:
    """Yield one decoder for all files, as in the worker. So a file that affects the next file makes a test fail."""
    async with Decoder(seconds=SECONDS, memory_bytes=MEMORY_BYTES) as decoder:
        yield decoder


def peak_bytes(pid: int) -> int:
    """Return the peak memory of a process so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def test_corpus_files_have_the_content_types_they_declare() -> None:
    assert len(CORPUS) >= 40
    assert len({each.name for each in CORPUS}) == len(CORPUS)
    for each in CORPUS:
        assert sniff(each.data[:HEAD_BYTES]) == each.content_type, each.name


@pytest.mark.parametrize("lying", CORPUS, ids=lambda each: each.name)
async def test_a_malformed_file_stays_within_limits_and_spoils_no_other(
    decoder: Decoder, lying: Lying, tmp_path: Path
) -> None:
    file = tmp_path / lying.name
    file.write_bytes(lying.data)
    started = time.monotonic()
    picture = await decoder.examine(file)
    assert time.monotonic() - started < 2 * SECONDS + 5
    assert hashlib.sha256(file.read_bytes()).digest() == hashlib.sha256(lying.data).digest()
    assert picture.damage in lying.damage
    assert picture.content_type == lying.content_type
    assert picture.position is None or lying.name in {"exif-of-10-mb.png"}
    assert all(thumbnail.data.startswith(b"\xff\xd8\xff") for thumbnail in picture.thumbnails)
    if decoder.pid is not None:
        assert peak_bytes(decoder.pid) < MEMORY_BYTES
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < MEMORY_BYTES
    plain = tmp_path / "plain"
    plain.write_bytes(next(each.data for each in CORPUS if each.name == "picture.txt"))
    after = await decoder.examine(plain)
    assert (after.damage, len(after.thumbnails)) == (None, 2)


def test_no_corpus_file_is_expected_to_crash_the_decoder() -> None:
    assert not any(Damage.CRASHED in each.damage for each in CORPUS)
