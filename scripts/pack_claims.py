"""Compare what a pack's manifest claims with the record and the files in the pack."""

from collections.abc import Iterator, Mapping
from typing import Any

from scripts.stored_zip import BadZipError

MANIFEST = "manifest.json"


def check_record(manifest: Mapping[str, Any], data: Any) -> None:
    """The record is the one that the manifest names, and its media and receipts are the manifest's."""
    of = manifest["of"]
    name = f"{of['kind']}.json"
    record = data.get(of["kind"]) if isinstance(data, dict) else None
    if not isinstance(record, dict) or record.get("id") != of["id"] or record.get("number") != of["number"]:
        raise BadZipError(f"{name} is of another record than the manifest says.")
    media, receipts, revisions = told_by(record)
    listed = {each["id"]: each for each in manifest["media"]}
    for id in [*media, *listed]:
        if id not in listed or id not in media:
            raise BadZipError(f"{id} stands in only one of {name} and {MANIFEST}.")
        said = media[id] | {"observationId": media[id]["observation"]["id"]}
        if any(said[field] != listed[id][field] for field in ("sha256", "byteSize", "state", "observationId")):
            raise BadZipError(f"{name} and {MANIFEST} do not say the same of {id}.")
    if revisions != {(each["observationId"], each["revision"]) for each in manifest["submissions"]}:
        raise BadZipError(f"{name} and {MANIFEST} do not name the same revisions.")
    for each in manifest["submissions"]:
        told = receipts.get(each["observationId"])
        if each["revision"] == 1 and told != each["contentSha256"]:
            raise BadZipError(f"{name} and {MANIFEST} do not name the same digest of {each['observationId']}.")


def told_by(record: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, str], set[tuple[str, int]]]:
    """What a record says: media by id, digests of receipts by the observation's id, (observation, number) of revisions."""
    media, receipts, revisions = dict[str, dict[str, Any]](), dict[str, str](), set[tuple[str, int]]()
    for each in objects_of(record):
        if str(each.get("id", "")).startswith("med_") and "sha256" in each:
            media[each["id"]] = each
        if "contentSha256" in each and "observationId" in each:
            receipts[each["observationId"]] = each["contentSha256"]
        if "revisions" in each:
            revisions.update((each["id"], one["number"]) for one in each["revisions"])
    return media, receipts, revisions


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
            raise BadZipError(f"The original of {id} is missing: the server itself had lost it when the pack was made.")
        if finding == "ALTERED":
            raise BadZipError(f"{path} is not what was handed in as {id}: the server's store had other bytes.")
        if finding == "NOT_READY" and path is None and each["state"] != "READY":
            continue
        file = files.get(path)
        if (
            finding != "SAME"
            or file is None
            or (file["sha256"], file["byteSize"]) != (each["sha256"], each["byteSize"])
        ):
            raise BadZipError(f"What {MANIFEST} says of {id} does not agree with its file.")
        named.add(path)
    for path in files:
        if path.startswith("originals/") and path not in named:
            raise BadZipError(f"{path} belongs to no medium.")


def check_thumbnails(manifest: Mapping[str, Any]) -> None:
    """Each is the one that the server made of the original, where it noted which; packs of old servers tell nothing of it."""
    if "thumbnails" not in manifest:
        return
    files = {each["path"]: each["sha256"] for each in manifest["files"]}
    media = {each["id"] for each in manifest["media"]}
    named = set()
    for each in manifest["thumbnails"]:
        path, finding = each["path"], each["finding"]
        left_out = path is None and finding in {"ALTERED", "MISSING"}
        fits = path in files and each["sha256"] in {"SAME": {files[path]}, "UNRECORDED": {None}}.get(finding, set())
        if each["mediaId"] not in media or not (left_out or fits):
            raise BadZipError(
                f"What {MANIFEST} says of the thumbnail of {each['mediaId']} does not agree with its file."
            )
        named.add(path)
    for path in files:
        if path.startswith("thumbnails/") and path not in named:
            raise BadZipError(f"{path} belongs to no medium.")


def check_submission(manifest: Mapping[str, Any], each: Mapping[str, Any]) -> None:
    files = {file["path"]: file for file in manifest["files"]}
    if each["path"] is None:
        return
    file = files.get(each["path"])
    if file is None or file["sha256"] != each["contentSha256"]:
        raise BadZipError(f"{each['path']} is not what the receipt of {each['observationId']} confirmed.")
