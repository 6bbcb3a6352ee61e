"""Make fixed redactions for the golden tests, and the entries of their histories."""

from schema.core.times import ByteCount
from schema.publication.redactions import (
    BoxOrigin,
    FaceDetection,
    Redaction,
    RedactionBox,
    RedactionEvent,
    RedactionEventKind,
    RedactionRendering,
    RedactionState,
)
from tests.stored.fixed import DIGEST, NOW, OTHER_DIGEST, PATH, fixed_id, minutes
from tests.stored.fixed_records import COVERT


def event(number: int, kind: RedactionEventKind, *, revision: int, by: str | None = None) -> RedactionEvent:
    """Return an entry of a redaction's history with every field filled. Entries of the worker have no person."""
    return RedactionEvent(
        id=fixed_id("evt", number),
        kind=kind,
        at=minutes(number),
        revision=revision,
        box_count=2,
        sha256=DIGEST,
        note="通报用图",
        by_id=by,
        sent_sha256=OTHER_DIGEST if by else None,
        by_capacity=COVERT if by else None,
    )


FACE = RedactionBox(left=0.125, top=0.25, right=0.25, bottom=0.5, origin=BoxOrigin.FACE, confidence=0.875)
DRAWN = RedactionBox(left=0.5, top=0.5, right=0.75, bottom=1.0, origin=BoxOrigin.HAND)
RENDERING = RedactionRendering(
    revision=1,
    sha256=DIGEST,
    byte_size=ByteCount(54_321),
    width=1280,
    height=960,
    rendered_at=minutes(3),
    key=f"redactions/{fixed_id('red', 1)}-1-{DIGEST}.jpg",
)


def whole_redaction(number: int) -> Redaction:
    """Return a redaction with every field filled."""
    return Redaction(
        id=fixed_id("red", number),
        state=RedactionState.APPROVED,
        purpose="通报用图",
        face_detection=FaceDetection.DONE,
        faces=[FACE],
        boxes=[FACE, DRAWN],
        revision=1,
        rendering=RENDERING,
        failure="corrupt",
        requested_at=NOW,
        history=[event(1, RedactionEventKind.REQUESTED, revision=0, by=fixed_id("usr", 4))],
        media_id=fixed_id("med", 1),
        observation_id=fixed_id("obs", 1),
        office_path=PATH,
        requested_by_id=fixed_id("usr", 4),
        corrector_ids=(fixed_id("usr", 4), fixed_id("usr", 5)),
        decided_by_id=fixed_id("usr", 6),
        opening_sha256=OTHER_DIGEST,
        attempts=2,
    )


def requested(number: int) -> Redaction:
    """Return a redaction that was requested `number` minutes after `NOW`."""
    return Redaction(
        id=fixed_id("red", number),
        state=RedactionState.REQUESTED,
        purpose="通报用图",
        face_detection=FaceDetection.PENDING,
        faces=[],
        boxes=[],
        revision=0,
        requested_at=minutes(number),
        history=[],
        media_id=fixed_id("med", 1),
        observation_id=fixed_id("obs", 1),
        office_path=PATH,
        requested_by_id=fixed_id("usr", 4),
        opening_sha256=OTHER_DIGEST,
    )
