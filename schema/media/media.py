"""Media (影像资料): declared with a digest, uploaded straight to the store, verified there, and kept untouched for ever.

Reading what a picture says and signing its links is left to `storage`.
"""

import enum
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from schema.access.guards import IdentityOnly
from schema.access.permissions import CLEARED, SEEN, Row
from schema.access.viewers import Owner
from schema.core.context import Info, Kind
from schema.core.ids import validate_id
from schema.core.nodes import Node
from schema.core.refusals import Refusal, RefusalCode
from schema.core.times import ByteCount, to_millis
from schema.media.media_facts import MediaFacts
from schema.media.object_keys import first_key
from schema.media.shown_times import Clocks, ShownTime, time_of_medium

if TYPE_CHECKING:
    from schema.fieldwork.observations import Observation
    from schema.publication.redactions import Redaction

OBSERVATION: "Kind[Observation]" = Kind("Observation")
REDACTION: "Kind[Redaction]" = Kind("Redaction")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MD5 = re.compile(r"[0-9a-f]{32}")


@strawberry.enum(description="What a medium is (类型).")
class MediaKind(enum.Enum):
    PHOTO = "PHOTO"
    VIDEO = "VIDEO"
    SOUND = "SOUND"
    DOCUMENT = "DOCUMENT"


KINDS = {
    "image/jpeg": MediaKind.PHOTO,
    "image/png": MediaKind.PHOTO,
    "image/webp": MediaKind.PHOTO,
    "image/heic": MediaKind.PHOTO,
    "image/avif": MediaKind.PHOTO,
    "video/mp4": MediaKind.VIDEO,
    "video/quicktime": MediaKind.VIDEO,
    "video/3gpp": MediaKind.VIDEO,
    "audio/mp4": MediaKind.SOUND,
    "audio/mpeg": MediaKind.SOUND,
    "audio/amr": MediaKind.SOUND,
    "application/pdf": MediaKind.DOCUMENT,
}
"""Content types that may be declared, and what each is."""


@strawberry.enum(description="How far a medium has come (状态).")
class MediaState(enum.Enum):
    EXPECTED = strawberry.enum_value("EXPECTED", description="Declared; its bytes have not been confirmed (待上传).")
    UPLOADED = strawberry.enum_value(
        "UPLOADED", description="Its bytes are in the store and wait to be verified (待核验)."
    )
    READY = strawberry.enum_value("READY", description="The stored bytes are the declared ones (已核验).")
    REJECTED = strawberry.enum_value("REJECTED", description="The stored bytes are not the declared ones (不符).")


@strawberry.enum(description="Why a medium was rejected; uploading the right bytes mends it.")
class MediaRejection(enum.Enum):
    SIZE_MISMATCH = "SIZE_MISMATCH"
    DIGEST_MISMATCH = "DIGEST_MISMATCH"


MOVES = {
    MediaState.EXPECTED: frozenset({MediaState.UPLOADED}),
    MediaState.UPLOADED: frozenset({MediaState.READY, MediaState.REJECTED, MediaState.EXPECTED}),
    MediaState.REJECTED: frozenset({MediaState.UPLOADED}),
    MediaState.READY: frozenset(),
}
"""Allowed moves; UPLOADED falls back to EXPECTED when the store has lost the bytes."""

ARRIVED = frozenset({MediaState.UPLOADED, MediaState.READY})


@strawberry.enum(description="Which rendition of a medium a link leads to.")
class Rendition(enum.Enum):
    ORIGINAL = strawberry.enum_value("ORIGINAL", description="The bytes as the device sent them.")
    LARGE = strawberry.enum_value("LARGE", description="Upright JPEG, long side at most 1280, no metadata.")
    SMALL = strawberry.enum_value("SMALL", description="Upright JPEG, long side at most 320, no metadata.")


@strawberry.type(description="A short-lived address of a medium's bytes; every link given out is logged.")
class Link:
    url: str = strawberry.field(description="GET it before `expiresAt`; it needs no header.")
    expires_at: datetime = strawberry.field(description="When it stops working.")
    content_type: str = strawberry.field(description="Type of the bytes.")
    width: int | None = strawberry.field(description="Pixels, where known.", default=None)
    height: int | None = strawberry.field(description="Pixels, where known.", default=None)


@dataclass(frozen=True)
class Thumbnail:
    """An upright rendition without metadata: its size in pixels, where the store has it, and its bytes' digest.

    `sha256` is None for those that were made before digests were kept.
    """

    rendition: Rendition
    width: int
    height: int
    key: str
    sha256: str | None = None


