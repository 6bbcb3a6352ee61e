"""Define media (影像资料): the photos, videos, sounds and documents of observations, and of replies to notices.

A phone declares a medium with its SHA-256, and uploads the bytes directly to the object store. The worker verifies the
stored bytes. Verified bytes never change.
"""

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from schema.access.guards import IdentityOnly
from schema.access.permissions import CLEARED, SEEN, Row
from schema.access.viewers import Owner
from schema.core.context import Info, Kind
from schema.core.nodes import Node
from schema.core.times import ByteCount, to_minute
from schema.media.media_facts import MediaFacts
from schema.media.shown_times import Clocks, ShownTime, time_of_medium

if TYPE_CHECKING:
    from schema.fieldwork.observations import Observation
    from schema.publication.redactions import Redaction

OBSERVATION: "Kind[Observation]" = Kind("Observation")
REDACTION: "Kind[Redaction]" = Kind("Redaction")


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
"""Content types that a phone may declare, with the kind of medium of each."""


@strawberry.enum(description="The state of a medium (状态).")
class MediaState(enum.Enum):
    EXPECTED = strawberry.enum_value(
        "EXPECTED", description="The phone has declared the medium. The upload is not confirmed yet (待上传)."
    )
    UPLOADED = strawberry.enum_value(
        "UPLOADED", description="The bytes are in the object store. They are not verified yet (待核验)."
    )
    READY = strawberry.enum_value("READY", description="The stored bytes have the declared size and SHA-256 (已核验).")
    REJECTED = strawberry.enum_value(
        "REJECTED", description="The stored bytes do not have the declared size or SHA-256 (不符)."
    )


@strawberry.enum(description="Why the server rejected the stored bytes. To repair the medium, upload the right bytes.")
class MediaRejection(enum.Enum):
    SIZE_MISMATCH = "SIZE_MISMATCH"
    DIGEST_MISMATCH = "DIGEST_MISMATCH"


MOVES = {
    MediaState.EXPECTED: frozenset({MediaState.UPLOADED}),
    MediaState.UPLOADED: frozenset({MediaState.READY, MediaState.REJECTED, MediaState.EXPECTED}),
    MediaState.REJECTED: frozenset({MediaState.UPLOADED}),
    MediaState.READY: frozenset(),
}
"""The states that may follow each state. UPLOADED goes back to EXPECTED if the object store does not have the bytes."""

ARRIVED = frozenset({MediaState.UPLOADED, MediaState.READY})


@strawberry.enum(description="A version of a medium: the original or a thumbnail.")
class Rendition(enum.Enum):
    ORIGINAL = strawberry.enum_value("ORIGINAL", description="The bytes that the device sent.")
    LARGE = strawberry.enum_value(
        "LARGE", description="An upright JPEG without metadata. The long side has at most 1280 pixels."
    )
    SMALL = strawberry.enum_value(
        "SMALL", description="An upright JPEG without metadata. The long side has at most 320 pixels."
    )


@strawberry.type(
    description="A short-lived URL for downloading a rendition or a redacted copy. The server logs who gets which link."
)
class Link:
    url: str = strawberry.field(description="The URL. Fetch it by GET before `expiresAt`. No header is needed.")
    expires_at: datetime = strawberry.field(description="When the URL stops working.")
    content_type: str = strawberry.field(description="Content type of the bytes.")
    width: int | None = strawberry.field(description="Width in pixels, if known.", default=None)
    height: int | None = strawberry.field(description="Height in pixels, if known.", default=None)


@dataclass(frozen=True)
class Thumbnail:
    """An upright JPEG without metadata: its size in pixels, its key in the object store and the SHA-256 of its bytes.

    `sha256` is None for thumbnails that were made before this field existed.
    """

    rendition: Rendition
    width: int
    height: int
    key: str
    sha256: str | None = None


