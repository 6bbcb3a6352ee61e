"""Define media (影像资料): declared with a digest, uploaded straight to the store, verified there, never changed."""

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


@strawberry.enum(description="The type of a medium (类型).")
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
"""Content types that may be declared, and the kind of each."""


@strawberry.enum(description="The state of a medium (状态).")
class MediaState(enum.Enum):
    EXPECTED = strawberry.enum_value("EXPECTED", description="Declared. The upload is not confirmed yet (待上传).")
    UPLOADED = strawberry.enum_value(
        "UPLOADED", description="The bytes are in the store. They are not verified yet (待核验)."
    )
    READY = strawberry.enum_value("READY", description="The stored bytes match the declaration (已核验).")
    REJECTED = strawberry.enum_value("REJECTED", description="The stored bytes do not match the declaration (不符).")


@strawberry.enum(description="Why a medium was rejected. Upload the right bytes to repair it.")
class MediaRejection(enum.Enum):
    SIZE_MISMATCH = "SIZE_MISMATCH"
    DIGEST_MISMATCH = "DIGEST_MISMATCH"


MOVES = {
    MediaState.EXPECTED: frozenset({MediaState.UPLOADED}),
    MediaState.UPLOADED: frozenset({MediaState.READY, MediaState.REJECTED, MediaState.EXPECTED}),
    MediaState.REJECTED: frozenset({MediaState.UPLOADED}),
    MediaState.READY: frozenset(),
}
"""Allowed transitions. UPLOADED falls back to EXPECTED when the store has lost the bytes."""

ARRIVED = frozenset({MediaState.UPLOADED, MediaState.READY})


@strawberry.enum(description="A rendition of a medium.")
class Rendition(enum.Enum):
    ORIGINAL = strawberry.enum_value("ORIGINAL", description="The bytes that the device sent.")
    LARGE = strawberry.enum_value(
        "LARGE", description="An upright JPEG without metadata. The long side has at most 1280 pixels."
    )
    SMALL = strawberry.enum_value(
        "SMALL", description="An upright JPEG without metadata. The long side has at most 320 pixels."
    )


@strawberry.type(description="A short-lived URL of a medium's bytes. The server logs every link that it issues.")
class Link:
    url: str = strawberry.field(description="GET it before `expiresAt`. It needs no header.")
    expires_at: datetime = strawberry.field(description="When the URL stops working.")
    content_type: str = strawberry.field(description="Content type of the bytes.")
    width: int | None = strawberry.field(description="Width in pixels, if known.", default=None)
    height: int | None = strawberry.field(description="Height in pixels, if known.", default=None)


@dataclass(frozen=True)
class Thumbnail:
    """An upright rendition without metadata: its size in pixels, its key in the store and the digest of its bytes.

    `sha256` is None for thumbnails that are older than this field.
    """

    rendition: Rendition
    width: int
    height: int
    key: str
    sha256: str | None = None


