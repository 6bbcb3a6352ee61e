"""Define the requests and replies of uploads: slots, confirmations and aborts."""

import enum
import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from schema.access.permissions import AUTHORS, SEEN, Row
from schema.core.refusals import Refusal, RefusalCode, Refused
from schema.core.times import ByteCount

if TYPE_CHECKING:
    from schema.media.media import Media

MIN_PART_BYTES = 5 * 2**20
"""S3 refuses smaller parts, except the last."""
MAX_PART_BYTES = 64 * 2**20
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@strawberry.type(description="A signed header. Send it unchanged.")
class UploadHeader:
    name: str = strawberry.field(description="Name.")
    value: str = strawberry.field(description="Value.")


@strawberry.enum(description="How a medium is uploaded.")
class UploadKind(enum.Enum):
    SINGLE = strawberry.enum_value("SINGLE", description="One PUT of the whole file to `url`.")
    FORM = strawberry.enum_value(
        "FORM",
        description="One POST of a form to `url`: first `fields`, then the file as `file`. For browsers, on request.",
    )
    MULTIPART = strawberry.enum_value(
        "MULTIPART", description="One PUT for each of `parts`. Call `requestUploads` to get them."
    )


@strawberry.type(description="A form field that the signature covers. Send it unchanged and before the file.")
class FormField:
    name: str = strawberry.field(description="Name.")
    value: str = strawberry.field(description="Value.")


@strawberry.type(description="One part of a large upload. The signature covers its size.")
class UploadPart:
    number: int = strawberry.field(description="Number of the part. The first is 1.")
    offset: ByteCount = strawberry.field(description="Its first byte in the file.")
    byte_size: ByteCount = strawberry.field(description="Size in bytes.")
    url: str = strawberry.field(description="PUT the part here.")
    headers: list[UploadHeader] = strawberry.field(description="Signed headers.")
    has_arrived: bool = strawberry.field(description="Whether the store has the part. Don't send it again.")


@strawberry.type(description="Where to put the bytes of one medium (上传位置).")
class UploadSlot:
    media_id: strawberry.ID = strawberry.field(description="The medium.")
    kind: UploadKind = strawberry.field(description="How to upload it.")
    url: str | None = strawberry.field(
        description="PUT the whole file here (SINGLE), or POST the form here (FORM).", default=None
    )
    headers: list[UploadHeader] = strawberry.field(description="Signed headers (SINGLE).", default_factory=list)
    fields: list[FormField] = strawberry.field(description="The form's fields (FORM).", default_factory=list)
    parts: list[UploadPart] = strawberry.field(description="The parts (MULTIPART).", default_factory=list)
    expires_at: datetime | None = strawberry.field(description="When the signatures stop working.", default=None)


@strawberry.input(description="The digest of one part, for stores that check it.")
class PartDigestInput:
    number: int = strawberry.field(description="Number of the part. The first is 1.")
    sha256: str = strawberry.field(description="SHA-256 of the part, 64 hexadecimal digits.")


@strawberry.input(
    description="A medium to upload before its observation is submitted (预先上传). The draft must repeat these values."
)
class MediaAnnouncement:
    observation_id: strawberry.ID = strawberry.field(description="The observation that will name it.")
    sha256: str = strawberry.field(description="SHA-256 of the bytes, 64 lower-case hexadecimal digits.")
    byte_size: ByteCount = strawberry.field(description="Size in bytes.")
    content_type: str = strawberry.field(description="Content type, such as image/jpeg. Detect it from the content.")
    md5: str | None = strawberry.field(description="MD5 of the bytes, 32 lower-case hexadecimal digits.", default=None)
    captured_at: datetime | None = strawberry.field(description="When it was taken.", default=None)


