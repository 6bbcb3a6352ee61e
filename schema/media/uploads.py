"""Uploads: where a phone puts the bytes of a medium, and what it is told when it says that they are there.

Signing is left to `storage`; the medium itself is in `media.py`.
"""

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
"""S3 joins no smaller ones."""
MAX_PART_BYTES = 64 * 2**20
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@strawberry.type(description="A header that belongs to a signature; send it exactly so.")
class UploadHeader:
    name: str = strawberry.field(description="Name.")
    value: str = strawberry.field(description="Value.")


@strawberry.enum(description="How a medium is uploaded.")
class UploadKind(enum.Enum):
    SINGLE = strawberry.enum_value("SINGLE", description="One PUT of the whole file to `url`.")
    FORM = strawberry.enum_value(
        "FORM", description="One POST of a form to `url`: `fields`, then the file as `file`. For browsers; on request."
    )
    MULTIPART = strawberry.enum_value(
        "MULTIPART", description="One PUT for each of `parts`; ask `requestUploads` for them."
    )


@strawberry.type(
    description="A field of a form that belongs to its signed policy; send it exactly so, before the file."
)
class FormField:
    name: str = strawberry.field(description="Name.")
    value: str = strawberry.field(description="Value.")


@strawberry.type(description="One part of a large upload; its size is signed.")
class UploadPart:
    number: int = strawberry.field(description="1 for the first.")
    offset: ByteCount = strawberry.field(description="Where the part begins in the file, bytes.")
    byte_size: ByteCount = strawberry.field(description="Its length, bytes.")
    url: str = strawberry.field(description="PUT the part here.")
    headers: list[UploadHeader] = strawberry.field(description="Headers that belong to the signature.")
    has_arrived: bool = strawberry.field(description="The store has it; don't send it again.")


@strawberry.type(description="Where to put the bytes of one medium (上传位置).")
class UploadSlot:
    media_id: strawberry.ID = strawberry.field(description="The medium.")
    kind: UploadKind = strawberry.field(description="How it is uploaded.")
    url: str | None = strawberry.field(
        description="PUT the whole file here (SINGLE), or POST the form (FORM).", default=None
    )
    headers: list[UploadHeader] = strawberry.field(
        description="Headers that belong to the signature (SINGLE).", default_factory=list
    )
    fields: list[FormField] = strawberry.field(description="The form's fields (FORM).", default_factory=list)
    parts: list[UploadPart] = strawberry.field(description="The parts (MULTIPART).", default_factory=list)
    expires_at: datetime | None = strawberry.field(description="When the signatures stop working.", default=None)


@strawberry.input(description="Digest of one part, for stores that check it.")
class PartDigestInput:
    number: int = strawberry.field(description="1 for the first.")
    sha256: str = strawberry.field(description="SHA-256 of the part, 64 hexadecimal digits.")


@strawberry.input(
    description="A medium that is uploaded before its observation is submitted (预先上传): as the draft will say it."
)
class MediaAnnouncement:
    observation_id: strawberry.ID = strawberry.field(description="The observation that will name it.")
    sha256: str = strawberry.field(description="SHA-256 of the bytes, 64 lower-case hexadecimal digits.")
    byte_size: ByteCount = strawberry.field(description="Size, bytes.")
    content_type: str = strawberry.field(description="Type by content, such as image/jpeg.")
    md5: str | None = strawberry.field(description="MD5 of the bytes, 32 hexadecimal digits.", default=None)
    captured_at: datetime | None = strawberry.field(description="When it was taken.", default=None)


@strawberry.input(description="A medium whose upload begins or goes on.")
class UploadRequest:
    media_id: strawberry.ID = strawberry.field(description="The medium.")
    announcement: MediaAnnouncement | None = strawberry.field(
        description="What it is, where its observation has not been submitted yet (预先上传).", default=None
    )
    parts: list[PartDigestInput] = strawberry.field(
        description="Digests of parts; the store then refuses a part with another.", default_factory=list
    )
    part_bytes: int | None = strawberry.field(
        description="Size of a part, 5 MiB to 64 MiB (分片大小): small on a bad line, large on a good one. An upload of which "
        "parts have arrived keeps its cut; more than 10,000 parts are never made.",
        default=None,
    )
    form: bool = strawberry.field(
        description="A browser asks for a form in place of a PUT or parts; it goes in one piece and can't be resumed.",
        default=False,
    )


@strawberry.input(description="Media whose uploads begin or go on.")
class RequestUploadsInput:
    media: list[UploadRequest] = strawberry.field(description="At most 50.")


@strawberry.type(description="Where to put one medium, or why not.")
class UploadResult:
    media_id: strawberry.ID = strawberry.field(description="The medium.")
    slot: UploadSlot | None = strawberry.field(
        description="Where; null when the bytes are there already or on refusal."
    )
    has_arrived: bool = strawberry.field(description="The bytes are there already; nothing is to be sent.")
    refusal: Refused | None = strawberry.field(description="Why not.", default=None)


@strawberry.type(description="Results in the order of the request.")
class RequestUploadsPayload:
    results: list[UploadResult] = strawberry.field(description="One for each medium.")


@strawberry.input(description="Media whose bytes the phone has uploaded.")
class ConfirmMediaInput:
    media_ids: list[strawberry.ID] = strawberry.field(description="At most 50.")


@strawberry.type(description="What the server found in the store.")
class ConfirmResult:
    media_id: strawberry.ID = strawberry.field(description="The medium.")
    media: Annotated["Media", strawberry.lazy("schema.media.media")] | None = strawberry.field(
        description="As it is now.", default=None
    )
    refusal: Refused | None = strawberry.field(description="Why it isn't confirmed.", default=None)


@strawberry.type(description="Results in the order of the request.")
class ConfirmMediaPayload:
    results: list[ConfirmResult] = strawberry.field(description="One for each medium.")


@strawberry.input(description="Media whose uploads in parts are given up.")
class AbortUploadsInput:
    media_ids: list[strawberry.ID] = strawberry.field(description="At most 50.")


@strawberry.type(description="What became of one medium's upload.")
class AbortResult:
    media_id: strawberry.ID = strawberry.field(description="The medium.")
    media: Annotated["Media", strawberry.lazy("schema.media.media")] | None = strawberry.field(
        description="As it is now: still expected, and to be begun anew with `requestUploads`.", default=None
    )
    refusal: Refused | None = strawberry.field(description="Why nothing was given up.", default=None)


@strawberry.type(description="Results in the order of the request.")
class AbortUploadsPayload:
    results: list[AbortResult] = strawberry.field(description="One for each medium.")


def part_bytes_of(request: UploadRequest) -> int | None:
    """Raises `Refusal(BAD_INPUT)` outside what a part may have."""
    wanted = request.part_bytes
    if wanted is not None and not MIN_PART_BYTES <= wanted <= MAX_PART_BYTES:
        bounds = f"A part has {MIN_PART_BYTES} to {MAX_PART_BYTES} bytes."
        raise Refusal(RefusalCode.BAD_INPUT, bounds, field="partBytes")
    return wanted


def digests_of(request: UploadRequest) -> dict[int, str]:
    """SHA-256 of parts by number; raises `Refusal(BAD_INPUT)` for what is no digest."""
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
