"""Test that no malformed file crashes the decoder, exceeds its limits, or is changed when it is read."""

import resource
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.formats.content_types import HEAD_BYTES, sniff
from storage.formats.results import Damage
from storage.formats.sandbox import Decoder
from tests.support.malformed_files import FAMILIES, Lying, scene

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


@pytest.fixture(scope="module")
def corpus() -> dict[str, list[Lying]]:
    """Make the files of each family."""
    return {family: list(files()) for family, files in FAMILIES.items()}


def test_corpus_files_have_the_content_types_they_declare(corpus: dict[str, list[Lying]]) -> None:
    files = [each for family in corpus.values() for each in family]
    assert len(files) >= 40
    assert len({each.name for each in files}) == len(files)
    for each in files:
        assert sniff(each.data[:HEAD_BYTES]) == each.content_type, each.name
        assert Damage.CRASHED not in each.damage, each.name


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_malformed_file_stays_within_limits_and_spoils_no_other(
    decoder: Decoder, corpus: dict[str, list[Lying]], family: str, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(scene())
    for lying in corpus[family]:
        file = tmp_path / lying.name
        file.write_bytes(lying.data)
        started = time.monotonic()
        picture = await decoder.examine(file)
        assert time.monotonic() - started < 2 * SECONDS + 5, lying.name
        assert file.read_bytes() == lying.data
        assert picture.damage in lying.damage, lying.name
        assert picture.content_type == lying.content_type, lying.name
        assert picture.position is None or lying.name in {"exif-of-10-mb.png"}, lying.name
        assert all(thumbnail.data.startswith(b"\xff\xd8\xff") for thumbnail in picture.thumbnails), lying.name
        if decoder.pid is not None:
            assert peak_bytes(decoder.pid) < MEMORY_BYTES, lying.name
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < MEMORY_BYTES
        after = await decoder.examine(plain)
        assert (after.damage, len(after.thumbnails)) == (None, 2), lying.name
