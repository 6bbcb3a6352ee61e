"""Media facts: what the verified bytes of a medium say of themselves.

Reading them is left to `storage`; what in them doesn't fit the observation, to whoever checks it.
"""

from datetime import datetime, timedelta, timezone

import strawberry

from schema.places import Datum, GeoPoint


@strawberry.type(description="What a medium says of itself, read from the verified bytes.")
class MediaFacts:
    content_type: str | None = strawberry.field(
        description="Type by content; the declared one may differ.", default=None
    )
    width: int | None = strawberry.field(description="Pixels as coded, before orientation.", default=None)
    height: int | None = strawberry.field(description="Pixels as coded, before orientation.", default=None)
    orientation: int | None = strawberry.field(
        description="EXIF orientation as stored; outside 1 to 8 it means 1.", default=None
    )
    display_width: int | None = strawberry.field(description="Pixels when upright.", default=None)
    display_height: int | None = strawberry.field(description="Pixels when upright.", default=None)
    taken_at_local: str | None = strawberry.field(
        description="The camera's own clock, `2026-11-22T10:03:04.120`, without zone.", default=None
    )
    taken_offset_minutes: int | None = strawberry.field(
        description="Offset of that clock east of Greenwich, where the file says it.", default=None
    )
    position: strawberry.Private[GeoPoint | None] = None
    position_absent: str | None = strawberry.field(description="Why there is no position to use.", default=None)
    damage: str | None = strawberry.field(
        description="Why the picture can't be shown whole; it is kept as evidence all the same.", default=None
    )
    make: strawberry.Private[str | None] = None
    model: strawberry.Private[str | None] = None
    software: strawberry.Private[str | None] = None

    @strawberry.field(
        name="position",
        description="Position in the file (EXIF, else XMP), in the datum of the map that shows it (坐标).",
    )
    def position_in(self, datum: Datum = Datum.WGS84) -> GeoPoint | None:
        return self.position.seen_in(datum) if self.position else None

    @strawberry.field(description="The instant that follows from the two fields above, where both are known.")
    def taken_at(self) -> datetime | None:
        if self.taken_at_local is None or self.taken_offset_minutes is None:
            return None
        zone = timezone(timedelta(minutes=self.taken_offset_minutes))
        return datetime.fromisoformat(self.taken_at_local).replace(tzinfo=zone)
