"""Multipart uploads in the object store: begun, listed, joined and given up.

Which medium they belong to, and whether they are still in use, is left to `media` and to the sweep in `api`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schema.refusals import Refusal, RefusalCode
from storage.objects import Declined, ObjectStore

_GONE = frozenset({"404", "NoSuchUpload", "NoSuchKey"})


@dataclass(frozen=True)
class Part:
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


async def parts(objects: ObjectStore, key: str, upload_id: str) -> list[Part] | None:
    """The parts that have arrived, in order; None where the upload is not open (any more).

    SeaweedFS lists a part that was put twice (a phone's reply was lost) two times: the last one counts, as S3 has it.
    """
    found: list[dict[str, Any]] = []
    after: dict[str, Any] = {}
    while True:
        page = await _unless_gone(objects, "list_parts", Key=key, UploadId=upload_id, **after)
        if page is None:
            return None
        found += page.get("Parts", [])
        if not page.get("IsTruncated"):
            break
        after = {"PartNumberMarker": page["NextPartNumberMarker"]}
    found.sort(key=lambda part: (part["PartNumber"], part["LastModified"]))
    last = {part["PartNumber"]: part for part in found}
    return [Part(number, part["Size"], part["ETag"]) for number, part in last.items()]


async def complete(objects: ObjectStore, key: str, upload_id: str, parts: Sequence[Part]) -> bool:
    """Join the parts into the object; False where the upload is not open (any more)."""
    joined = {"Parts": [{"PartNumber": part.number, "ETag": part.etag} for part in parts]}
    done = await _unless_gone(objects, "complete_multipart_upload", Key=key, UploadId=upload_id, MultipartUpload=joined)
    return done is not None


async def still_open(objects: ObjectStore, prefix: str, *, begun_before: datetime) -> list[OpenUpload]:
    """Uploads under a prefix that were begun before that time by the store's clock."""
    found: list[OpenUpload] = []
    after: dict[str, Any] = {}
    while True:
        page = await _unless_gone(objects, "list_multipart_uploads", Prefix=prefix, **after) or {}
        uploads = [each for each in page.get("Uploads", []) if each["Initiated"] < begun_before]
        found += [OpenUpload(each["Key"], each["UploadId"]) for each in uploads]
        if not page.get("IsTruncated"):
            return found
        after = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}


async def _unless_gone(objects: ObjectStore, operation: str, **arguments: Any) -> dict[str, Any] | None:
    """What the store answers, None where there is no such upload; every other no is `Refusal(UNAVAILABLE)`."""
    try:
        return await objects.ask(operation, **arguments)
    except Declined as no:
        if no.code in _GONE:
            return None
        raise Refusal(RefusalCode.UNAVAILABLE) from no
