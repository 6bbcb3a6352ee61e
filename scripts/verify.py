"""Verify an evidence pack without server or network, and without anything of the platform; name the first thing wrong.

This file and `stored_zip.py`, `pack_claims.py` and `receipts.py` beside it, Python 3.11 and the package `cryptography` are
enough, in a folder `scripts`: `python3 -m scripts.verify PACK --fingerprint F`.
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
from scripts.stored_zip import BadZipError, ZipEntry, entries_of, part

MANIFEST, SIGNATURE, KEY = "manifest.json", "manifest.sig", "evidence-key.pem"
MAX_JSON_BYTES = 256 * 1024 * 1024
BEIJING = datetime.timedelta(hours=8)


def verified(file: IO[bytes], fingerprint: str | None = None) -> str:
    """Return what a good pack is, in some lines. Raise `BadZipError`, and `OSError` where the file can't be read."""
    try:
        return checked(file, fingerprint)
    except OSError:
        raise
    except (LookupError, TypeError, AttributeError, ArithmeticError, ValueError):
        raise BadZipError(f"{MANIFEST} or the record is not made as a pack's are.") from None


def checked(file: IO[bytes], fingerprint: str | None) -> str:
    entries = {entry.name: entry for entry in entries_of(file)}
    for name in (MANIFEST, SIGNATURE, KEY):
        if name not in entries:
            raise BadZipError(f"{name} is missing.")
    signed = content(file, entries[MANIFEST])
    found = check_signature(content(file, entries[KEY]), content(file, entries[SIGNATURE]), signed, fingerprint)
    manifest = read_manifest(signed, found)
    check_files(manifest, list(entries.values()))
    check_times(manifest, list(entries.values()))
    data_name = f"{manifest['of']['kind']}.json"
    if data_name not in entries:
        raise BadZipError(f"{data_name} is missing.")
    check_record(manifest, read_json(content(file, entries[data_name]), data_name))
    check_media(manifest)
    check_thumbnails(manifest)
    for each in manifest["submissions"]:
        check_submission(manifest, each)
    return summary(manifest, found)


def content(file: IO[bytes], entry: ZipEntry) -> bytes:
    if entry.size > MAX_JSON_BYTES:
        raise BadZipError(f"{entry.name} is larger than any pack has it.")
    return part(file, entry.start, entry.size)


def check_signature(pem: bytes, signature: bytes, signed: bytes, fingerprint: str | None) -> str:
    """The fingerprint of the key that the manifest is signed with."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise BadZipError(f"{KEY} holds no key.") from None
    if not isinstance(key, Ed25519PublicKey):
        raise BadZipError(f"{KEY} holds no Ed25519 key.")
    found = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    if fingerprint is not None and found != fingerprint:
        raise BadZipError(
            f"The pack is signed with another key than the one that you name: its fingerprint is {found}."
        )
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        raise BadZipError(f"{SIGNATURE} does not fit {MANIFEST}: one of them, or {KEY}, has been changed.") from None
    return found


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
    """RFC 8785, for what a manifest holds: strings, whole numbers, and names in ASCII; nothing for what has no such form."""
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return b""


def read_json(raw: bytes, name: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise BadZipError(f"{name} has a name twice in one object.")
        return dict(pairs)

    try:
        return json.loads(raw, object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise BadZipError(f"{name} is no JSON.") from None


def check_files(manifest: Mapping[str, Any], entries: list[ZipEntry]) -> None:
    """Each file of the manifest in its place, with its bytes; none besides."""
    lying = {entry.name: entry for entry in entries}
    listed = [each["path"] for each in manifest["files"]] + [MANIFEST, SIGNATURE]
    for each in manifest["files"]:
        entry = lying.get(each["path"])
        if entry is None:
            raise BadZipError(f"{each['path']} is missing.")
        if entry.size != each["byteSize"]:
            raise BadZipError(
                f"{entry.name} has been changed: it has {entry.size} bytes and should have {each['byteSize']}."
            )
        if entry.sha256 != each["sha256"]:
            raise BadZipError(
                f"{entry.name} has been changed: its SHA-256 is {entry.sha256}, and should be {each['sha256']}."
            )
    for entry, wanted in zip(entries, [*listed, *[None] * len(entries)], strict=False):
        if entry.name not in listed:
            raise BadZipError(f"{entry.name} is not in the manifest: it was added.")
        if entry.name != wanted:
            raise BadZipError(f"{entry.name} lies where {wanted} should: the order was changed.")
        if not entry.crc_fits:
            raise BadZipError(f"The ZIP's checksum of {entry.name} is wrong.")


def check_times(manifest: Mapping[str, Any], entries: list[ZipEntry]) -> None:
    """All files bear the time at which the pack was made, as the ZIP can say it: Beijing's, to two seconds."""
    try:
        at = datetime.datetime.fromisoformat(manifest["madeAt"]) + BEIJING
    except ValueError:
        raise BadZipError(f"{MANIFEST} names no time at which the pack was made.") from None
    wanted = ((at.year - 1980) << 9 | at.month << 5 | at.day) << 16 | at.hour << 11 | at.minute << 5 | at.second // 2
    for entry in entries:
        if entry.when != wanted:
            raise BadZipError(f"{entry.name} bears another time in the ZIP than the manifest.")


