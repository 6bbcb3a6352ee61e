"""Define the requests and replies of uploads: slots, confirmations and aborts."""

import enum
import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from schema.access.permissions import SEEN, UPLOADERS, Row
from schema.core.refusals import Refusal, RefusalCode, Refused
from schema.core.times import ByteCount

if TYPE_CHECKING:
    from schema.media.media import Media

MIN_PART_BYTES = 5 * 2**20
"""S3 refuses smaller parts, except the last part of an upload."""
MAX_PART_BYTES = 64 * 2**20
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@strawberry.type(description="A header to send with the PUT. The signature covers it, so send it unchanged.")
class UploadHeader:
    name: str = strawberry.field(description="Name of the header.")
    value: str = strawberry.field(description="Value of the header.")


@strawberry.enum(description="How a medium is uploaded.")
class UploadKind(enum.Enum):
    SINGLE = strawberry.enum_value("SINGLE", description="One PUT of the whole file to `url`.")
    FORM = strawberry.enum_value(
        "FORM",
        description="One POST of a form to `url`: first all `fields`, then the file in the form field `file`. For "
        "browsers, if `UploadRequest.form` is true.",
    )
    MULTIPART = strawberry.enum_value(
        "MULTIPART", description="One PUT for each part in `parts`. Call `requestUploads` to get the parts."
    )


@strawberry.type(description="A form field that the signature covers. Send it unchanged and before the file.")
class FormField:
    name: str = strawberry.field(description="Name of the form field.")
    value: str = strawberry.field(description="Value of the form field.")


@strawberry.type(description="One part of a large upload. The signature covers the size of the part.")
class UploadPart:
    number: int = strawberry.field(description="Number of the part. The first is 1.")
    offset: ByteCount = strawberry.field(description="Offset of the part's first byte in the file.")
    byte_size: ByteCount = strawberry.field(description="Size of the part in bytes.")
    url: str = strawberry.field(description="URL for the PUT of the part.")
    headers: list[UploadHeader] = strawberry.field(description="Signed headers to send with the PUT.")
    has_arrived: bool = strawberry.field(
        description="Whether the object store already has the part. If so, don't send it again."
    )


@strawberry.type(description="Where and how to upload the bytes of one medium (上传位置).")
class UploadSlot:
    media_id: strawberry.ID = strawberry.field(description="Id of the medium.")
    kind: UploadKind = strawberry.field(description="How to upload the medium.")
    url: str | None = strawberry.field(
        description="PUT the whole file here (SINGLE), or POST the form here (FORM).", default=None
    )
    headers: list[UploadHeader] = strawberry.field(
        description="Signed headers to send with the PUT (SINGLE only).", default_factory=list
    )
    fields: list[FormField] = strawberry.field(description="Fields of the form (FORM only).", default_factory=list)
    parts: list[UploadPart] = strawberry.field(
        description="Parts of the upload (MULTIPART only).", default_factory=list
    )
    expires_at: datetime | None = strawberry.field(
        description="When the signed URLs stop working. Null if the slot has no URL.", default=None
    )


@strawberry.input(description="The digest of one part, for object stores that check the digests of parts.")
class PartDigestInput:
    number: int = strawberry.field(description="Number of the part. The first is 1.")
    sha256: str = strawberry.field(description="SHA-256 of the part, 64 hexadecimal digits.")


@strawberry.input(
    description="Description of a medium that is uploaded before its observation is submitted (预先上传). The "
    "observation's draft must repeat these values."
)
class MediaAnnouncement:
    observation_id: strawberry.ID = strawberry.field(description="Id of the observation that will name the medium.")
    sha256: str = strawberry.field(description="SHA-256 of the bytes, 64 lower-case hexadecimal digits.")
    byte_size: ByteCount = strawberry.field(description="Size in bytes.")
    content_type: str = strawberry.field(
        description="Content type, such as image/jpeg. Detect it from the bytes, not from the file name."
    )
    md5: str | None = strawberry.field(description="MD5 of the bytes, 32 lower-case hexadecimal digits.", default=None)
    captured_at: datetime | None = strawberry.field(
        description="When the photo or recording was made, by the phone's clock.", default=None
    )


@strawberry.input(description="A request to begin or continue the upload of one medium.")
class UploadRequest:
    media_id: strawberry.ID = strawberry.field(description="Id of the medium.")
    announcement: MediaAnnouncement | None = strawberry.field(
        description="Description of the medium. Required while the medium's observation is not submitted (预先上传).",
        default=None,
    )
    parts: list[PartDigestInput] = strawberry.field(
        description="Digests of parts. The object store then refuses a part whose bytes have a different digest.",
        default_factory=list,
    )
    part_bytes: int | None = strawberry.field(
        description="Size of each part in bytes, 5 MiB to 64 MiB (分片大小). Choose small parts on a slow connection "
        "and large parts on a fast connection. The size can't change after a part has arrived. The server raises the "
        "size if there would be more than 10,000 parts.",
        default=None,
    )
    form: bool = strawberry.field(
        description="True to get a form instead of a PUT or parts. Forms are for browsers. A form upload can't be resumed.",
        default=False,
    )


