"""Rebuild what a device sent, from the stored observation, to prove the digest in the receipt."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import rfc8785
import strawberry

from schema.access.permissions import SEEN, Row
from schema.core.digests import canonical
from schema.fieldwork.drafts import ComplainantInput, ObservationDraft
from schema.fieldwork.observations import Observation, ObservationContent, ObservationRevision
from schema.geography.positions import GeoPoint, GeoPointInput
from schema.media.media import Media
from schema.media.media_drafts import MediaDraft


def submission_of(observation: Observation, revision: ObservationRevision, media: Mapping[str, Media]) -> bytes | None:
    """Return the canonical JSON of what the device sent for this revision.

    Return None if no rebuilt JSON has the revision's SHA-256. A correction may list the new media only, or the earlier
    media too. Both forms are tried, and the digest shows which form was sent.
    """
    before = {
        id for earlier in observation.revisions if earlier.number < revision.number for id in earlier.content.media_ids
    }
    added = tuple(id for id in revision.content.media_ids if id not in before)
    for ids in dict.fromkeys((revision.content.media_ids, added)):
        if not all(id in media for id in ids):
            continue
        body = rfc8785.dumps(_sent(observation, revision, [media[id] for id in ids]))
        if hashlib.sha256(body).hexdigest() == revision.content_sha256:
            return body
    return None


def _sent(observation: Observation, revision: ObservationRevision, media: Sequence[Media]) -> Any:
    draft = canonical(draft_of(observation.id, revision.content, media))
    if revision.number == 1:
        return draft
    return {"id": revision.id, "reason": revision.reason, "content": draft}


def draft_of(id: str, content: ObservationContent, media: Sequence[Media]) -> ObservationDraft:
    """Return the draft that has `content` and announces `media`. This is the inverse of `content_of`."""
    complainant = content.complainant
    return ObservationDraft(
        id=strawberry.ID(id),
        method=content.method,
        category=content.category,
        severity=content.severity,
        text=content.text,
        captured_at=content.captured_at,
        position=_position(content.position) if content.position else None,
        unit=content.claimed_unit,
        monitoring_point=content.claimed_monitoring_point,
        assignment_id=strawberry.ID(content.assignment_id) if content.assignment_id else None,
        staff_seen=content.staff_seen,
        device_sequence=content.device_sequence,
        complainant=ComplainantInput(
            name=complainant.name, contact=complainant.contact, is_anonymous=complainant.is_anonymous
        )
        if complainant
        else None,
        media=[
            MediaDraft(
                id=medium.id,
                sha256=medium.sha256,
                byte_size=medium.byte_size,
                content_type=medium.content_type,
                md5=medium.md5,
                captured_at=medium.captured_at,
            )
            for medium in media
        ],
    )


def _position(point: GeoPoint) -> GeoPointInput:
    return GeoPointInput(
        latitude=point.original_latitude,
        longitude=point.original_longitude,
        datum=point.original_datum,
        accuracy_metres=point.accuracy_metres,
        altitude_metres=point.altitude_metres,
        source=point.source,
        is_mock=point.is_mock,
        fixed_at=point.fixed_at,
    )


PERMITS: tuple[Row, ...] = (
    ("ReviseObservationPayload", SEEN, "observation uploads"),
    ("SubmitObservationsPayload", SEEN, "results"),
)