def summary(manifest: Mapping[str, Any], fingerprint: str) -> str:
    of, media, sent = manifest["of"], manifest["media"], manifest["submissions"]
    packed = sum(each["finding"] == "SAME" for each in media)
    proven = sum(each["path"] is not None for each in sent)
    made_by = " · ".join(filter(None, (manifest["madeBy"]["name"], manifest["madeBy"]["office"]))) or "not named"
    at, made_by, name = (plain(each) for each in (manifest["madeAt"], made_by, of["number"] or of["id"]))
    return "\n".join(
        [
            f"Everything holds: {of['kind']} {name}, {len(manifest['files']) + 2} files.",
            f"Made at {at} by: {made_by}.",
            f"Originals: {packed} are those that were handed in; {len(media) - packed} had not been verified yet.",
            f"Receipts: {proven} of {len(sent)} recomputed; the others are withheld from this pack or can't be.",
            *thumbnails(manifest),
            f"Key: {fingerprint}",
        ]
    )


def thumbnails(manifest: Mapping[str, Any]) -> Iterator[str]:
    """A line on the thumbnails, where there is something to say that does not go without saying."""
    found = [each["finding"] for each in manifest.get("thumbnails", ())]
    if old := found.count("UNRECORDED"):
        yield f"Thumbnails: of {old} the server has not noted the digest when it made them; compare them with the originals."
    if bad := len(found) - found.count("SAME") - old:
        yield f"Thumbnails: {bad} are left out, since the server's store had lost or altered them; the originals are there."


def plain(text: str) -> str:
    """The text on one line, without anything that a terminal obeys: a pack may not write lines of its own here."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def plain_lines(text: str) -> str:
    return "\n".join(map(plain, text.splitlines()))


def fingerprint_of(text: str) -> str:
    """A fingerprint as people write it down. Raise `ArgumentTypeError`, also for none: an unset variable checks nothing."""
    found = re.sub(r"[\s:]", "", text).lower()
    if not re.fullmatch("[0-9a-f]{64}", found):
        raise argparse.ArgumentTypeError("a fingerprint has 64 hexadecimal digits")
    return found


def main() -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a console may not know the letters of a name
    parser = argparse.ArgumentParser(prog="verify", description="Check an evidence pack without server or network.")
    parser.add_argument("pack", type=Path, help="the ZIP, or, with --keys, a file that holds a signed receipt")
    parser.add_argument(
        "--fingerprint",
        type=fingerprint_of,
        help="that of the office's key, 64 hexadecimal digits, from a source that you trust",
    )
    parser.add_argument("--keys", type=Path, help="check a signed receipt: the office's evidence-keys.json")
    given = parser.parse_args()
    try:
        if given.keys is not None:
            told = receipts.verify_receipt(given.pack.read_bytes(), given.keys.read_bytes())
            print(plain_lines(receipts.summary(told)))
            return 0
        with given.pack.open("rb") as file:
            print(verified(file, given.fingerprint))
    except OSError as error:
        print(f"{given.pack} can't be read: {error.strerror}.", file=sys.stderr)
        return 2
    except BadZipError as wrong:
        print(f"Wrong: {plain(str(wrong))}", file=sys.stderr)
        return 1
    if given.fingerprint is None:
        print("Compare the key with the fingerprint that the office publishes, or this proves nothing of who made it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
