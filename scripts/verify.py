"""Verify an evidence pack without server, network or the rest of the platform, and name the first fault.

Run it with `python3 -m scripts.verify PACK --fingerprint F`. It needs Python 3.11, the package `cryptography`, and a
folder `scripts` with this file, `stored_zip.py`, `pack_claims.py` and `receipts.py`.
"""

import argparse
import datetime
import hashlib
import io
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from scripts import receipts
from scripts.pack_claims import check_media, check_record, check_submission, check_thumbnails
from scripts.stored_zip import BadZipError, ZipEntry, entries_of, read_part

MANIFEST, SIGNATURE, KEY = "manifest.json", "manifest.sig", "evidence-key.pem"
MAX_JSON_BYTES = 256 * 1024 * 1024
BEIJING = datetime.timedelta(hours=8)


def verify_pack(file: IO[bytes], fingerprint: str | None = None) -> str:
    """Verify a pack, and return a summary of a few lines.

    Raise `BadZipError` if anything is wrong with the pack, and `OSError` if the file can't be read.
    """
    try:
        return check_pack(file, fingerprint)
    except OSError:
        raise
    except (LookupError, TypeError, AttributeError, ArithmeticError, ValueError):
        raise BadZipError(f"{MANIFEST} or the record is not made as a pack's are.") from None


def check_pack(file: IO[bytes], fingerprint: str | None) -> str:
    """Verify a pack as `verify_pack` does.

    A record of the wrong form can also raise errors such as `KeyError` or `TypeError`.
    """
    entries = {entry.name: entry for entry in entries_of(file)}
    for name in (MANIFEST, SIGNATURE, KEY):
        if name not in entries:
            raise BadZipError(f"{name} is missing.")
    raw = read_content(file, entries[MANIFEST])
    pem, signature = read_content(file, entries[KEY]), read_content(file, entries[SIGNATURE])
    signer = check_signature(pem, signature, raw, fingerprint)
    manifest = read_manifest(raw, signer)
    check_files(manifest, list(entries.values()))
    check_times(manifest, list(entries.values()))
    data_name = f"{manifest['of']['kind']}.json"
    if data_name not in entries:
        raise BadZipError(f"{data_name} is missing.")
    check_record(manifest, read_json(read_content(file, entries[data_name]), data_name))
    check_media(manifest)
    check_thumbnails(manifest)
    for submission in manifest["submissions"]:
        check_submission(manifest, submission)
    return summary(manifest, signer)


def read_content(file: IO[bytes], entry: ZipEntry) -> bytes:
    if entry.size > MAX_JSON_BYTES:
        raise BadZipError(f"{entry.name} is larger than in any pack.")
    return read_part(file, entry.start, entry.size)


def check_signature(pem: bytes, signature: bytes, signed: bytes, fingerprint: str | None) -> str:
    """Return the fingerprint of the key that signed the manifest. Raise `BadZipError` if it is not the expected one."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise BadZipError(f"{KEY} holds no key.") from None
    if not isinstance(key, Ed25519PublicKey):
        raise BadZipError(f"{KEY} holds no Ed25519 key.")
    signer = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    if fingerprint is not None and signer != fingerprint:
        raise BadZipError(
            f"The pack is signed with another key than the one that you name: its fingerprint is {signer}."
        )
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        raise BadZipError(f"{SIGNATURE} does not fit {MANIFEST}: one of them, or {KEY}, has been changed.") from None
    return signer


def read_manifest(signed: bytes, fingerprint: str) -> dict[str, Any]:
    manifest = read_json(signed, MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != "mingcha-evidence-pack":
        raise BadZipError(f"{MANIFEST} is not that of an evidence pack.")
    if manifest.get("version") != 1:
        raise BadZipError(f"{MANIFEST} is of version {manifest.get('version')}: get a newer verify.py.")
    if canonical(manifest) != signed:
        raise BadZipError(f"{MANIFEST} is not in canonical form.")
    if manifest["key"] != {"algorithm": "Ed25519", "fingerprint": fingerprint}:
        raise BadZipError(f"{MANIFEST} names another key than {KEY}.")
    return manifest


def canonical(value: Any) -> bytes:
    """Return a value as canonical JSON (RFC 8785), or empty bytes if the value has no such form.

    Only the values of a manifest are supported: strings, whole numbers, and objects with ASCII names.
    """
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return b""


def read_json(raw: bytes, name: str) -> Any:
    def refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise BadZipError(f"{name} has a name twice in one object.")
        return dict(pairs)

    try:
        return json.loads(raw, object_pairs_hook=refuse_duplicates)
    except (ValueError, RecursionError):
        raise BadZipError(f"{name} is not JSON.") from None


def check_files(manifest: Mapping[str, Any], entries: list[ZipEntry]) -> None:
    """Check that the ZIP holds exactly the files of the manifest, in the manifest's order and with the right bytes."""
    by_name = {entry.name: entry for entry in entries}
    names = [file["path"] for file in manifest["files"]] + [MANIFEST, SIGNATURE]
    for file in manifest["files"]:
        entry = by_name.get(file["path"])
        if entry is None:
            raise BadZipError(f"{file['path']} is missing.")
        if entry.size != file["byteSize"]:
            raise BadZipError(
                f"{entry.name} has been changed: it has {entry.size} bytes and should have {file['byteSize']}."
            )
        if entry.sha256 != file["sha256"]:
            raise BadZipError(
                f"{entry.name} has been changed: its SHA-256 is {entry.sha256}, and should be {file['sha256']}."
            )
    for entry, name in zip(entries, [*names, *[None] * len(entries)], strict=False):
        if entry.name not in names:
            raise BadZipError(f"{entry.name} is not in the manifest: it was added.")
        if entry.name != name:
            raise BadZipError(f"{entry.name} lies where {name} should: the order was changed.")
        if not entry.crc_fits:
            raise BadZipError(f"The ZIP's checksum of {entry.name} is wrong.")