@strawberry.type(description="A photo, video, sound or document of an observation (影像资料).")
class Media(Node, prefix="med"):
    kind: MediaKind = strawberry.field(description="Its type.")
    state: MediaState = strawberry.field(description="Its state.")
    rejection: MediaRejection | None = strawberry.field(description="Why it was rejected.", default=None)
    sha256: str = strawberry.field(
        description="SHA-256 of the original. The phone declares it; the server has verified it once READY."
    )
    byte_size: ByteCount = strawberry.field(description="Size of the original in bytes.")
    content_type: str = strawberry.field(description="The declared content type.")
    captured_at: datetime | None = strawberry.field(
        description="When it was taken, by the phone's clock.", default=None
    )
    expected_at: datetime = strawberry.field(description="When it was declared.")
    uploaded_at: datetime | None = strawberry.field(description="When its upload was confirmed.", default=None)
    ready_at: datetime | None = strawberry.field(description="When its bytes were verified.", default=None)
    facts: MediaFacts | None = strawberry.field(description="What the verified bytes contain.", default=None)
    thumbnails: strawberry.Private[tuple[Thumbnail, ...]] = ()
    observation_id: strawberry.Private[str]
    uploader_id: strawberry.Private[str]
    key: strawberry.Private[str]
    md5: strawberry.Private[str | None] = None
    upload_id: strawberry.Private[str | None] = None
    upload_part_bytes: strawberry.Private[int | None] = None
    """Part size of the open upload. Parts that have arrived keep this size, even if the setting has changed since."""
    upload_used_at: strawberry.Private[datetime | None] = None
    """When slots of the open upload were last issued."""
    is_copy: strawberry.Private[bool] = False
    """The same uploader sent these bytes as another medium: the worker copies them."""
    copy_failed: strawberry.Private[bool] = False
    """The bytes could not be copied, so the phone has to upload them."""
    attempts: strawberry.Private[int] = 0
    decoding_failures: strawberry.Private[int] = 0

    @strawberry.field(
        description="A link to the bytes of one rendition. Null until READY, and if this rendition does not exist."
    )
    async def link(self, info: Info, rendition: Rendition = Rendition.LARGE) -> Link | None:
        return await info.context.load.one(Link, media=self, rendition=rendition)

    async def owner(self, info: Info) -> Owner | None:
        observation = await info.context.load.one(OBSERVATION, self.observation_id)
        return await observation.owner(info) if observation else None

    @strawberry.field(
        description="Maker, model and software of the device. Reading it needs clearance.", extensions=[IdentityOnly()]
    )
    async def device(self) -> str | None:
        facts = self.facts
        parts = (facts.make, facts.model, facts.software) if facts else ()
        return " / ".join(part for part in parts if part) or None

    @strawberry.field(description="The time to show for it, with the clock it is from and the reason (显示时间).")
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

    @strawberry.field(description="Redacted copies, oldest first. Only officers see those not approved yet (脱敏发布).")
    async def redactions(
        self, info: Info
    ) -> list[Annotated["Redaction", strawberry.lazy("schema.publication.redactions")]]:
        return await info.context.load.related(REDACTION, media=self.id)


@strawberry.input(description="A medium that the phone will upload (影像资料).")
class MediaDraft:
    id: strawberry.ID = strawberry.field(description="Made by the phone: med_ and a UUIDv7.")
    sha256: str = strawberry.field(description="SHA-256 of the bytes, 64 lower-case hexadecimal digits.")
    byte_size: ByteCount = strawberry.field(description="Size in bytes.")
    content_type: str = strawberry.field(description="Content type, such as image/jpeg. Detect it from the content.")
    md5: str | None = strawberry.field(
        description="MD5 of the bytes, 32 lower-case hexadecimal digits. "
        "A store without SHA-256 uses it to refuse wrong bytes.",
        default=None,
    )
    captured_at: datetime | None = strawberry.field(description="When it was taken.", default=None)


def media_from_draft(
    draft: MediaDraft, *, observation_id: str, uploader_id: str, now: datetime, max_bytes: int, field: str
) -> Media:
    """Build the expected medium of a draft; its object key contains its id and digest.

    Raise `Refusal` if a value is invalid; `field` is the path of the draft.
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
    )


def is_same_medium(known: Media, announced: Media) -> bool:
    """Compare what an id stands for: observation, uploader, bytes and declared type."""

    def identity(media: Media) -> tuple[object, ...]:
        return media.observation_id, media.uploader_id, media.sha256, media.byte_size, media.content_type

    return identity(known) == identity(announced)


PERMITS: tuple[Row, ...] = (
    ("Link", SEEN, "url expiresAt contentType width height"),
    ("Media", SEEN, "id kind state rejection sha256 byteSize contentType capturedAt expectedAt uploadedAt readyAt"),
    ("Media", SEEN, "facts link when observation redactions"),
    ("Media", CLEARED, "device"),
)
