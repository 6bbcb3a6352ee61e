"""Media facts: what the verified bytes of a medium say of themselves.

Reading them is left to `storage`; what in them doesn't fit the observation, to whoever checks it.
"""

import enum
from datetime import datetime, timedelta, timezone

import strawberry

from schema.access.permissions import SEEN, Row
from schema.core.times import ByteCount
from schema.geography.positions import Datum, GeoPoint


@strawberry.enum(description="Why a medium can't be shown whole; it is kept as evidence all the same (损坏原因).")
class MediaDamage(enum.Enum):
    EMPTY = strawberry.enum_value("empty", description="It has no bytes.")
    UNSUPPORTED = strawberry.enum_value(
        "unsupported", description="Of no type that can be shown; `contentType` is null where it isn't known at all."
    )
    TRUNCATED = strawberry.enum_value(
        "truncated",
        description="It ends too early; what there is, is shown (不完整). A recording that was broken off before its index "
        "was written can't be shown.",
    )
    CORRUPT = strawberry.enum_value(
        "corrupt", description="Its content does not decode, or not wholly, or was never written (已损坏)."
    )
    ENCRYPTED = strawberry.enum_value("encrypted", description="It opens with a password only (已加密).")
    TOO_MANY_PIXELS = strawberry.enum_value("too_many_pixels", description="It would not fit into memory when decoded.")
    OUT_OF_MEMORY = strawberry.enum_value("out_of_memory", description="Reading it took more memory than it may have.")
    TIMED_OUT = strawberry.enum_value("timed_out", description="Reading it took longer than it may.")
    CRASHED = strawberry.enum_value("crashed", description="Reading it ended the process that did so.")


@strawberry.enum(description="Why a medium has no position of its own that may be used (无有效坐标的原因).")
class PositionAbsence(enum.Enum):
    ABSENT = strawberry.enum_value("absent", description="The file names none.")
    EMPTY = strawberry.enum_value("empty", description="Room for one was laid out and never filled.")
    MALFORMED = strawberry.enum_value("malformed", description="What stands there can't be read as a position.")
    NO_REFERENCES = strawberry.enum_value("no_references", description="North or south, east or west is not said.")
    ZERO_DENOMINATOR = strawberry.enum_value("zero_denominator", description="Its figures are divided by zero.")
    OUT_OF_RANGE = strawberry.enum_value("out_of_range", description="It is off the globe.")
    NULL_ISLAND = strawberry.enum_value(
        "null_island", description="It is 0, 0: what devices put for what they don't know."
    )
    SWAPPED_AXES = strawberry.enum_value(
        "swapped_axes", description="Latitude and longitude are exchanged: only so does it lie in China."
    )
    NO_FIX = strawberry.enum_value("no_fix", description="Its accuracy is negative: what systems put for no fix.")
    VOID_FIX = strawberry.enum_value("void_fix", description="The device marks it as void (GPSStatus V, 定位无效).")
    UNKNOWN_DATUM = strawberry.enum_value("unknown_datum", description="Its datum can't be converted to WGS-84.")


@strawberry.type(description="The video behind a motion photo's still, as bytes of the original (动态照片).")
class MotionVideo:
    offset: ByteCount = strawberry.field(description="Where it begins, bytes from the original's beginning.")
    byte_size: ByteCount = strawberry.field(description="Size, bytes.")


@strawberry.type(description="What a medium says of itself, read from the verified bytes.")
class MediaFacts:
    content_type: str | None = strawberry.field(
        description="Type by content; the declared one may differ.", default=None
    )
    width: int | None = strawberry.field(description="Pixels as coded, before any turn.", default=None)
    height: int | None = strawberry.field(description="Pixels as coded, before any turn.", default=None)
    orientation: int | None = strawberry.field(
        description="EXIF orientation as stored; outside 1 to 8 it means 1, and HEIC and AVIF don't heed it.",
        default=None,
    )
    rotation: int | None = strawberry.field(
        description="Degrees clockwise by which HEIC, AVIF or a video says that it is to be turned: 0, 90, 180 or 270.",
        default=None,
    )
    display_width: int | None = strawberry.field(description="Pixels when upright.", default=None)
    display_height: int | None = strawberry.field(description="Pixels when upright.", default=None)
    taken_at_local: str | None = strawberry.field(
        description="The camera's own clock, `2026-11-22T10:03:04.120`, without zone.", default=None
    )
    taken_offset_minutes: int | None = strawberry.field(
        description="Offset of that clock east of Greenwich, where the file says it.", default=None
    )
    created_at: datetime | None = strawberry.field(
        description="Creation time in the header of a video or sound: of its last export, where there was one.",
        default=None,
    )
    position: strawberry.Private[GeoPoint | None] = None
    position_absent: PositionAbsence | None = strawberry.field(
        description="Why there is no position to use.", default=None
    )
    stated_latitude: float | None = strawberry.field(
        description="Degrees that `positionAbsent` keeps from being used, as read; never to be shown as a place.",
        default=None,
    )
    stated_longitude: float | None = strawberry.field(
        description="Degrees that `positionAbsent` keeps from being used, as read; never to be shown as a place.",
        default=None,
    )
    duration_ms: int | None = strawberry.field(
        description="How long a video or sound lasts, milliseconds.", default=None
    )
    page_count: int | None = strawberry.field(description="Pages of a document.", default=None)
    is_encrypted: bool | None = strawberry.field(description="A document is encrypted, openly or not.", default=None)
    motion_video: MotionVideo | None = strawberry.field(
        description="The video that a motion photo brings along; the still is what is shown.", default=None
    )
    damage: MediaDamage | None = strawberry.field(
        description="Why it can't be shown whole; it is kept as evidence all the same.", default=None
    )
    make: strawberry.Private[str | None] = None
    model: strawberry.Private[str | None] = None
    software: strawberry.Private[str | None] = None

    @strawberry.field(
        name="position",
        description="Position in the file (EXIF, else XMP), in the datum of the map that shows it (坐标).",
    )
    def position_in(self, datum: Datum = Datum.WGS84) -> GeoPoint | None:
        return self.position.to_datum(datum) if self.position else None

    @strawberry.field(description="The instant that follows from the two fields above, where both are known.")
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
