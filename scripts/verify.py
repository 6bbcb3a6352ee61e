"""Verify an evidence pack without server or network, and without anything of the platform; name the first thing wrong.

This file, `stored_zip.py` and `receipts.py` beside it, Python 3.11 and the package `cryptography` are enough, in a folder
`scripts`: `python3 -m scripts.verify PACK --fingerprint F`. How a pack's ZIP lies is left to `stored_zip.py`.
"""

import argparse
import datetime
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from scripts import receipts
from scripts.stored_zip import Entry, Wrong, entries_of, part

MANIFEST, SIGNATURE, KEY = "manifest.json", "manifest.sig", "evidence-key.pem"
LARGEST_JSON = 256 * 1024 * 1024
BEIJING = datetime.timedelta(hours=8)


def verified(file: IO[bytes], fingerprint: str | None = None) -> str:
    """Return what a good pack is, in some lines. Raise `Wrong`."""
    entries = {entry.name: entry for entry in entries_of(file)}
    for name in (MANIFEST, SIGNATURE, KEY):
        if name not in entries:
            raise Wrong(f"{name} is missing.")
    signed = content(file, entries[MANIFEST])
    found = check_signature(
        content(file, entries[KEY]), content(file, entries[SIGNATURE]), signed, (fingerprint or "").lower() or None
    )
    manifest = read_manifest(signed, found)
    check_files(manifest, list(entries.values()))
    check_times(manifest, list(entries.values()))
    data_name = f"{manifest['of']['kind']}.json"
    if data_name not in entries:
        raise Wrong(f"{data_name} is missing.")
    check_record(manifest, read_json(content(file, entries[data_name]), data_name))
    check_media(manifest)
    for each in manifest["submissions"]:
        check_submission(manifest, each)
    return summary(manifest, found)


def content(file: IO[bytes], entry: Entry) -> bytes:
    if entry.size > LARGEST_JSON:
        raise Wrong(f"{entry.name} is larger than any pack has it.")
    return part(file, entry.start, entry.size)


def check_signature(pem: bytes, signature: bytes, signed: bytes, fingerprint: str | None) -> str:
    """The fingerprint of the key that the manifest is signed with."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise Wrong(f"{KEY} holds no key.") from None
    if not isinstance(key, Ed25519PublicKey):
        raise Wrong(f"{KEY} holds no Ed25519 key.")
    found = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    if fingerprint is not None and found != fingerprint:
        raise Wrong(f"The pack is signed with another key than the one that you name: its fingerprint is {found}.")
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        raise Wrong(f"{SIGNATURE} does not fit {MANIFEST}: one of them, or {KEY}, has been changed.") from None
    return found


def read_manifest(signed: bytes, fingerprint: str) -> dict[str, Any]:
    manifest = read_json(signed, MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != "mingcha-evidence-pack":
        raise Wrong(f"{MANIFEST} is not that of an evidence pack.")
    if manifest.get("version") != 1:
        raise Wrong(f"{MANIFEST} is of version {manifest.get('version')}: get a newer verify.py.")
    # RFC 8785, for what a manifest holds: strings, whole numbers, and names in ASCII.
    if json.dumps(manifest, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() != signed:
        raise Wrong(f"{MANIFEST} is not in canonical form.")
    if manifest["key"] != {"algorithm": "Ed25519", "fingerprint": fingerprint}:
        raise Wrong(f"{MANIFEST} names another key than {KEY}.")
    return manifest


def read_json(raw: bytes, name: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise Wrong(f"{name} has a name twice in one object.")
        return dict(pairs)

    try:
        return json.loads(raw, object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise Wrong(f"{name} is no JSON.") from None


def check_files(manifest: Mapping[str, Any], entries: list[Entry]) -> None:
    """Each file of the manifest in its place, with its bytes; none besides."""
    lying = {entry.name: entry for entry in entries}
    listed = [each["path"] for each in manifest["files"]] + [MANIFEST, SIGNATURE]
    for each in manifest["files"]:
        entry = lying.get(each["path"])
        if entry is None:
            raise Wrong(f"{each['path']} is missing.")
        if entry.size != each["byteSize"]:
            raise Wrong(f"{entry.name} has been changed: it has {entry.size} bytes and should have {each['byteSize']}.")
        if entry.sha256 != each["sha256"]:
            raise Wrong(
                f"{entry.name} has been changed: its SHA-256 is {entry.sha256}, and should be {each['sha256']}."
            )
    for entry, wanted in zip(entries, [*listed, *[None] * len(entries)], strict=False):
        if entry.name not in listed:
            raise Wrong(f"{entry.name} is not in the manifest: it was added.")
        if entry.name != wanted:
            raise Wrong(f"{entry.name} lies where {wanted} should: the order was changed.")
        if not entry.crc_fits:
            raise Wrong(f"The ZIP's checksum of {entry.name} is wrong.")


def check_times(manifest: Mapping[str, Any], entries: list[Entry]) -> None:
    """All files bear the time at which the pack was made, as the ZIP can say it: Beijing's, to two seconds."""
    at = datetime.datetime.fromisoformat(manifest["madeAt"]) + BEIJING
    wanted = ((at.year - 1980) << 9 | at.month << 5 | at.day) << 16 | at.hour << 11 | at.minute << 5 | at.second // 2
    for entry in entries:
        if entry.when != wanted:
            raise Wrong(f"{entry.name} bears another time in the ZIP than the manifest.")


