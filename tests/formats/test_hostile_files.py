"""Test the hostile corpus with the real decoder: no crash, bounded memory and time, and a verdict for each file."""

import hashlib
import re
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from api.media.media_facts import facts_of
from storage.formats.results import Damage, ReadResult
from storage.formats.sandbox import Decoder
from storage.publication.redaction_sandbox import Coverer, FaceFinder
from tests.support.hostile_files import others, page_of, pictures
from tests.support.picture_files import saved

pytestmark = pytest.mark.anyio
MIB = 2**20
CAP = 1536 * MIB
SECONDS = 20.0
RESIDENT = 700 * MIB
"""No file of the corpus may make the child use more memory. The child's address space has a higher limit."""


@pytest.fixture
async def decoder() -> AsyncIterator[Decoder]:
    async with Decoder(seconds=SECONDS, memory_bytes=CAP) as decoder:
        yield decoder


def peak(pid: int | None) -> int:
    """Return the peak memory of a process in bytes, or 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def limits_of(pid: int | None) -> dict[str, str]:
    return dict(re.findall(r"^(Max .*?)  +(\w+)", Path(f"/proc/{pid}/limits").read_text(), re.MULTILINE))


def verdict(picture: ReadResult) -> str:
    if picture.damage is None:
        return "readable"
    return "unsupported" if picture.content_type is None and picture.damage is Damage.UNSUPPORTED else "damaged"


@pytest.mark.parametrize("corpus", [pictures, others], ids=["pictures", "others"])
async def test_hostile_files_get_the_right_verdict_within_the_limits(
    decoder: Decoder, tmp_path: Path, corpus: object
) -> None:
    assert callable(corpus)
    rows, wrong, highest = [], [], 0
    child = None
    for name, wanted, data in corpus():
        path = tmp_path / name
        path.write_bytes(data)
        began = time.monotonic()
        picture = await decoder.examine(path)
        took = time.monotonic() - began
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(data).digest(), name
        facts = facts_of(picture)
        assert facts.position is None or facts.position.latitude == pytest.approx(25.829217, abs=1e-6), name
        for figure in (facts.width, facts.height, facts.duration_ms, facts.page_count):
            assert figure is None or 0 <= figure < 2**31, name
        child = child or decoder.pid
        if decoder.pid != child:
            wrong.append(f"{name}: the child was lost ({picture.damage})")
            child = decoder.pid
        highest = max(highest, peak(decoder.pid))
        if verdict(picture) != wanted:
            wrong.append(f"{name}: {picture.damage} is not {wanted}")
        if took > SECONDS:
            wrong.append(f"{name}: {took:.1f} s")
        rows.append(
            f"{name:28} {len(data):>10} {picture.content_type or '-':16} {picture.damage or 'none':16} "
            f"{len(picture.thumbnails)} {took * 1000:7.0f} ms {peak(decoder.pid) // MIB:5} MiB"
        )
        path.unlink()
    print("\n".join(["", *rows]))
    assert wrong == []
    assert len(rows) > 30
    assert 0 < highest < RESIDENT
    (tmp_path / "after").write_bytes(saved(Image.new("RGB", (64, 48))))
    assert (await decoder.examine(tmp_path / "after")).damage is None


async def test_a_bomb_above_the_memory_cap_costs_only_its_file(tmp_path: Path) -> None:
    bomb, photo = tmp_path / "bomb", tmp_path / "photo"
    bomb.write_bytes(page_of("0 0 200 200", b"0 0 1 1 re f\n" * 2_000_000))
    photo.write_bytes(saved(Image.new("RGB", (64, 48))))
    async with Decoder(seconds=SECONDS, memory_bytes=300 * MIB) as decoder:
        picture = await decoder.examine(bomb)
        assert picture.damage in {Damage.OUT_OF_MEMORY, Damage.CRASHED}
        assert picture.content_type == "application/pdf"
        assert (await decoder.examine(photo)).damage is None
        assert peak(decoder.pid) < 300 * MIB


async def test_each_child_has_its_caps(decoder: Decoder, tmp_path: Path) -> None:
    """These are the caps of docs/security.md. Other tests show that a child which reaches a cap is ended."""
    caps = [(each._seconds, each._memory_bytes // MIB) for each in (Decoder(), FaceFinder(tmp_path), Coverer())]
    assert caps == [(20, 1536), (60, 2048), (60, 1536)]
    if sys.platform == "linux":
        (tmp_path / "photo").write_bytes(saved(Image.new("RGB", (64, 48))))
        await decoder.examine(tmp_path / "photo")
        limits = limits_of(decoder.pid)
        assert limits["Max core file size"] == "0"
        assert limits["Max address space"] == str(CAP)
        assert int(limits["Max file size"]) <= CAP
