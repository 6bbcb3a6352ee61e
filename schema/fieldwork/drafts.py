"""Drafts: observations as a phone's outbox holds them, how each is validate_id, and how each settles.

What is stored is in `observations.py`; loading what a batch needs and writing it is left to `api` and `storage`.
"""

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta

import strawberry

from schema.access.permissions import SEEN, Row
from schema.access.viewers import COVERT_ROLES, Role
from schema.core.ids import validate_id
from schema.core.refusals import NextStep, Refusal, RefusalCode, Refused
from schema.core.times import offset_minutes, to_millis
from schema.fieldwork.observations import (
    METHODS_OF,
    Category,
    Complainant,
    Method,
    Observation,
    ObservationContent,
    ObservationRevision,
    Receipt,
    Severity,
)
from schema.fieldwork.placement import Placed
from schema.geography.positions import GeoPointInput, locate
from schema.media.media import MediaDraft
from schema.media.uploads import UploadSlot

MAX_TEXT = 20_000
MAX_MEDIA = 100
MAX_NAME = 500
MAX_DRAFTS = 50


@strawberry.input(description="Who complained (投诉人).")
class ComplainantInput:
    name: str | None = strawberry.field(description="Name; leave out when anonymous.", default=None)
    contact: str | None = strawberry.field(description="How to reach the person.", default=None)
    is_anonymous: bool = strawberry.field(description="Wants not to be named to anybody (匿名).", default=False)


@strawberry.input(description="An observation as a phone's outbox holds it.")
class ObservationDraft:
    id: strawberry.ID = strawberry.field(description="Made by the phone: obs_ and a UUIDv7. The key of every replay.")
    method: Method = strawberry.field(description="How it came to be seen (方式).")
    category: Category = strawberry.field(description="What was seen (问题类别).")
    severity: Severity = strawberry.field(description="How grave it is (严重程度).")
    text: str = strawberry.field(description="In the author's words, up to 20,000 characters.", default="")
    captured_at: datetime = strawberry.field(description="When it was seen, with the device's offset.")
    position: GeoPointInput | None = strawberry.field(description="Where it was seen.", default=None)
    unit: str | None = strawberry.field(
        description="Unit seen: id, code or former code; unknown ones are kept.", default=None
    )
    monitoring_point: str | None = strawberry.field(description="Monitoring point: id or code.", default=None)
    assignment_id: strawberry.ID | None = strawberry.field(description="The assignment that it answers.", default=None)
    staff_seen: str | None = strawberry.field(description="Staff member seen: name, badge or looks.", default=None)
    device_sequence: int | None = strawberry.field(description="The device's own running number.", default=None)
    complainant: ComplainantInput | None = strawberry.field(
        description="Who complained (COMPLAINT only).", default=None
    )
    media: list[MediaDraft] = strawberry.field(
        description="What the phone will upload; at most 100.", default_factory=list
    )


@strawberry.enum(description="How one draft of a batch settled.")
class Outcome(enum.Enum):
    ACCEPTED = strawberry.enum_value("ACCEPTED", description="Stored on a majority; the phone may let go of it.")
    DUPLICATE = strawberry.enum_value("DUPLICATE", description="Stored before; the same receipt.")
    REFUSED = strawberry.enum_value("REFUSED", description="Not stored; `refusal` says why and what next.")


@strawberry.type(description="How one draft settled; results stand in the order of the drafts.")
class DraftResult:
    id: str | None = strawberry.field(description="The draft's id as sent; null where none could be read.")
    outcome: Outcome = strawberry.field(description="How it settled.")
    receipt: Receipt | None = strawberry.field(description="Proof, when accepted or duplicate.", default=None)
    observation: Observation | None = strawberry.field(description="What is stored.", default=None)
    uploads: list[UploadSlot] = strawberry.field(
        description="Where to put each medium that has not arrived; larger ones (MULTIPART) ask `requestUploads`.",
        default_factory=list,
    )
    refusal: Refused | None = strawberry.field(description="Why it was refused.", default=None)


@dataclass(frozen=True)
class UnreadableDraft:
    """A draft whose value could not be read as an ObservationDraft: its place in the batch, and what is wrong."""

    index: int
    id: str | None
    message: str
    field: str | None


@dataclass(frozen=True)
class Author:
    """Who submits, for which office, and how far the device's clock is ahead: what a draft needs to know of its viewer."""

    user_id: str
    device_id: str | None
    roles: frozenset[Role]
    office_id: str
    office_path: str
    skew: timedelta | None = None


