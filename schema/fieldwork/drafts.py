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
    Severity,
)
from schema.fieldwork.placement import PlacementResult
from schema.fieldwork.receipts import Receipt
from schema.geography.positions import GeoPointInput, locate
from schema.media.media_drafts import MediaDraft
from schema.media.uploads import UploadSlot

MAX_TEXT = 20_000
MAX_MEDIA = 100
MAX_NAME = 500
MAX_DRAFTS = 50


@strawberry.input(description="Who complained (投诉人).")
class ComplainantInput:
    name: str | None = strawberry.field(description="Name. Leave it out if the complainant is anonymous.", default=None)
    contact: str | None = strawberry.field(description="Contact details of the complainant.", default=None)
    is_anonymous: bool = strawberry.field(
        description="True if nobody may learn the complainant's name (匿名).", default=False
    )


@strawberry.input(description="An observation from a phone's outbox.")
class ObservationDraft:
    id: strawberry.ID = strawberry.field(
        description="Id that the phone creates: `obs_` and a UUIDv7. Send the same id with every retry."
    )
    method: Method = strawberry.field(description="Method of observation (方式).")
    category: Category = strawberry.field(description="Category of what was seen (问题类别).")
    severity: Severity = strawberry.field(description="Severity (严重程度).")
    text: str = strawberry.field(description="Text that the author wrote, up to 20,000 characters.", default="")
    captured_at: datetime = strawberry.field(
        description="Time of the observation by the device's clock, with the device's UTC offset."
    )
    position: GeoPointInput | None = strawberry.field(description="Where the observation was made.", default=None)
    unit: str | None = strawberry.field(
        description="Inspected unit: its id, code or former code. An unknown value is stored as sent.", default=None
    )
    monitoring_point: str | None = strawberry.field(
        description="Monitoring point that reports the observation: its id or code.", default=None
    )
    assignment_id: strawberry.ID | None = strawberry.field(
        description="The assignment for which the observation was made.", default=None
    )
    staff_seen: str | None = strawberry.field(description="Staff member seen: name, badge or appearance.", default=None)
    device_sequence: int | None = strawberry.field(
        description="Sequence number that this device gave the observation.", default=None
    )
    complainant: ComplainantInput | None = strawberry.field(
        description="Who complained. Allowed only if `method` is COMPLAINT.", default=None
    )
    media: list[MediaDraft] = strawberry.field(
        description="Media that the phone will upload, at most 100.", default_factory=list
    )


@strawberry.enum(description="What the server did with one draft of a batch.")
class Outcome(enum.Enum):
    ACCEPTED = strawberry.enum_value(
        "ACCEPTED", description="Stored on a majority of the database servers. The phone may delete its copy."
    )
    DUPLICATE = strawberry.enum_value(
        "DUPLICATE", description="The server had stored the same draft before. The receipt is the same."
    )
    REFUSED = strawberry.enum_value("REFUSED", description="Not stored. `refusal` gives the reason and the next step.")


@strawberry.type(description="Outcome of one draft.")
class DraftResult:
    id: str | None = strawberry.field(description="Id of the draft, as sent. Null if the server could not read the id.")
    outcome: Outcome = strawberry.field(description="What the server did with the draft.")
    receipt: Receipt | None = strawberry.field(
        description="Receipt of the draft. Null if the draft is refused.", default=None
    )
    observation: Observation | None = strawberry.field(
        description="The stored observation. Null if the draft is refused.", default=None
    )
    uploads: list[UploadSlot] = strawberry.field(
        description="Upload slots for the media whose bytes have not arrived. The slot of a large medium (MULTIPART) "
        "has no parts. Call `requestUploads` to get the parts.",
        default_factory=list,
    )
    refusal: Refused | None = strawberry.field(
        description="Why the server refused the draft. Null unless `outcome` is REFUSED.", default=None
    )


@dataclass(frozen=True)
class UnreadableDraft:
    """An item of a batch that the server could not parse: its index in the batch, its id if readable, and the error."""

    index: int
    id: str | None
    message: str
    field: str | None


@dataclass(frozen=True)
class Author:
    """The person who submits drafts, with their device, roles and office.

    `skew` is how far the device's clock is ahead of the server's. It is None if the device did not send its time.
    """

    user_id: str
    device_id: str | None
    roles: frozenset[Role]
    office_id: str
    office_path: str
    skew: timedelta | None = None


def content_of(draft: ObservationDraft, author_roles: frozenset[Role], *, field: str) -> ObservationContent:
    """Validate a draft and return its content. `field` is the path of the draft in the input.

    Raise a `Refusal` with the path of the invalid value. Every time is valid, because a device's clock may be wrong and
    what the clock showed is evidence.
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