def check_times(manifest: Mapping[str, Any], entries: list[ZipEntry]) -> None:
    """Check that all files have the time at which the pack was made. A ZIP has Beijing time in steps of two seconds."""
    try:
        at = datetime.datetime.fromisoformat(manifest["madeAt"]) + BEIJING
    except ValueError:
        raise BadZipError(f"{MANIFEST} names no time at which the pack was made.") from None
    dos_time = ((at.year - 1980) << 9 | at.month << 5 | at.day) << 16 | at.hour << 11 | at.minute << 5 | at.second // 2
    for entry in entries:
        if entry.dos_time != dos_time:
            raise BadZipError(f"{entry.name} bears another time in the ZIP than the manifest.")


def summary(manifest: Mapping[str, Any], fingerprint: str) -> str:
    of, media, submissions = manifest["of"], manifest["media"], manifest["submissions"]
    packed = sum(medium["finding"] == "SAME" for medium in media)
    proven = sum(submission["path"] is not None for submission in submissions)
    made_by = " · ".join(filter(None, (manifest["madeBy"]["name"], manifest["madeBy"]["office"]))) or "not named"
    at, made_by, name = (plain(text) for text in (manifest["madeAt"], made_by, of["number"] or of["id"]))
    return "\n".join(
        [
            f"Everything holds: {of['kind']} {name}, {len(manifest['files']) + 2} files.",
            f"Made at {at} by: {made_by}.",
            f"Originals: {packed} are those that were handed in; {len(media) - packed} had not been verified yet.",
            f"Receipts: {proven} of {len(submissions)} recomputed; the others are withheld from this pack or can't be.",
            *thumbnail_lines(manifest),
            f"Key: {fingerprint}",
        ]
    )


def thumbnail_lines(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each reason why some thumbnails are not proven to be the server's own."""
    findings = [thumbnail["finding"] for thumbnail in manifest.get("thumbnails", ())]
    if old := findings.count("UNRECORDED"):
        yield f"Thumbnails: the server did not record the digests of {old}; compare them with the originals."
    if bad := len(findings) - findings.count("SAME") - old:
        yield f"Thumbnails: {bad} are left out, since the server's store had lost or altered them; the originals are there."


def plain(text: str) -> str:
    """Replace unprintable characters, so that a pack can't add lines or control the terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def plain_lines(text: str) -> str:
    return "\n".join(map(plain, text.splitlines()))


def fingerprint_of(text: str) -> str:
    """Normalize a fingerprint in the way people write it down, with spaces, colons or capitals.

    Raise `ArgumentTypeError` if the text is not a fingerprint. Empty text is refused too, because an unset shell
    variable would otherwise skip the check unnoticed.
    """
    fingerprint = re.sub(r"[\s:]", "", text).lower()
    if not re.fullmatch("[0-9a-f]{64}", fingerprint):
        raise argparse.ArgumentTypeError("a fingerprint has 64 hexadecimal digits")
    return fingerprint


def main() -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a console may lack the letters of a name
    parser = argparse.ArgumentParser(prog="verify", description="Check an evidence pack without server or network.")
    parser.add_argument("pack", type=Path, help="the ZIP, or, with --keys, a file that holds a signed receipt")
    parser.add_argument(
        "--fingerprint",
        type=fingerprint_of,
        help="the fingerprint of the office's key, 64 hexadecimal digits, from a source that you trust",
    )
    parser.add_argument("--keys", type=Path, help="check a signed receipt: the office's evidence-keys.json")
    arguments = parser.parse_args()
    try:
        if arguments.keys is not None:
            claims = receipts.verify_receipt(arguments.pack.read_bytes(), arguments.keys.read_bytes())
            print(plain_lines(receipts.summary(claims)))
            return 0
        with arguments.pack.open("rb") as file:
            print(verify_pack(file, arguments.fingerprint))
    except OSError as error:
        print(f"{arguments.pack} can't be read: {error.strerror}.", file=sys.stderr)
        return 2
    except BadZipError as error:
        print(f"Wrong: {plain(str(error))}", file=sys.stderr)
        return 1
    if arguments.fingerprint is None:
        print("Compare the key with the fingerprint that the office publishes. Only that proves who made the pack.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
