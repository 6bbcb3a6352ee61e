"""Begin, list, complete and abort multipart uploads in the object store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schema.core.refusals import Refusal, RefusalCode
from storage.s3.client import ObjectStore, ObjectStoreDeclinedError

PAGE = 1000
"""Maximum number of entries in one answer of S3 to a list request."""
_GONE = frozenset({"404", "NoSuchUpload", "NoSuchKey"})


@dataclass(frozen=True)
class UploadedPart:
    """One stored part of an unfinished upload."""

    number: int
    byte_size: int
    etag: str


@dataclass(frozen=True)
class OpenUpload:
    """An upload that was begun, but neither completed nor aborted."""

    key: str
    upload_id: str


async def begin(objects: ObjectStore, key: str, content_type: str) -> str:
    """Begin an upload and return its id."""
    upload = await _ask_unless_gone(objects, "create_multipart_upload", Key=key, ContentType=content_type)
    if upload is None:
        raise Refusal(RefusalCode.UNAVAILABLE)
    upload_id: str = upload["UploadId"]
    return upload_id


async def abort(objects: ObjectStore, key: str, upload_id: str) -> None:
    """Abort an upload and delete its parts. Do nothing if it is not open."""
    await _ask_unless_gone(objects, "abort_multipart_upload", Key=key, UploadId=upload_id)


async def list_parts(objects: ObjectStore, key: str, upload_id: str, *, page: int = PAGE) -> list[UploadedPart] | None:
    """Return the stored parts, sorted by number. Return None if the upload is not open.

    If a phone loses the reply to a PUT and sends the part again, SeaweedFS lists the part twice. The last one counts,
    as in S3.
    """
    parts: list[dict[str, Any]] = []
    marker: dict[str, Any] | None = {}
    while marker is not None:
        answer = await _ask_unless_gone(objects, "list_parts", Key=key, UploadId=upload_id, MaxParts=page, **marker)
        if answer is None:
            return None
        parts += answer.get("Parts", [])
        marker = _next_marker(answer, marker, PartNumberMarker="NextPartNumberMarker")
    parts.sort(key=lambda part: (part["PartNumber"], part["LastModified"]))
    last = {part["PartNumber"]: part for part in parts}
    return [UploadedPart(number, part["Size"], part["ETag"]) for number, part in last.items()]


async def complete(objects: ObjectStore, key: str, upload_id: str, parts: Sequence[UploadedPart]) -> bool:
    """Join the parts into the object. Return False if the upload is not open."""
    listed = {"Parts": [{"PartNumber": part.number, "ETag": part.etag} for part in parts]}
    answer = await _ask_unless_gone(
        objects, "complete_multipart_upload", Key=key, UploadId=upload_id, MultipartUpload=listed
    )
    return answer is not None


async def list_open(objects: ObjectStore, prefix: str, *, begun_before: datetime, page: int = PAGE) -> list[OpenUpload]:
    """Return the open uploads of keys with this prefix that began before `begun_before`, by the store's clock."""
    open_uploads: list[OpenUpload] = []
    marker: dict[str, Any] | None = {}
    while marker is not None:
        answer = (
            await _ask_unless_gone(objects, "list_multipart_uploads", Prefix=prefix, MaxUploads=page, **marker) or {}
        )
        uploads = [upload for upload in answer.get("Uploads", []) if upload["Initiated"] < begun_before]
        open_uploads += [OpenUpload(upload["Key"], upload["UploadId"]) for upload in uploads]
        marker = _next_marker(answer, marker, KeyMarker="NextKeyMarker", UploadIdMarker="NextUploadIdMarker")
    return open_uploads


def _next_marker(answer: Mapping[str, Any], current: Mapping[str, Any], **names: str) -> dict[str, Any] | None:
    """Return the marker of the next page. Return None after the last page, or if the store repeats the current marker.

    A marker may be incomplete, because SeaweedFS returns the id of a page's last upload, but not the upload's key.
    """
    marker = {parameter: answer[name] for parameter, name in names.items() if answer.get(name)}
    return marker if answer.get("IsTruncated") and marker and marker != current else None


async def _ask_unless_gone(objects: ObjectStore, operation: str, **arguments: Any) -> dict[str, Any] | None:
    """Return the store's answer, or None if the upload does not exist.

    Raise `Refusal(UNAVAILABLE)` if the store declines the operation for another reason.
    """
    try:
        return await objects.ask(operation, **arguments)
    except ObjectStoreDeclinedError as no:
        if no.code in _GONE:
            return None
        raise Refusal(RefusalCode.UNAVAILABLE) from no
