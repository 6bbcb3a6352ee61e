"""Define media facts: what the verified bytes of a medium contain."""

import enum
from datetime import datetime, timedelta, timezone

import strawberry

from schema.access.permissions import SEEN, Row
from schema.core.times import ByteCount
from schema.geography.positions import Datum, GeoPoint


@strawberry.enum(
    description="Why a medium can't be shown in full. A damaged medium is still kept as evidence (损坏原因)."
)
class MediaDamage(enum.Enum):
    EMPTY = strawberry.enum_value("empty", description="The file has no bytes.")
    UNSUPPORTED = strawberry.enum_value(
        "unsupported", description="Files of this type can't be shown. `contentType` is null if the type is unknown."
    )
    TRUNCATED = strawberry.enum_value(
        "truncated",
        description="The file ends too early. The part that exists is shown (不完整). A recording can't be shown at "
        "all if it broke off before its index was written.",
    )
    CORRUPT = strawberry.enum_value(
        "corrupt", description="Some or all of the content can't be decoded, or was never written (已损坏)."
    )
    ENCRYPTED = strawberry.enum_value("encrypted", description="The file opens only with a password (已加密).")
    TOO_MANY_PIXELS = strawberry.enum_value(
        "too_many_pixels", description="The decoded picture would not fit into memory."
    )
    OUT_OF_MEMORY = strawberry.enum_value("out_of_memory", description="Reading the file exceeded the memory limit.")
    TIMED_OUT = strawberry.enum_value("timed_out", description="Reading the file exceeded the time limit.")
    CRASHED = strawberry.enum_value("crashed", description="The process that read the file crashed.")


@strawberry.enum(description="Why the file of a medium has no usable position (无有效坐标的原因).")
class PositionAbsence(enum.Enum):
    ABSENT = strawberry.enum_value("absent", description="The file has no position.")
    EMPTY = strawberry.enum_value("empty", description="The file has position fields, but they were never filled in.")
    MALFORMED = strawberry.enum_value("malformed", description="The value in the file can't be read as a position.")
    NO_REFERENCES = strawberry.enum_value(
        "no_references",
        description="The file does not say whether the latitude is north or south, or whether the longitude is east or west.",
    )
    ZERO_DENOMINATOR = strawberry.enum_value(
        "zero_denominator", description="A number of the position is a fraction with the denominator 0."
    )
    OUT_OF_RANGE = strawberry.enum_value("out_of_range", description="The latitude or the longitude is out of range.")
    NULL_ISLAND = strawberry.enum_value(
        "null_island",
        description="The position is within 3 km of 0, 0. Devices write 0, 0 when they do not know the position.",
    )
    SWAPPED_AXES = strawberry.enum_value(
        "swapped_axes",
        description="Latitude and longitude seem to be exchanged: the position lies in China only if they are exchanged back.",
    )
    NO_FIX = strawberry.enum_value(
        "no_fix", description="The accuracy is negative. Systems write a negative accuracy when they have no fix."
    )
    VOID_FIX = strawberry.enum_value(
        "void_fix", description="The device marked the position as void (GPSStatus V, 定位无效)."
    )
    UNKNOWN_DATUM = strawberry.enum_value(
        "unknown_datum", description="The datum of the position can't be converted to WGS-84."
    )


@strawberry.type(description="The video in a motion photo, as a byte range of the original (动态照片).")
class MotionVideo:
    offset: ByteCount = strawberry.field(
        description="Offset of the video's first byte from the beginning of the original."
    )
    byte_size: ByteCount = strawberry.field(description="Size of the video in bytes.")


@strawberry.type(description="What the verified bytes of a medium contain.")
class MediaFacts:
    content_type: str | None = strawberry.field(
        description="Content type, detected from the bytes. The declared content type may differ.", default=None
    )
    width: int | None = strawberry.field(description="Encoded width in pixels, before any rotation.", default=None)
    height: int | None = strawberry.field(description="Encoded height in pixels, before any rotation.", default=None)
    orientation: int | None = strawberry.field(
        description="EXIF orientation that is stored in the file. A value outside 1 to 8 means 1. HEIC and AVIF "
        "ignore this value.",
        default=None,
    )
    rotation: int | None = strawberry.field(
        description="The rotation that an HEIC, AVIF or video file asks for, in degrees clockwise: 0, 90, 180 or 270.",
        default=None,
    )
    display_width: int | None = strawberry.field(description="Width of the upright picture in pixels.", default=None)
    display_height: int | None = strawberry.field(description="Height of the upright picture in pixels.", default=None)
    taken_at_local: str | None = strawberry.field(
        description="Local time on the camera's clock when the photo or recording was made, without UTC offset, such "
        "as `2026-11-22T10:03:04.120`.",
        default=None,
    )
    taken_offset_minutes: int | None = strawberry.field(
        description="UTC offset of `takenAtLocal`, in minutes east of Greenwich. Null if the file does not say it.",
        default=None,
    )
    created_at: datetime | None = strawberry.field(
        description="Creation time in the header of a video or sound. An export of the file changes this time.",
        default=None,
    )
    position: strawberry.Private[GeoPoint | None] = None
    position_absent: PositionAbsence | None = strawberry.field(
        description="Why the file has no usable position.", default=None
    )
    stated_latitude: float | None = strawberry.field(
        description="Latitude that the file states but that is unusable, in degrees. `positionAbsent` says why. Never "
        "show it as a place.",
        default=None,
    )
    stated_longitude: float | None = strawberry.field(
        description="Longitude that the file states but that is unusable, in degrees. `positionAbsent` says why. "
        "Never show it as a place.",
        default=None,
    )
    duration_ms: int | None = strawberry.field(
        description="Duration of a video or sound in milliseconds.", default=None
    )
    page_count: int | None = strawberry.field(description="Number of pages of a document.", default=None)
    is_encrypted: bool | None = strawberry.field(
        description="Whether the document is encrypted. An encrypted document may still open without a password.",
        default=None,
    )
    motion_video: MotionVideo | None = strawberry.field(
        description="The video inside a motion photo. The thumbnails show the still picture.", default=None
    )
    damage: MediaDamage | None = strawberry.field(
        description="Why the medium can't be shown in full. A damaged medium is still kept as evidence.", default=None
    )
    make: strawberry.Private[str | None] = None
    model: strawberry.Private[str | None] = None
    software: strawberry.Private[str | None] = None

    @strawberry.field(
        name="position",
        description="Position in the file, in the requested datum. It comes from EXIF or from a video's tags, "
        "otherwise from XMP (坐标).",
    )
    def position_in(self, datum: Datum = Datum.WGS84) -> GeoPoint | None:
        return self.position.to_datum(datum) if self.position else None

    @strawberry.field(description="The instant of `takenAtLocal`. Null unless `takenOffsetMinutes` is known.")
    def taken_at(self) -> datetime | None:
        if self.taken_at_local is None or self.taken_offset_minutes is None:
            return None
        zone = timezone(timedelta(minutes=self.taken_offset_minutes))
        return datetime.fromisoformat(self.taken_at_local).replace(tzinfo=zone)


PERMITS: tuple[Row, ...] = (
    ("MediaFacts", SEEN, "contentType width height orientation rotation displayWidth displayHeight takenAtLocal"),
    ("MediaFacts", SEEN, "takenOffsetMinutes takenAt createdAt position positionAbsent statedLatitude"),
    ("MediaFacts", SEEN, "statedLongitude durationMs pageCount isEncrypted motionVideo damage"),
    ("MotionVideo", SEEN, "offset byteSize"),
)
