"""Test that programs which read a ZIP from front to back read packs, and that the verifier still reads earlier packs."""

import hashlib
import io
from pathlib import Path

import pytest

from api.evidence import zip_stream
from scripts.stored_zip import BadZipError, entries_of
from scripts.verify import verify_pack
from storage.embedded.engines import Addresses
from tests.support.forged_packs import Pack, found_in, made_pack, zipped
from tests.support.sequential_zips import READERS, is_missing, sizes_behind


@pytest.fixture(scope="module")
def pack(engines: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return made_pack(engines, tmp_path_factory.mktemp("pack"))


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_from_front_to_back_reads_every_file(pack: Pack, reader: str, tmp_path: Path) -> None:
    if is_missing(reader):
        pytest.skip(f"{reader} is missing")
    read = READERS[reader][1]
    digests = {name: hashlib.sha256(body).hexdigest() for name, body in pack.files.items()}
    assert read(pack.body, tmp_path) == digests
    if reader != "perl":  # it searches the bytes for the end of the file
        with pytest.raises(ValueError, match=r"."):
            read(earlier(pack), tmp_path)


@pytest.mark.parametrize("reader", READERS)
def test_sizes_of_64_bits_are_read_from_front_to_back(
    pack: Pack, reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_missing(reader):
        pytest.skip(f"{reader} is missing")
    monkeypatch.setattr(zip_stream, "LARGE", 1_000)
    large = zipped(pack.files, pack.body)
    assert large != pack.body
    assert set(READERS[reader][1](large, tmp_path)) == set(pack.files)


def earlier(pack: Pack) -> bytes:
    return sizes_behind(pack.files, next(entries_of(io.BytesIO(pack.body))).dos_time)


def test_packs_of_earlier_versions_still_verify(pack: Pack) -> None:
    body = earlier(pack)
    assert "Everything holds" in verify_pack(io.BytesIO(body), pack.fingerprint)
    for at in range(body.index(b"PK\7\10"), body.index(b"PK\7\10") + 16):
        changed = bytearray(body)
        changed[at] ^= 1
        assert found_in(bytes(changed)).endswith("."), at


def test_a_pack_with_both_forms_is_refused(pack: Pack) -> None:
    first, *others = pack.files.items()
    one, rest = sizes_behind(dict([first]), 0), zipped(others, pack.body)
    cut, end = one.index(b"PK\1\2"), rest.index(b"PK\1\2")
    moved = bytearray(rest[end:-22])
    at = 0
    while (at := moved.find(b"PK\1\2", at)) >= 0:
        start = int.from_bytes(moved[at + 42 : at + 46], "little") + cut
        moved[at + 42 : at + 46] = start.to_bytes(4, "little")
        at += 4
    directory = one[cut:-22] + bytes(moved)
    last = bytearray(rest[-22:])
    last[8:12] = len(pack.files).to_bytes(2, "little") * 2
    last[12:20] = len(directory).to_bytes(4, "little") + (cut + end).to_bytes(4, "little")
    with pytest.raises(BadZipError, match=r"is not stored as the files before it"):
        list(entries_of(io.BytesIO(one[:cut] + rest[:end] + directory + bytes(last))))