@strawberry.type(description="A photo, video, sound or document of an observation (影像资料).")
class Media(Node, prefix="med"):
    kind: MediaKind = strawberry.field(description="What it is.")
    state: MediaState = strawberry.field(description="How far it has come.")
    rejection: MediaRejection | None = strawberry.field(description="Why it was rejected.", default=None)
    sha256: str = strawberry.field(description="Digest of the original, declared by the phone, verified when READY.")
    byte_size: ByteCount = strawberry.field(description="Size of the original, bytes.")
    content_type: str = strawberry.field(description="Type as declared.")
    captured_at: datetime | None = strawberry.field(description="When the phone says that it was taken.", default=None)
    expected_at: datetime = strawberry.field(description="When it was declared.")
    uploaded_at: datetime | None = strawberry.field(description="When its bytes were confirmed.", default=None)
    ready_at: datetime | None = strawberry.field(description="When its bytes were verified.", default=None)
    facts: MediaFacts | None = strawberry.field(description="What it says of itself.", default=None)
    thumbnails: strawberry.Private[tuple[Thumbnail, ...]] = ()
    observation_id: strawberry.Private[str]
    uploader_id: strawberry.Private[str]
    key: strawberry.Private[str]
    md5: strawberry.Private[str | None] = None
    upload_id: strawberry.Private[str | None] = None
    upload_part_bytes: strawberry.Private[int | None] = None
    """Into parts of how many bytes the open upload was cut: parts that have arrived are of that cut, whatever is set now."""
    upload_used_at: strawberry.Private[datetime | None] = None
    """When slots of the open upload were last given out."""
    is_copy: strawberry.Private[bool] = False
    """Its bytes came as another medium's of the same uploader: the worker copies them."""
    copy_failed: strawberry.Private[bool] = False
    """They could not be copied: they are asked for like any others."""
    attempts: strawberry.Private[int] = 0
    decoding_failures: strawberry.Private[int] = 0

    @strawberry.field(
        description="A link to the bytes of one rendition; null until READY, or where there is no such one."
    )
    async def link(self, info: Info, rendition: Rendition = Rendition.LARGE) -> Link | None:
        return await info.context.load.one(Link, media=self, rendition=rendition)

    async def owner(self, info: Info) -> Owner | None:
        observation = await info.context.load.one(OBSERVATION, self.observation_id)
        return await observation.owner(info) if observation else None

    @strawberry.field(
        description="Maker, model and software of the device; needs clearance.", extensions=[IdentityOnly()]
    )
    async def device(self) -> str | None:
        facts = self.facts
        told = (facts.make, facts.model, facts.software) if facts else ()
        return " / ".join(part for part in told if part) or None

    @strawberry.field(description="When it was taken, as it is to be shown, by whose clock and why (显示时间).")
    async def when(self, info: Info) -> ShownTime:
        observation = await info.context.load.one(OBSERVATION, self.observation_id)
        offset = observation.content.captured_offset_minutes if observation else None
        skew = observation.clock_skew if observation else None
        return time_of_medium(
            local=self.facts.taken_at_local if self.facts else None,
            file_offset_minutes=self.facts.taken_offset_minutes if self.facts else None,
            device_offset_minutes=offset,
            announced=Clocks(self.captured_at, offset or 0, self.expected_at, skew=skew) if self.captured_at else None,
            expected_at=self.expected_at,
        )

    @strawberry.field(description="The observation that it belongs to.")
    async def observation(
        self, info: Info
    ) -> Annotated["Observation", strawberry.lazy("schema.fieldwork.observations")] | None:
        return await info.context.load.one(OBSERVATION, self.observation_id)

    @strawberry.field(description="Copies made for release, oldest first; until approved for officers only (脱敏发布).")
    async def redactions(
        self, info: Info
    ) -> list[Annotated["Redaction", strawberry.lazy("schema.publication.redactions")]]:
        return await info.context.load.related(REDACTION, media=self.id)


@strawberry.input(description="A medium that the phone has and will upload (影像资料).")
class MediaDraft:
    id: strawberry.ID = strawberry.field(description="Made by the phone: med_ and a UUIDv7.")
    sha256: str = strawberry.field(description="SHA-256 of the bytes, 64 lower-case hexadecimal digits.")
    byte_size: ByteCount = strawberry.field(description="Size, bytes.")
    content_type: str = strawberry.field(description="Type by content, such as image/jpeg.")
    md5: str | None = strawberry.field(
        description="MD5 of the bytes, 32 hexadecimal digits: lets stores that know no SHA-256 refuse wrong bytes.",
        default=None,
    )
    captured_at: datetime | None = strawberry.field(description="When it was taken.", default=None)


def expect(
    draft: MediaDraft, *, observation_id: str, uploader_id: str, now: datetime, max_bytes: int, field: str
) -> Media:
    """The medium that a draft announces; its key in the store is chosen here and holds id and digest.

    Raises `Refusal` with `field` leading to the value at fault.
    """
    validate_id(draft.id, "med", field=f"{field}.id")
    if not _SHA256.fullmatch(draft.sha256):
        raise Refusal(RefusalCode.BAD_INPUT, "A SHA-256 has 64 lower-case hexadecimal digits.", field=f"{field}.sha256")
    if draft.md5 is not None and not _MD5.fullmatch(draft.md5):
        raise Refusal(RefusalCode.BAD_INPUT, "An MD5 has 32 lower-case hexadecimal digits.", field=f"{field}.md5")
    if draft.content_type not in KINDS:
        raise Refusal(
            RefusalCode.BAD_INPUT, f"A medium is one of {', '.join(sorted(KINDS))}.", field=f"{field}.contentType"
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
    )


def same_medium(known: Media, announced: Media) -> bool:
    """Whether an id stands for the same thing in both."""

    def identity(media: Media) -> tuple[object, ...]:
        return media.observation_id, media.uploader_id, media.sha256, media.byte_size, media.content_type

    return identity(known) == identity(announced)


PERMITS: tuple[Row, ...] = (
    ("Link", SEEN, "url expiresAt contentType width height"),
    ("Media", SEEN, "id kind state rejection sha256 byteSize contentType capturedAt expectedAt uploadedAt readyAt"),
    ("Media", SEEN, "facts link when observation redactions"),
    ("Media", CLEARED, "device"),
)
