"""Test forged packs, from other programs, other signers or a faulty server: all are refused without a crash."""

import io
import json
import struct
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from api.evidence.evidence_keys import EvidenceKeys
from scripts.stored_zip import BadZipError
from scripts.verify import verify_pack
from storage.embedded.engines import Addresses
from tests.support.forged_packs import Pack, found_in, made_pack, own_signature, rezipped, zipped

ANYTHING: list[Any] = [None, True, 7, "\ud800", [], {}, [None], [[]], [{}], {"path": 1}, "[" * 2000]


@pytest.fixture(scope="module")
def pack(engines: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return made_pack(engines, tmp_path_factory.mktemp("pack"))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"comment": b"signed by the ministry"},
        {"prefix": b"#!/bin/sh\nexit\n" * 9},
        {"extra": b"\x75\x70\x05\x00\x01abcd"},
        {"about": b"original"},
        {"method": zipfile.ZIP_DEFLATED},
        {"method": zipfile.ZIP_LZMA},
        {"named": lambda name: name.replace("case", "c\u0430se")},
        {"named": lambda name: name.replace("originals/", "originals\\")},
        {"named": lambda name: name.upper()},
        {"named": lambda name: f"./{name}"},
    ],
)
def test_a_zip_written_by_another_program_is_refused(pack: Pack, changes: dict[str, Any]) -> None:
    found_in(rezipped(pack, **changes))


def test_a_directory_in_a_different_order_than_the_files_is_refused(pack: Pack) -> None:
    """The files lie at the right places, but ZIP programs list them in the order of the directory."""
    start = pack.body.index(b"PK\1\2")
    _, *entries = pack.body[start:-22].split(b"PK\1\2")
    swapped = b"".join(b"PK\1\2" + each for each in [entries[1], entries[0], *entries[2:]])
    changed = pack.body[:start] + swapped + pack.body[-22:]
    assert zipfile.ZipFile(io.BytesIO(changed)).testzip() is None
    assert "does not lie where it should" in found_in(changed)


def test_an_added_64_bit_end_record_is_refused(pack: Pack) -> None:
    """The test adds a correct record, and then records with one wrong number each. All are refused."""
    directory, end = pack.body.index(b"PK\1\2"), len(pack.body) - 22
    count = len(pack.files)

    def with_end(*, entries: int = count, size: int = end - directory, offset: int = directory, at: int = end) -> bytes:
        large = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, entries, entries, size, offset)
        locator = struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
        small = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
        return pack.body[:end] + large + locator + small

    assert zipfile.ZipFile(io.BytesIO(with_end())).testzip() is None
    for lie in (with_end(), with_end(entries=2**63), with_end(size=2**63), with_end(offset=2**63), with_end(at=0)):
        assert found_in(lie).endswith(".")


def test_a_pack_cannot_add_lines_to_the_verifiers_output(pack: Pack, tmp_path: Path) -> None:
    """A forger who signs with their own key tries to make the terminal show the office's fingerprint."""
    other = EvidenceKeys(tmp_path)
    maker = {"name": f"某人\nKey: {pack.fingerprint}\x1b[2K", "office": "\u202e办"}
    files = pack.files | {"evidence-key.pem": other.signing.public_pem}
    told = verify_pack(io.BytesIO(zipped(pack.signed(files, other, madeBy=maker), pack.body)))
    assert [line for line in told.splitlines() if line.startswith("Key: ")] == [f"Key: {other.signing.fingerprint}"]
    assert all(line.isprintable() for line in told.splitlines())


def test_a_malformed_manifest_never_crashes_the_verifier(pack: Pack) -> None:
    """Each member of the manifest in turn gets a wrong value. The manifest is signed with the right key."""
    manifest = json.loads(pack.files["manifest.json"])
    tried = 0
    for name in manifest:
        for value in ANYTHING:
            try:
                body = rfc8785.dumps(manifest | {name: value})
            except rfc8785.CanonicalizationError:
                body = json.dumps(manifest | {name: value}, ensure_ascii=False).encode(errors="surrogatepass")
            with suppress(BadZipError):
                verify_pack(io.BytesIO(zipped(pack.files | own_signature(body, pack.keys), pack.body)))
            tried += 1
    assert tried == len(ANYTHING) * len(manifest)
    for body in (b"[" * 100_000, b"\xff", b"1" * 5000, b'{"format":1,"format":2}', b"NaN", b""):
        assert found_in(zipped(pack.files | own_signature(body, pack.keys), pack.body)).startswith("manifest.json")


def test_packs_from_before_thumbnail_digests_still_verify(pack: Pack) -> None:
    manifest = json.loads(pack.files["manifest.json"])
    del manifest["thumbnails"]
    files = pack.files | own_signature(rfc8785.dumps(manifest), pack.keys)
    assert "Everything holds" in verify_pack(io.BytesIO(zipped(files, pack.body)))