@strawberry.input(description="Requests to begin or continue uploads.")
class RequestUploadsInput:
    media: list[UploadRequest] = strawberry.field(description="1 to 50 requests, one for each medium.")


@strawberry.type(description="Where to upload one medium, or why the request is refused.")
class UploadResult:
    media_id: strawberry.ID = strawberry.field(description="Id of the medium.")
    slot: UploadSlot | None = strawberry.field(
        description="Where and how to upload the medium. Null if the bytes have arrived, or if the request is refused."
    )
    has_arrived: bool = strawberry.field(description="Whether the bytes have arrived. If so, send nothing.")
    refusal: Refused | None = strawberry.field(
        description="Reason for the refusal. Null if the request is not refused.", default=None
    )


@strawberry.type(description="The results of a batch of upload requests.")
class RequestUploadsPayload:
    results: list[UploadResult] = strawberry.field(description="One result per medium, in the order of the request.")


@strawberry.input(description="Media whose bytes the phone has uploaded.")
class ConfirmMediaInput:
    media_ids: list[strawberry.ID] = strawberry.field(description="Ids of 1 to 50 media.")


@strawberry.type(description="The result of confirming one medium.")
class ConfirmResult:
    media_id: strawberry.ID = strawberry.field(description="Id of the medium.")
    media: Annotated["Media", strawberry.lazy("schema.media.media")] | None = strawberry.field(
        description="The medium as it is now. Null if the confirmation is refused.", default=None
    )
    refusal: Refused | None = strawberry.field(
        description="Reason for the refusal. Null if the upload is confirmed.", default=None
    )


@strawberry.type(description="The results of confirming a batch of media.")
class ConfirmMediaPayload:
    results: list[ConfirmResult] = strawberry.field(description="One result per medium, in the order of the request.")


@strawberry.input(description="Media whose multipart uploads the caller aborts.")
class AbortUploadsInput:
    media_ids: list[strawberry.ID] = strawberry.field(description="Ids of 1 to 50 media.")


@strawberry.type(description="The result of aborting one medium's upload.")
class AbortResult:
    media_id: strawberry.ID = strawberry.field(description="Id of the medium.")
    media: Annotated["Media", strawberry.lazy("schema.media.media")] | None = strawberry.field(
        description="The medium as it is now. Null if the abort is refused. `requestUploads` begins a new upload.",
        default=None,
    )
    refusal: Refused | None = strawberry.field(
        description="Reason for the refusal. Null if the upload is aborted.", default=None
    )


@strawberry.type(description="The results of aborting a batch of uploads.")
class AbortUploadsPayload:
    results: list[AbortResult] = strawberry.field(description="One result per medium, in the order of the request.")


def validate_part_bytes(request: UploadRequest) -> int | None:
    """Return the requested part size. Raise `Refusal(BAD_INPUT)` if it is out of bounds."""
    part_bytes = request.part_bytes
    if part_bytes is not None and not MIN_PART_BYTES <= part_bytes <= MAX_PART_BYTES:
        bounds = f"A part has {MIN_PART_BYTES} to {MAX_PART_BYTES} bytes."
        raise Refusal(RefusalCode.BAD_INPUT, bounds, field="partBytes")
    return part_bytes


def validate_part_digests(request: UploadRequest) -> dict[int, str]:
    """Return the SHA-256 of each part, by part number. Raise `Refusal(BAD_INPUT)` if a SHA-256 is malformed."""
    if not all(_SHA256.fullmatch(part.sha256) for part in request.parts):
        raise Refusal(RefusalCode.BAD_INPUT, "A SHA-256 has 64 hexadecimal digits.", field="parts")
    return {part.number: part.sha256 for part in request.parts}


PERMITS: tuple[Row, ...] = (
    ("Mutation", UPLOADERS, "requestUploads abortUploads confirmMedia"),
    ("AbortResult", SEEN, "mediaId media refusal"),
    ("AbortUploadsPayload", SEEN, "results"),
    ("ConfirmMediaPayload", SEEN, "results"),
    ("ConfirmResult", SEEN, "mediaId media refusal"),
    ("FormField", SEEN, "name value"),
    ("RequestUploadsPayload", SEEN, "results"),
    ("UploadHeader", SEEN, "name value"),
    ("UploadPart", SEEN, "number offset byteSize url headers hasArrived"),
    ("UploadResult", SEEN, "mediaId slot hasArrived refusal"),
    ("UploadSlot", SEEN, "mediaId kind url headers fields parts expiresAt"),
)
