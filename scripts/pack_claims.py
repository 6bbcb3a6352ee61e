"""Compare what an evidence pack's manifest claims with the record and the files in the pack."""

from collections.abc import Iterator, Mapping
from typing import Any

from scripts.stored_zip import BadZipError

MANIFEST = "manifest.json"


def check_record(manifest: Mapping[str, Any], data: Any) -> None:
    """Check that the record is the one that the manifest names. It must have the media and receipts of the manifest."""
    of = manifest["of"]
    name = f"{of['kind']}.json"
    record = data.get(of["kind"]) if isinstance(data, dict) else None
    if not isinstance(record, dict) or record.get("id") != of["id"] or record.get("number") != of["number"]:
        raise BadZipError(f"{name} is of another record than the manifest says.")
    media, receipts, revisions = read_claims(record)
    listed = {medium["id"]: medium for medium in manifest["media"]}
    for id in [*media, *listed]:
        if id not in listed or id not in media:
            raise BadZipError(f"{id} stands in only one of {name} and {MANIFEST}.")
        medium = media[id] | {"observationId": media[id]["observation"]["id"]}
        if any(medium[field] != listed[id][field] for field in ("sha256", "byteSize", "state", "observationId")):
            raise BadZipError(f"{name} and {MANIFEST} do not say the same of {id}.")
    submissions = manifest["submissions"]
    if revisions != {(submission["observationId"], submission["revision"]) for submission in submissions}:
        raise BadZipError(f"{name} and {MANIFEST} do not name the same revisions.")
    for submission in submissions:
        digest = receipts.get(submission["observationId"])
        if submission["revision"] == 1 and digest != submission["contentSha256"]:
            raise BadZipError(f"{name} and {MANIFEST} do not name the same digest of {submission['observationId']}.")


def read_claims(record: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, str], set[tuple[str, int]]]:
    """Return what the record claims: media, digests of receipts, and revisions.

    The media are keyed by id, and the digests by observation id. A revision is (observation id, number).
    """
    media, receipts, revisions = dict[str, dict[str, Any]](), dict[str, str](), set[tuple[str, int]]()
    for item in objects_of(record):
        if str(item.get("id", "")).startswith("med_") and "sha256" in item:
            media[item["id"]] = item
        if "contentSha256" in item and "observationId" in item:
            receipts[item["observationId"]] = item["contentSha256"]
        if "revisions" in item:
            revisions.update((item["id"], revision["number"]) for revision in item["revisions"])
    return media, receipts, revisions


def objects_of(value: Any) -> Iterator[dict[str, Any]]:
    """Yield all JSON objects that a value contains, at any depth."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def check_media(manifest: Mapping[str, Any]) -> None:
    """Check that each original is the file that was handed in. Check that `originals/` has no other files."""
    files = {file["path"]: file for file in manifest["files"]}
    named = set()
    for medium in manifest["media"]:
        id, path, finding = medium["id"], medium["path"], medium["finding"]
        if finding == "MISSING":
            raise BadZipError(f"The original of {id} is missing: the server itself had lost it when the pack was made.")
        if finding == "ALTERED":
            raise BadZipError(f"{path} is not what was handed in as {id}: the server's store had other bytes.")
        if finding == "NOT_READY" and path is None and medium["state"] != "READY":
            continue
        file = files.get(path)
        if (
            finding != "SAME"
            or file is None
            or (file["sha256"], file["byteSize"]) != (medium["sha256"], medium["byteSize"])
        ):
            raise BadZipError(f"What {MANIFEST} says of {id} does not agree with its file.")
        named.add(path)
    for path in files:
        if path.startswith("originals/") and path not in named:
            raise BadZipError(f"{path} belongs to no medium.")


def check_thumbnails(manifest: Mapping[str, Any]) -> None:
    """Check that each thumbnail is the one that the server made. This is possible if the server recorded its digest.

    The manifest of a pack from an old server has no `thumbnails`. Then nothing is checked.
    """
    if "thumbnails" not in manifest:
        return
    digests = {file["path"]: file["sha256"] for file in manifest["files"]}
    media_ids = {medium["id"] for medium in manifest["media"]}
    named = set()
    for thumbnail in manifest["thumbnails"]:
        path, finding = thumbnail["path"], thumbnail["finding"]
        is_left_out = path is None and finding in {"ALTERED", "MISSING"}
        fits = path in digests and (
            thumbnail["sha256"] in {"SAME": {digests[path]}, "UNRECORDED": {None}}.get(finding, set())
        )
        if thumbnail["mediaId"] not in media_ids or not (is_left_out or fits):
            raise BadZipError(
                f"What {MANIFEST} says of the thumbnail of {thumbnail['mediaId']} does not agree with its file."
            )
        named.add(path)
    for path in digests:
        if path.startswith("thumbnails/") and path not in named:
            raise BadZipError(f"{path} belongs to no medium.")


def check_submission(manifest: Mapping[str, Any], submission: Mapping[str, Any]) -> None:
    """Check that the file of a submission has the digest that its receipt confirms."""
    path, files = submission["path"], {file["path"]: file for file in manifest["files"]}
    if path is None:
        return
    file = files.get(path)
    if file is None or file["sha256"] != submission["contentSha256"]:
        raise BadZipError(f"{path} is not what the receipt of {submission['observationId']} confirmed.")
