"""Multipart uploads in the object store: begun, listed, joined and given up.

Which medium they belong to, and whether they are still in use, is left to `media` and to the sweep in `api`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schema.core.refusals import Refusal, RefusalCode
from storage.s3.client import ObjectStore, ObjectStoreDeclinedError

PAGE = 1000
"""The most that S3 lists at once."""
_GONE = frozenset({"404", "NoSuchUpload", "NoSuchKey"})


@dataclass(frozen=True)
class UploadedPart:
    """One part that the store has of an unfinished upload."""

    number: int
    byte_size: int
    etag: str


@dataclass(frozen=True)
class OpenUpload:
    """An upload that was begun and neither joined nor given up."""

    key: str
    upload_id: str


async def begin(objects: ObjectStore, key: str, content_type: str) -> str:
    """Begin an upload and return its id."""
    begun = await _unless_gone(objects, "create_multipart_upload", Key=key, ContentType=content_type)
    if begun is None:
        raise Refusal(RefusalCode.UNAVAILABLE)
    upload_id: str = begun["UploadId"]
    return upload_id


async def abandon(objects: ObjectStore, key: str, upload_id: str) -> None:
    """Forget an upload that was begun, and its parts; nothing where it is not open (any more)."""
    await _unless_gone(objects, "abort_multipart_upload", Key=key, UploadId=upload_id)


async def parts(objects: ObjectStore, key: str, upload_id: str, *, page: int = PAGE) -> list[UploadedPart] | None:
    """The parts that have arrived, in order; None where the upload is not open (any more).

    SeaweedFS lists a part that was put twice (a phone's reply was lost) two times: the last one counts, as S3 has it.
    """
    found: list[dict[str, Any]] = []
    after: dict[str, Any] | None = {}
    while after is not None:
        answer = await _unless_gone(objects, "list_parts", Key=key, UploadId=upload_id, MaxParts=page, **after)
        if answer is None:
            return None
        found += answer.get("Parts", [])
        after = _next(answer, after, PartNumberMarker="NextPartNumberMarker")
    found.sort(key=lambda part: (part["PartNumber"], part["LastModified"]))
    last = {part["PartNumber"]: part for part in found}
    return [UploadedPart(number, part["Size"], part["ETag"]) for number, part in last.items()]


async def complete(objects: ObjectStore, key: str, upload_id: str, parts: Sequence[UploadedPart]) -> bool:
    """Join the parts into the object; False where the upload is not open (any more)."""
    joined = {"Parts": [{"PartNumber": part.number, "ETag": part.etag} for part in parts]}
    done = await _unless_gone(objects, "complete_multipart_upload", Key=key, UploadId=upload_id, MultipartUpload=joined)
    return done is not None


async def still_open(
    objects: ObjectStore, prefix: str, *, begun_before: datetime, page: int = PAGE
) -> list[OpenUpload]:
    """Uploads under a prefix that were begun before that time by the store's clock."""
    found: list[OpenUpload] = []
    after: dict[str, Any] | None = {}
    while after is not None:
        answer = await _unless_gone(objects, "list_multipart_uploads", Prefix=prefix, MaxUploads=page, **after) or {}
        uploads = [each for each in answer.get("Uploads", []) if each["Initiated"] < begun_before]
        found += [OpenUpload(each["Key"], each["UploadId"]) for each in uploads]
        after = _next(answer, after, KeyMarker="NextKeyMarker", UploadIdMarker="NextUploadIdMarker")
    return found


def _next(answer: Mapping[str, Any], here: Mapping[str, Any], **markers: str) -> dict[str, Any] | None:
    """Where the page after this one begins; None after the last, and where a store leads nowhere.

    SeaweedFS names the last upload of a page, and not its key.
    """
    there = {asked: answer[name] for asked, name in markers.items() if answer.get(name)}
    return there if answer.get("IsTruncated") and there and there != here else None


async def _unless_gone(objects: ObjectStore, operation: str, **arguments: Any) -> dict[str, Any] | None:
    """What the store answers, None where there is no such upload; every other no is `Refusal(UNAVAILABLE)`."""
    try:
        return await objects.ask(operation, **arguments)
    except ObjectStoreDeclinedError as no:
        if no.code in _GONE:
            return None
        raise Refusal(RefusalCode.UNAVAILABLE) from no
