"""Convert what the decoder reads to the media facts of the API."""

from schema.core.times import ByteCount
from schema.geography.positions import Datum, GeoPoint, GeoPointInput, PositionSource, locate
from schema.media.media_facts import MediaDamage, MediaFacts, MotionVideo, PositionAbsence
from storage.formats.results import ReadResult

SOURCES = {"XMP": PositionSource.XMP, "QUICKTIME": PositionSource.QUICKTIME}


def facts_of(picture: ReadResult) -> MediaFacts:
    """Convert the decoder's result to the API's media facts."""
    position = _position(picture)
    located = locate(position) if position else None
    stated = (None, None) if position else _stated(picture)
    motion = None
    if picture.motion_offset is not None and picture.motion_bytes:
        motion = MotionVideo(offset=ByteCount(picture.motion_offset), byte_size=ByteCount(picture.motion_bytes))
    return MediaFacts(
        content_type=picture.content_type,
        width=picture.width,
        height=picture.height,
        orientation=picture.orientation,
        rotation=picture.rotation,
        display_width=picture.display_width,
        display_height=picture.display_height,
        taken_at_local=picture.taken_at.isoformat(timespec="milliseconds") if picture.taken_at else None,
        taken_offset_minutes=picture.taken_offset_minutes,
        created_at=picture.created_at,
        position=located,
        position_absent=_position_absent(picture, located),
        stated_latitude=stated[0],
        stated_longitude=stated[1],
        duration_ms=picture.duration_ms,
        page_count=picture.page_count,
        is_encrypted=picture.is_encrypted,
        motion_video=motion,
        damage=MediaDamage(picture.damage.value) if picture.damage else None,
        make=picture.make,
        model=picture.model,
        software=picture.software,
    )


def _position(picture: ReadResult) -> GeoPointInput | None:
    """Return the position that the file states, or None.

    If the position's datum can't be converted, return None, because the position would be in the wrong place.
    """
    position = picture.position
    datum = _datum(position.datum) if position else None
    if position is None or datum is None:
        return None
    return GeoPointInput(
        latitude=position.latitude,
        longitude=position.longitude,
        datum=datum,
        accuracy_metres=position.accuracy_metres,
        altitude_metres=position.altitude_metres,
        source=SOURCES.get(picture.position_source or "", PositionSource.EXIF),
        fixed_at=position.fixed_at,
    )


def _datum(name: str | None) -> Datum | None:
    """Return the datum that GPSMapDatum names, or None if unknown. By the EXIF standard, no name means WGS-84."""
    letters = "".join(letter for letter in (name or "").upper() if letter.isalnum())
    names = {"": Datum.WGS84, "WGS84": Datum.WGS84, "GCJ02": Datum.GCJ02, "BD09": Datum.BD09}
    # CGCS2000 (China) and the ITRF frames agree with WGS-84 within a metre.
    return names.get(letters, Datum.WGS84 if letters.startswith(("WGS84", "WGS1984", "CGCS2000", "ITRF")) else None)


def _stated(picture: ReadResult) -> tuple[float, float] | tuple[None, None]:
    if picture.position:  # its datum can't be converted
        return picture.position.latitude, picture.position.longitude
    return picture.stated or (None, None)


def _position_absent(picture: ReadResult, located: GeoPoint | None) -> PositionAbsence | None:
    if picture.position_problem:
        return PositionAbsence(picture.position_problem.value)
    if located and located.problem:
        return PositionAbsence(str(located.problem.value).lower())
    return PositionAbsence.UNKNOWN_DATUM if picture.position and _datum(picture.position.datum) is None else None