@strawberry.type(
    description="A photo, video, sound or document of an observation, or of a unit's reply to a notice (影像资料)."
)
class Media(Node, prefix="med"):
    kind: MediaKind = strawberry.field(description="Type of the medium.")
    state: MediaState = strawberry.field(description="State of the medium.")
    rejection: MediaRejection | None = strawberry.field(
        description="Why the server rejected the stored bytes. Null unless `state` is REJECTED.", default=None
    )
    sha256: str = strawberry.field(
        description="SHA-256 of the original, as the phone declared it. If `state` is READY, the server has verified it."
    )
    byte_size: ByteCount = strawberry.field(description="Size of the original in bytes.")
    content_type: str = strawberry.field(description="Content type that the phone declared.")
    captured_at: datetime | None = strawberry.field(
        description="When the photo or recording was made, by the phone's clock.", default=None
    )
    expected_at: strawberry.Private[datetime]
    uploaded_at: strawberry.Private[datetime | None] = None
    ready_at: strawberry.Private[datetime | None] = None
    facts: MediaFacts | None = strawberry.field(
        description="What the verified bytes contain. Null until `state` is READY.", default=None
    )
    thumbnails: strawberry.Private[tuple[Thumbnail, ...]] = ()
    observation_id: strawberry.Private[str | None]
    """None for evidence of a unit's reply to a notice."""
    uploader_id: strawberry.Private[str]
    key: strawberry.Private[str]
    md5: strawberry.Private[str | None] = None
    upload_id: strawberry.Private[str | None] = None
    upload_part_bytes: strawberry.Private[int | None] = None
    """Part size of the open multipart upload. A later change of the setting does not affect this upload."""
    upload_used_at: strawberry.Private[datetime | None] = None
    """When the server last signed URLs for the open multipart upload."""
    is_copy: strawberry.Private[bool] = False
    """True if the uploader sent the same bytes as another medium. The worker then copies the bytes of that medium."""
    copy_failed: strawberry.Private[bool] = False
    """True if the worker could not copy the bytes. The phone then has to upload them."""
    attempts: strawberry.Private[int] = 0
    decoding_failures: strawberry.Private[int] = 0
    notice_id: strawberry.Private[str | None] = None

    @strawberry.field(name="expectedAt", description="When the phone declared the medium, for others to the minute.")
    def shown_expected_at(self, info: Info) -> datetime:
        return self._told(info, self.expected_at)

    @strawberry.field(name="uploadedAt", description="When the upload was confirmed, for others to the minute.")
    def shown_uploaded_at(self, info: Info) -> datetime | None:
        return self._told(info, self.uploaded_at) if self.uploaded_at else None

    @strawberry.field(name="readyAt", description="When the server had verified the bytes, for others to the minute.")
    def shown_ready_at(self, info: Info) -> datetime | None:
        return self._told(info, self.ready_at) if self.ready_at else None

    def _told(self, info: Info, at: datetime) -> datetime:
        """Cut a time to the minute, except for the uploader. Exact times show which media one phone sent together."""
        viewer = info.context.viewer
        return at if viewer is not None and viewer.user_id == self.uploader_id else to_minute(at)

    @strawberry.field(description="A link to one rendition. Null unless the medium is READY and has this rendition.")
    async def link(self, info: Info, rendition: Rendition = Rendition.LARGE) -> Link | None:
        return await info.context.load.one(Link, media=self, rendition=rendition)

    async def owner(self, info: Info) -> Owner | None:
        observation = await info.context.load.one(OBSERVATION, self.observation_id)
        return await observation.owner(info) if observation else None

    @strawberry.field(
        description="Maker, model and software of the device. Only for the author of the observation and viewers with "
        "clearance. Null for evidence of a reply to a notice.",
        extensions=[IdentityOnly()],
    )
    async def device(self) -> str | None:
        facts = self.facts
        parts = (facts.make, facts.model, facts.software) if facts else ()
        return " / ".join(part for part in parts if part) or None

    @strawberry.field(
        description="The time to show for the medium, the clock that gives this time, and the reason (显示时间)."
    )
    async def when(self, info: Info) -> ShownTime:
        observation = await info.context.load.one(OBSERVATION, self.observation_id)
        offset = observation.content.captured_offset_minutes if observation else None
        skew = observation.clock_skew if observation else None
        return time_of_medium(
            local=self.facts.taken_at_local if self.facts else None,
            file_offset_minutes=self.facts.taken_offset_minutes if self.facts else None,
            device_offset_minutes=offset,
            announced=Clocks(self.captured_at, offset or 0, self.expected_at, skew=skew) if self.captured_at else None,
            expected_at=self._told(info, self.expected_at),
        )

    @strawberry.field(
        description="The observation that the medium belongs to. Null for evidence of a reply to a notice."
    )
    async def observation(
        self, info: Info
    ) -> Annotated["Observation", strawberry.lazy("schema.fieldwork.observations")] | None:
        return await info.context.load.one(OBSERVATION, self.observation_id)

    @strawberry.field(
        description="Redacted copies of the photo, oldest first. Only officers see copies that are not approved (脱敏发布)."
    )
    async def redactions(
        self, info: Info
    ) -> list[Annotated["Redaction", strawberry.lazy("schema.publication.redactions")]]:
        return await info.context.load.related(REDACTION, media=self.id)


PERMITS: tuple[Row, ...] = (
    ("Link", SEEN, "url expiresAt contentType width height"),
    ("Media", SEEN, "id kind state rejection sha256 byteSize contentType capturedAt expectedAt uploadedAt readyAt"),
    ("Media", SEEN, "facts link when observation redactions"),
    ("Media", CLEARED, "device"),
)
