"""Validate the observation drafts that a phone sends, and turn them into observations."""

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta

import strawberry

from schema.access.permissions import SEEN, Row
from schema.access.viewers import COVERT_ROLES, Role
from schema.core.ids import validate_id
from schema.core.refusals import NextStep, Refusal, RefusalCode, Refused
from schema.core.texts import check_length
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
from schema.fieldwork.placement import PlacementResult
from schema.geography.positions import GeoPointInput, locate
from schema.media.media import MediaDraft
from schema.media.uploads import UploadSlot

MAX_TEXT = 20_000
MAX_MEDIA = 100
MAX_NAME = 500
MAX_DRAFTS = 50


@strawberry.input(description="Who complained (投诉人).")
class ComplainantInput:
    name: str | None = strawberry.field(description="Name. Leave it out if the complainant is anonymous.", default=None)
    contact: str | None = strawberry.field(description="Contact details.", default=None)
    is_anonymous: bool = strawberry.field(
        description="The complainant must not be named to anyone (匿名).", default=False
    )


@strawberry.input(description="An observation from a phone's outbox.")
class ObservationDraft:
    id: strawberry.ID = strawberry.field(
        description="Created by the phone: obs_ and a UUIDv7. Send the same id with every retry."
    )
    method: Method = strawberry.field(description="Method of observation (方式).")
    category: Category = strawberry.field(description="Category of what was seen (问题类别).")
    severity: Severity = strawberry.field(description="Severity (严重程度).")
    text: str = strawberry.field(description="Text by the author, up to 20,000 characters.", default="")
    captured_at: datetime = strawberry.field(description="When it was seen, with the device's UTC offset.")
    position: GeoPointInput | None = strawberry.field(description="Where it was seen.", default=None)
    unit: str | None = strawberry.field(
        description="Unit inspected: id, code or former code. An unknown one is stored as sent.", default=None
    )
    monitoring_point: str | None = strawberry.field(
        description="Monitoring point that reports it: id or code.", default=None
    )
    assignment_id: strawberry.ID | None = strawberry.field(description="The assignment that it answers.", default=None)
    staff_seen: str | None = strawberry.field(description="Staff member seen: name, badge or appearance.", default=None)
    device_sequence: int | None = strawberry.field(description="Sequence number on this device.", default=None)
    complainant: ComplainantInput | None = strawberry.field(description="Who complained. COMPLAINT only.", default=None)
    media: list[MediaDraft] = strawberry.field(
        description="Media that the phone will upload, at most 100.", default_factory=list
    )


@strawberry.enum(description="Outcome of one draft of a batch.")
class Outcome(enum.Enum):
    ACCEPTED = strawberry.enum_value(
        "ACCEPTED", description="Stored on a majority of the servers. The phone may delete its copy."
    )
    DUPLICATE = strawberry.enum_value("DUPLICATE", description="Stored before. The receipt is the same.")
    REFUSED = strawberry.enum_value("REFUSED", description="Not stored. `refusal` gives the reason and the next step.")


@strawberry.type(description="Outcome of one draft.")
class DraftResult:
    id: str | None = strawberry.field(description="The draft's id as sent. Null if it could not be read.")
    outcome: Outcome = strawberry.field(description="Outcome.")
    receipt: Receipt | None = strawberry.field(description="Receipt of an accepted or duplicate draft.", default=None)
    observation: Observation | None = strawberry.field(description="The stored observation.", default=None)
    uploads: list[UploadSlot] = strawberry.field(
        description="Upload slots for media that have not arrived. For large media (MULTIPART) call `requestUploads`.",
        default_factory=list,
    )
    refusal: Refused | None = strawberry.field(description="Reason for the refusal.", default=None)


@dataclass(frozen=True)
class UnreadableDraft:
    """A draft that could not be parsed: its index in the batch and the error."""

    index: int
    id: str | None
    message: str
    field: str | None


@dataclass(frozen=True)
class Author:
    """The person who submits drafts, their office, and how far the device's clock is ahead of the server's."""

    user_id: str
    device_id: str | None
    roles: frozenset[Role]
    office_id: str
    office_path: str
    skew: timedelta | None = None


def content_of(draft: ObservationDraft, author_roles: frozenset[Role], *, field: str) -> ObservationContent:
    """Validate a draft and return its content. Raise `Refusal` with the path of the invalid value.

    Any time is valid: a device's clock may be wrong, and what it showed is evidence.
    """
    validate_id(draft.id, "obs", field=f"{field}.id")
    if draft.assignment_id is not None:
        validate_id(draft.assignment_id, "asg", field=f"{field}.assignmentId")
    if not any(draft.method in METHODS_OF.get(role, frozenset()) for role in author_roles):
        raise Refusal(
            RefusalCode.FORBIDDEN,
            "Your role must not use this method.",
            field=f"{field}.method",
            next_step=NextStep.FIX_AND_RESEND,
        )
    check_length(draft.text, MAX_TEXT, f"{field}.text")
    if len(draft.media) > MAX_MEDIA:
        raise Refusal(RefusalCode.BAD_INPUT, f"A draft has at most {MAX_MEDIA} media.", field=f"{field}.media")
    if len({media.id for media in draft.media}) < len(draft.media):
        raise Refusal(RefusalCode.BAD_INPUT, "The same medium is listed twice.", field=f"{field}.media")
    if draft.complainant is not None:
        _check_complainant(draft.complainant, draft.method, field=f"{field}.complainant")
    for name, value, most in (
        ("unit", draft.unit, 100),
        ("monitoringPoint", draft.monitoring_point, 100),
        ("staffSeen", draft.staff_seen, 500),
    ):
        check_length(value, most, f"{field}.{name}")
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
        raise Refusal(RefusalCode.BAD_INPUT, "Only a complaint may have a complainant.", field=field)
    if given.is_anonymous and given.name:
        raise Refusal(RefusalCode.BAD_INPUT, "Leave out the name of an anonymous complainant.", field=f"{field}.name")
    check_length(given.name, MAX_NAME, field)
    check_length(given.contact, MAX_NAME, field)


def _complainant(given: ComplainantInput) -> Complainant:
    return Complainant(name=given.name, contact=given.contact, is_anonymous=given.is_anonymous)


def new_observation(
    id: str, content: ObservationContent, digest: str, author: Author, placed: PlacementResult, now: datetime
) -> Observation:
    """Return a new observation with `content` as its first revision. Nothing is stored."""
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
