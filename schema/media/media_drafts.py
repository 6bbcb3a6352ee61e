"""Define drafts of media: what a phone declares of a medium before it uploads the bytes."""

import re
from datetime import datetime

import strawberry

from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode
from schema.core.times import ByteCount, to_millis
from schema.media.media import KINDS, Media, MediaState
from schema.media.object_keys import first_key

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MD5 = re.compile(r"[0-9a-f]{32}")


@strawberry.input(description="A medium that the phone will upload (影像资料).")
class MediaDraft:
    id: strawberry.ID = strawberry.field(description="Id that the phone creates: `med_` and a UUIDv7.")
    sha256: str = strawberry.field(description="SHA-256 of the bytes, 64 lower-case hexadecimal digits.")
    byte_size: ByteCount = strawberry.field(description="Size in bytes.")
    content_type: str = strawberry.field(
        description="Content type, such as image/jpeg. Detect it from the bytes, not from the file name."
    )
    md5: str | None = strawberry.field(
        description="MD5 of the bytes, 32 lower-case hexadecimal digits. An object store that can't check SHA-256 "
        "uses the MD5 to refuse wrong bytes.",
        default=None,
    )
    captured_at: datetime | None = strawberry.field(
        description="When the photo or recording was made, by the phone's clock.", default=None
    )


def media_from_draft(
    draft: MediaDraft,
    *,
    observation_id: str | None,
    uploader_id: str,
    now: datetime,
    max_bytes: int,
    field: str,
    notice_id: str | None = None,
) -> Media:
    """Validate the draft of a medium and return the medium in state EXPECTED. Its object key contains its id and SHA-256.

    `field` is the path of the draft in the input. Raise a `Refusal` with the path of the invalid value.
    """
    validate_id(draft.id, "med", field=f"{field}.id")
    if not _SHA256.fullmatch(draft.sha256):
        raise Refusal(RefusalCode.BAD_INPUT, "A SHA-256 has 64 lower-case hexadecimal digits.", field=f"{field}.sha256")
    if draft.md5 is not None and not _MD5.fullmatch(draft.md5):
        raise Refusal(RefusalCode.BAD_INPUT, "An MD5 has 32 lower-case hexadecimal digits.", field=f"{field}.md5")
    if draft.content_type not in KINDS:
        raise Refusal(
            RefusalCode.BAD_INPUT,
            f"The content type must be one of {', '.join(sorted(KINDS))}.",
            field=f"{field}.contentType",
        )
    if not 1 <= draft.byte_size <= max_bytes:
        raise Refusal(RefusalCode.BAD_INPUT, f"A medium has 1 to {max_bytes} bytes.", field=f"{field}.byteSize")
    return Media(
        id=draft.id,
        kind=KINDS[draft.content_type],
        state=MediaState.EXPECTED,
        sha256=draft.sha256,
        byte_size=draft.byte_size,
        content_type=draft.content_type,
        captured_at=to_millis(draft.captured_at) if draft.captured_at else None,
        expected_at=now,
        observation_id=observation_id,
        uploader_id=uploader_id,
        key=first_key(draft.id, draft.sha256),
        md5=draft.md5,
        notice_id=notice_id,
    )


def is_same_medium(known: Media, announced: Media) -> bool:
    """Return whether both media have the same observation or notice, uploader, SHA-256, size and declared type."""

    def identity(media: Media) -> tuple[object, ...]:
        subject = media.observation_id, media.notice_id
        return *subject, media.uploader_id, media.sha256, media.byte_size, media.content_type

    return identity(known) == identity(announced)