def content_of(draft: ObservationDraft, author_roles: frozenset[Role], *, field: str) -> ObservationContent:
    """What a draft says, validate_id value by value; raises `Refusal` with `field` leading to the value at fault.

    No time is refused: a device's clock may show any, and what it showed is evidence.
    """
    validate_id(draft.id, "obs", field=f"{field}.id")
    if draft.assignment_id is not None:
        validate_id(draft.assignment_id, "asg", field=f"{field}.assignmentId")
    if not any(draft.method in METHODS_OF.get(role, frozenset()) for role in author_roles):
        raise Refusal(
            RefusalCode.FORBIDDEN,
            "Your role does not record by this method.",
            field=f"{field}.method",
            next_step=NextStep.FIX_AND_RESEND,
        )
    if len(draft.text) > MAX_TEXT:
        raise Refusal(RefusalCode.BAD_INPUT, f"A text has at most {MAX_TEXT} characters.", field=f"{field}.text")
    if len(draft.media) > MAX_MEDIA:
        raise Refusal(RefusalCode.BAD_INPUT, f"At most {MAX_MEDIA} media each.", field=f"{field}.media")
    if len({media.id for media in draft.media}) < len(draft.media):
        raise Refusal(RefusalCode.BAD_INPUT, "A medium is named twice.", field=f"{field}.media")
    if draft.complainant is not None:
        _check_complainant(draft.complainant, draft.method, field=f"{field}.complainant")
    for name, value, most in (
        ("unit", draft.unit, 100),
        ("monitoringPoint", draft.monitoring_point, 100),
        ("staffSeen", draft.staff_seen, 500),
    ):
        if value is not None and len(value) > most:
            raise Refusal(RefusalCode.BAD_INPUT, f"At most {most} characters.", field=f"{field}.{name}")
    return ObservationContent(
        method=draft.method,
        category=draft.category,
        severity=draft.severity,
        text=draft.text,
        captured_at=to_millis(draft.captured_at),
        captured_offset_minutes=offset_minutes(draft.captured_at),
        position=locate(draft.position, field=f"{field}.position") if draft.position else None,
        staff_seen=draft.staff_seen,
        claimed_unit=draft.unit,
        claimed_monitoring_point=draft.monitoring_point,
        device_sequence=draft.device_sequence,
        assignment_id=draft.assignment_id,
        complainant=_complainant(draft.complainant) if draft.complainant else None,
        media_ids=tuple(media.id for media in draft.media),
    )


def _check_complainant(given: ComplainantInput, method: Method, *, field: str) -> None:
    if method is not Method.COMPLAINT:
        raise Refusal(RefusalCode.BAD_INPUT, "Only a complaint has a complainant.", field=field)
    if given.is_anonymous and given.name:
        raise Refusal(RefusalCode.BAD_INPUT, "An anonymous complainant's name is not kept.", field=f"{field}.name")
    if len(given.name or "") > MAX_NAME or len(given.contact or "") > MAX_NAME:
        raise Refusal(RefusalCode.BAD_INPUT, f"At most {MAX_NAME} characters.", field=field)


def _complainant(given: ComplainantInput) -> Complainant:
    return Complainant(name=given.name, contact=given.contact, is_anonymous=given.is_anonymous)


def record(
    id: str, content: ObservationContent, digest: str, author: Author, placed: Placed, now: datetime
) -> Observation:
    """The observation that begins with `content`, not yet stored."""
    first = ObservationRevision(
        number=1, id=strawberry.ID(id), recorded_at=now, reason=None, content_sha256=digest, content=content
    )
    return Observation(
        id=strawberry.ID(id),
        content=content,
        received_at=now,
        placement=placed.placement,
        revision=1,
        revisions=[first],
        author_id=author.user_id,
        device_id=author.device_id,
        author_is_covert=not author.roles.isdisjoint(COVERT_ROLES),
        clock_skew_ms=None if author.skew is None else author.skew // timedelta(milliseconds=1),
        office_id=author.office_id,
        office_path=author.office_path,
        unit_id=placed.unit_id,
        unit_path=placed.unit_path,
        monitoring_point_id=placed.monitoring_point_id,
    )


PERMITS: tuple[Row, ...] = (("DraftResult", SEEN, "id outcome receipt observation uploads refusal"),)
