"""Test verifying a pack: the command finds and names each change, without a server, a network or the platform."""

import io
import json
import random
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from api.evidence import zip_stream
from api.evidence.evidence_keys import EvidenceKeys
from scripts.stored_zip import entries_of
from scripts.verify import verify_pack
from storage.embedded.engines import Addresses
from tests.support.forged_packs import (
    Pack,
    Tamper,
    edited,
    edited_with_its_digest,
    found_in,
    made_pack,
    own_signature,
    put_in,
    renamed,
    swapped_contents,
    swapped_places,
    without,
    zipped,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pack(engines: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return made_pack(engines, tmp_path_factory.mktemp("pack"))


def test_an_unchanged_pack_is_verified(pack: Pack) -> None:
    told = verify_pack(io.BytesIO(pack.body), pack.fingerprint)
    assert "Everything holds: case 360703-XNB-" in told
    assert "3 are those that were handed in; 0" in told
    assert "2 of 2 recomputed" in told
    assert pack.fingerprint in told
    assert zipped(pack.files, pack.body) == pack.body, "the tests change packs by this writer, and by nothing else"


def test_a_file_with_a_changed_byte_is_named(pack: Pack) -> None:
    for name, body in pack.files.items():
        changed = bytearray(body)
        changed[len(body) // 2] ^= 0x01
        told = found_in(zipped(pack.files | {name: bytes(changed)}, pack.body))
        assert name in told, (name, told)
        if name not in {"manifest.json", "manifest.sig", "evidence-key.pem"}:
            assert told.startswith(f"{name} has been changed: its SHA-256 is ")


def test_no_byte_of_a_pack_can_be_flipped_unnoticed(pack: Pack) -> None:
    """Bits are flipped in the ZIP entries of the smallest files, in the central directory, and in 100 random places."""
    whole = pack.body
    small = [each for each in entries_of(io.BytesIO(whole)) if each.size < 200]
    assert small
    directory = whole.index(b"PK\1\2")
    around = {at for each in small for at in range(each.start - 30 - len(each.name), each.start + each.size + 16)}
    anywhere = random.Random(3)  # noqa: S311  not a secret
    places = around | set(range(directory, len(whole))) | {anywhere.randrange(len(whole)) for _ in range(100)}
    for at in sorted(places):
        changed = bytearray(whole)
        changed[at] ^= 1 << at % 8
        assert found_in(bytes(changed)).endswith("."), at


@pytest.mark.parametrize("cut", [0, 1, 21, 22, 0.25, 0.5, 0.9, -1, -22, -23])
def test_a_truncated_pack_is_reported(pack: Pack, cut: float) -> None:
    end = int(len(pack.body) * cut) if isinstance(cut, float) else cut
    assert "cut off" in found_in(pack.body[:end])


def test_extra_bytes_before_after_or_between_files_are_reported(pack: Pack) -> None:
    assert "bytes" in found_in(b"#!/bin/sh\n" + pack.body) or "cut off" in found_in(b"#!/bin/sh\n" + pack.body)
    assert "added at its end" in found_in(pack.body + b"more")
    directory = pack.body.index(b"PK\1\2")
    end = bytearray(pack.body[-22:])
    end[16:20] = (directory + 4).to_bytes(4, "little")
    hidden = pack.body[:directory] + b"hide" + pack.body[directory:-22] + bytes(end)
    assert zipfile.ZipFile(io.BytesIO(hidden)).testzip() is None, "ZIP programs don't mind"
    assert found_in(hidden) == "There are bytes between the last file and the ZIP's directory."


@pytest.mark.parametrize(
    ("tamper", "sentence"),
    [
        (without(lambda pack: pack.original(1)), "{1} is missing."),
        (without(lambda _: "report.pdf"), "report.pdf is missing."),
        (without(lambda _: "manifest.json"), "manifest.json is missing."),
        (without(lambda _: "manifest.sig"), "manifest.sig is missing."),
        (without(lambda _: "evidence-key.pem"), "evidence-key.pem is missing."),
        (put_in("originals/more.jpg"), "originals/more.jpg is not in the manifest: it was added."),
        (put_in("more.txt", 3), "more.txt is not in the manifest: it was added."),
        (put_in("../../etc/passwd"), "The ZIP holds a file by a name that no pack has: '../../etc/passwd'."),
        (put_in("/etc/passwd"), "The ZIP holds a file by a name that no pack has: '/etc/passwd'."),
        (put_in("a/./b"), "The ZIP holds a file by a name that no pack has: 'a/./b'."),
        (put_in("folder/"), "The ZIP holds a file by a name that no pack has: 'folder/'."),
        (swapped_places, "{1} lies where {0} should: the order was changed."),
        (renamed, "{0} is missing."),
        (swapped_contents, "{0} has been changed: "),
        (edited, "case.json has been changed: its SHA-256 is "),
        (edited_with_its_digest, "manifest.sig does not fit manifest.json: "),
    ],
)
def test_the_first_fault_is_named(pack: Pack, tamper: Tamper, sentence: str) -> None:
    expected = sentence.format(pack.original(0), pack.original(1))
    assert found_in(zipped(tamper(pack), pack.body)).startswith(expected)


def test_a_file_that_is_there_twice_is_reported(pack: Pack) -> None:
    files = [*pack.files.items(), ("case.json", b"{}")]
    assert found_in(zipped(files, pack.body)) == "case.json is in the ZIP twice."


def test_a_zip_bomb_is_not_unpacked(pack: Pack) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b"0" * 10_000_000)
    assert "manifest.json is not stored as packs are" in found_in(stream.getvalue())


def test_another_key_is_detected_by_its_fingerprint(pack: Pack, tmp_path: Path) -> None:
    """A forger can sign a pack with another key and put this key into it. Only the key's fingerprint reveals this."""
    other = EvidenceKeys(tmp_path)
    files = dict(edited(pack)) | {"evidence-key.pem": other.signing.public_pem}
    forged = zipped(pack.signed(files, other), pack.body)
    assert other.signing.fingerprint in verify_pack(io.BytesIO(forged))
    told = found_in(forged, pack.fingerprint)
    assert told.startswith("The pack is signed with another key than the one that you name")
    only_key = pack.files | {"evidence-key.pem": other.signing.public_pem}
    assert found_in(zipped(only_key, pack.body)).startswith("manifest.sig does not fit manifest.json")
    assert found_in(zipped(pack.files | {"evidence-key.pem": b"no key"}, pack.body)) == "evidence-key.pem holds no key."


def test_a_fault_that_the_server_recorded_is_reported(pack: Pack) -> None:
    media = json.loads(pack.files["manifest.json"])["media"]
    lost = [dict(media[0], finding="MISSING", path=None), *media[1:]]
    told = found_in(zipped(pack.signed(pack.files, media=lost), pack.body))
    assert told.startswith(f"The original of {media[0]['id']} is missing: the server itself")
    altered = [dict(media[0], finding="ALTERED"), *media[1:]]
    told = found_in(zipped(pack.signed(pack.files, media=altered), pack.body))
    assert told.startswith(f"{media[0]['path']} is not what was handed in as {media[0]['id']}")


def test_contradictions_between_the_parts_are_reported(pack: Pack) -> None:
    """The pack is signed with the right key, as by a faulty server, but its parts contradict each other."""
    manifest = json.loads(pack.files["manifest.json"])
    one, *others = manifest["media"]
    shown, *rest = manifest["thumbnails"]
    for changes, sentence in (
        ({"media": others}, f"{one['id']} stands in only one of case.json and manifest.json."),
        ({"media": [dict(one, sha256="0" * 64), *others]}, "case.json and manifest.json do not say the same of"),
        ({"media": [dict(one, path=others[0]["path"]), *others]}, f"What manifest.json says of {one['id']}"),
        ({"of": manifest["of"] | {"id": "cas_x"}}, "case.json is of another record than the manifest says."),
        (
            {"submissions": [dict(each, path=None, contentSha256=None) for each in manifest["submissions"]]},
            "case.json and",
        ),
        (
            {"submissions": [dict(manifest["submissions"][0], path="case.json"), manifest["submissions"][1]]},
            "case.json is not what the receipt",
        ),
        ({"submissions": manifest["submissions"][:1]}, "case.json and manifest.json do not name the same revisions."),
        ({"media": [dict(one, observationId="obs_x"), *others]}, f"do not say the same of {one['id']}."),
        ({"thumbnails": [dict(shown, finding="ALTERED"), *rest]}, f"of the thumbnail of {one['id']} does not agree"),
        ({"thumbnails": [dict(shown, sha256="0" * 64), *rest]}, f"of the thumbnail of {one['id']} does not agree"),
        ({"thumbnails": [dict(shown, finding="UNRECORDED"), *rest]}, f"of the thumbnail of {one['id']} does not"),
        ({"thumbnails": [dict(shown, mediaId="med_x"), *rest]}, "of the thumbnail of med_x does not agree"),
        ({"thumbnails": rest}, f"{shown['path']} belongs to no medium."),
        ({"madeAt": "yesterday"}, "manifest.json names no time at which the pack was made."),
        ({"madeBy": None}, "not made as a pack's are"),
        ({"version": 2}, "manifest.json is of version 2"),
        ({"madeAt": "2020-01-01T00:00:00.000Z"}, "bears another time in the ZIP than the manifest."),
    ):
        assert sentence in found_in(zipped(pack.signed(pack.files, **changes), pack.body)), sentence
    loose = json.dumps(manifest).encode()
    files = pack.files | own_signature(loose, pack.keys)
    assert found_in(zipped(files, pack.body)) == "manifest.json is not in canonical form."


def test_a_pack_beyond_four_gigabytes_is_verified(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test lowers the size from which the ZIP uses 64-bit numbers, so that a photo already exceeds it."""
    monkeypatch.setattr(zip_stream, "LARGE", 2_000)
    large = zipped(pack.files, pack.body)
    assert len(large) > len(pack.body)
    assert b"PK\6\6" in large
    assert "Everything holds" in verify_pack(io.BytesIO(large))
    for at in range(len(large) - 98, len(large)):
        changed = bytearray(large)
        changed[at] ^= 0x10
        assert found_in(bytes(changed))


def test_the_command_runs_without_the_platform(pack: Pack, tmp_path: Path) -> None:
    """The command runs in a folder that holds only its own files."""
    (tmp_path / "scripts").mkdir()
    for name in ("verify.py", "stored_zip.py", "pack_claims.py", "receipts.py"):
        (tmp_path / "scripts" / name).write_bytes((ROOT / "scripts" / name).read_bytes())
    (tmp_path / "good.zip").write_bytes(pack.body)
    (tmp_path / "bad.zip").write_bytes(zipped(swapped_contents(pack), pack.body))

    def run(*arguments: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "scripts.verify", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    code, told, _ = run("good.zip")
    assert (code, "Compare the key" in told) == (0, True)
    code, told, _ = run("good.zip", "--fingerprint", pack.fingerprint.upper())
    assert (code, "Compare the key" in told) == (0, False)
    code, told, wrong = run("bad.zip")
    assert (code, told) == (1, "")
    assert wrong.startswith(f"Wrong: {pack.original(0)} has been changed")
    assert run("nowhere.zip")[0] == run(".")[0] == 2
    spaced = " ".join(re.findall("..", pack.fingerprint))
    assert run("good.zip", "--fingerprint", spaced)[0] == 0
    for unset in ("", "0" * 64, pack.fingerprint[:-1]):
        code, told, _ = run("good.zip", "--fingerprint", unset)
        assert (code > 0, told) == (True, "")
    (tmp_path / "evil.zip").write_bytes(zipped([("\x1b[2J", b"")], pack.body))
    assert run("evil.zip")[2].rstrip("\n").isprintable()