@strawberry.input(description="A medium whose upload begins or continues.")
class UploadRequest:
    media_id: strawberry.ID = strawberry.field(description="The medium.")
    announcement: MediaAnnouncement | None = strawberry.field(
        description="The medium's description. Required until its observation is submitted (预先上传).", default=None
    )
    parts: list[PartDigestInput] = strawberry.field(
        description="Digests of parts. The store then refuses a part with a different digest.", default_factory=list
    )
    part_bytes: int | None = strawberry.field(
        description="Size of a part, 5 MiB to 64 MiB (分片大小). Choose small parts on a slow line, large ones on a fast "
        "line. The size can't change once a part has arrived. It is raised if there would be more than 10,000 parts.",
        default=None,
    )
    form: bool = strawberry.field(
        description="Ask for a form instead of a PUT or parts, for browsers. A form upload can't be resumed.",
        default=False,
    )


@strawberry.input(description="Media whose uploads begin or continue.")
class RequestUploadsInput:
    media: list[UploadRequest] = strawberry.field(description="At most 50.")


@strawberry.type(description="Where to upload one medium, or why not.")
class UploadResult:
    media_id: strawberry.ID = strawberry.field(description="The medium.")
    slot: UploadSlot | None = strawberry.field(
        description="Where to upload it. Null if the bytes have arrived, or if this medium is refused."
    )
    has_arrived: bool = strawberry.field(description="Whether the bytes have arrived. If so, send nothing.")
    refusal: Refused | None = strawberry.field(description="Why there is no slot.", default=None)


@strawberry.type(description="Results in the order of the request.")
class RequestUploadsPayload:
    results: list[UploadResult] = strawberry.field(description="One for each medium.")


@strawberry.input(description="Media whose bytes the phone has uploaded.")
class ConfirmMediaInput:
    media_ids: list[strawberry.ID] = strawberry.field(description="At most 50.")


@strawberry.type(description="The result of confirming one medium.")
class ConfirmResult:
    media_id: strawberry.ID = strawberry.field(description="The medium.")
    media: Annotated["Media", strawberry.lazy("schema.media.media")] | None = strawberry.field(
        description="As it is now.", default=None
    )
    refusal: Refused | None = strawberry.field(description="Why it is not confirmed.", default=None)


@strawberry.type(description="Results in the order of the request.")
class ConfirmMediaPayload:
    results: list[ConfirmResult] = strawberry.field(description="One for each medium.")


@strawberry.input(description="Media whose multipart uploads are aborted.")
class AbortUploadsInput:
    media_ids: list[strawberry.ID] = strawberry.field(description="At most 50.")


@strawberry.type(description="The result of aborting one medium's upload.")
class AbortResult:
    media_id: strawberry.ID = strawberry.field(description="The medium.")
    media: Annotated["Media", strawberry.lazy("schema.media.media")] | None = strawberry.field(
        description="As it is now, still EXPECTED. `requestUploads` begins a new upload.", default=None
    )
    refusal: Refused | None = strawberry.field(description="Why the upload was not aborted.", default=None)


@strawberry.type(description="Results in the order of the request.")
class AbortUploadsPayload:
    results: list[AbortResult] = strawberry.field(description="One for each medium.")


def validate_part_bytes(request: UploadRequest) -> int | None:
    """Return the requested part size. Raise `Refusal(BAD_INPUT)` if it is out of bounds."""
    part_bytes = request.part_bytes
    if part_bytes is not None and not MIN_PART_BYTES <= part_bytes <= MAX_PART_BYTES:
        bounds = f"A part has {MIN_PART_BYTES} to {MAX_PART_BYTES} bytes."
        raise Refusal(RefusalCode.BAD_INPUT, bounds, field="partBytes")
    return part_bytes


def validate_part_digests(request: UploadRequest) -> dict[int, str]:
    """Return the SHA-256 of parts by number. Raise `Refusal(BAD_INPUT)` if one is malformed."""
    if not all(_SHA256.fullmatch(part.sha256) for part in request.parts):
        raise Refusal(RefusalCode.BAD_INPUT, "A SHA-256 has 64 hexadecimal digits.", field="parts")
    return {part.number: part.sha256 for part in request.parts}


PERMITS: tuple[Row, ...] = (
    ("Mutation", AUTHORS, "requestUploads abortUploads confirmMedia"),
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