def check_record(manifest: Mapping[str, Any], data: Any) -> None:
    """The record is the one that the manifest names, and its media and receipts are the manifest's."""
    of = manifest["of"]
    name = f"{of['kind']}.json"
    record = data.get(of["kind"]) if isinstance(data, dict) else None
    if not isinstance(record, dict) or record.get("id") != of["id"] or record.get("number") != of["number"]:
        raise Wrong(f"{name} is of another record than the manifest says.")
    media, receipts = dict[str, dict[str, Any]](), dict[str, str]()
    for each in objects_of(record):
        if str(each.get("id", "")).startswith("med_") and "sha256" in each:
            media[each["id"]] = each
        if "contentSha256" in each and "observationId" in each:
            receipts[each["observationId"]] = each["contentSha256"]
    listed = {each["id"]: each for each in manifest["media"]}
    for id in [*media, *listed]:
        if id not in listed or id not in media:
            raise Wrong(f"{id} stands in only one of {name} and {MANIFEST}.")
        if any(media[id][field] != listed[id][field] for field in ("sha256", "byteSize", "state")):
            raise Wrong(f"{name} and {MANIFEST} do not say the same of {id}.")
    for each in manifest["submissions"]:
        told = receipts.get(each["observationId"])
        if each["revision"] == 1 and told != each["contentSha256"]:
            raise Wrong(f"{name} and {MANIFEST} do not name the same digest of {each['observationId']}.")


def objects_of(value: Any) -> Iterator[dict[str, Any]]:
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


def check_media(manifest: Mapping[str, Any]) -> None:
    """Every original is the one that was handed in, and every file of originals is one."""
    files = {each["path"]: each for each in manifest["files"]}
    named = set()
    for each in manifest["media"]:
        id, path, finding = each["id"], each["path"], each["finding"]
        if finding == "MISSING":
            raise Wrong(f"The original of {id} is missing: the server itself had lost it when the pack was made.")
        if finding == "ALTERED":
            raise Wrong(f"{path} is not what was handed in as {id}: the server's store had other bytes.")
        if finding == "NOT_READY" and path is None and each["state"] != "READY":
            continue
        file = files.get(path)
        if (
            finding != "SAME"
            or file is None
            or (file["sha256"], file["byteSize"]) != (each["sha256"], each["byteSize"])
        ):
            raise Wrong(f"What {MANIFEST} says of {id} does not agree with its file.")
        named.add(path)
    for path in files:
        if path.startswith("originals/") and path not in named:
            raise Wrong(f"{path} belongs to no medium.")


def check_submission(manifest: Mapping[str, Any], each: Mapping[str, Any]) -> None:
    files = {file["path"]: file for file in manifest["files"]}
    if each["path"] is None:
        return
    file = files.get(each["path"])
    if file is None or file["sha256"] != each["contentSha256"]:
        raise Wrong(f"{each['path']} is not what the receipt of {each['observationId']} confirmed.")


def summary(manifest: Mapping[str, Any], fingerprint: str) -> str:
    of, media, sent = manifest["of"], manifest["media"], manifest["submissions"]
    packed = sum(each["finding"] == "SAME" for each in media)
    proven = sum(each["path"] is not None for each in sent)
    made_by = " · ".join(filter(None, (manifest["madeBy"]["name"], manifest["madeBy"]["office"]))) or "not named"
    return "\n".join(
        [
            f"Everything holds: {of['kind']} {of['number'] or of['id']}, {len(manifest['files']) + 2} files.",
            f"Made at {manifest['madeAt']} by: {made_by}.",
            f"Originals: {packed} are those that were handed in; {len(media) - packed} had not been verified yet.",
            f"Receipts: {proven} of {len(sent)} recomputed; the others are withheld from this pack or can't be.",
            f"Key: {fingerprint}",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="verify", description="Check an evidence pack without server or network.")
    parser.add_argument("pack", type=Path, help="the ZIP, or, with --keys, a file that holds a signed receipt")
    parser.add_argument("--fingerprint", help="that of the office's key, from a source that you trust")
    parser.add_argument("--keys", type=Path, help="check a signed receipt: the office's evidence-keys.json")
    given = parser.parse_args()
    try:
        if given.keys is not None:
            published = json.loads(given.keys.read_bytes())
            print(receipts.summary(receipts.checked(given.pack.read_text(encoding="utf-8").strip(), published)))
            return 0
        with given.pack.open("rb") as file:
            print(verified(file, given.fingerprint))
    except OSError as error:
        print(f"{given.pack} can't be read: {error.strerror}.", file=sys.stderr)
        return 2
    except Wrong as wrong:
        print(f"Wrong: {wrong}", file=sys.stderr)
        return 1
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError, ValueError):
        print(f"Wrong: {MANIFEST} or the record is not made as a pack's are.", file=sys.stderr)
        return 1
    if given.fingerprint is None:
        print("Compare the key with the fingerprint that the office publishes, or this proves nothing of who made it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
