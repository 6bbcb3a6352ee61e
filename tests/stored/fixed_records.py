"""Make fixed records for the golden tests. A `whole_` record has every field, a `bare_` one only required fields."""

from dataclasses import replace
from datetime import date

from schema.access.viewers import Capacity
from schema.casework.assignment_notes import NoteEdit, NoteField
from schema.casework.assignments import Assignment, AssignmentKind, AssignmentState
from schema.casework.cases import Case, CaseEvent, CaseEventKind, CaseOutcome, CaseState, case_number
from schema.casework.notices import Notice, NoticeEvent, NoticeState, notice_number
from schema.catalogue.entries import CatalogueEntry, CatalogueKind, ServiceTerms
from schema.fieldwork.observations import (
    Category,
    Complainant,
    Method,
    Observation,
    ObservationContent,
    ObservationRevision,
    Placement,
    Severity,
)
from schema.organisation.monitoring_points import MonitoringPoint
from schema.organisation.units import FormerName, Unit, UnitLevel
from storage.mongodb.client import Document
from storage.mongodb.codecs import to_document
from tests.stored.fixed import DIGEST, NOW, OTHER_DIGEST, PATH, POSITION, fixed_id, minutes
from tests.stored.fixed_deadlines import whole_deadline

OFFICE = fixed_id("unt", 1)
COVERT, OPEN = Capacity(is_covert=True, office_path=PATH), Capacity(is_covert=False, office_path=None)
CONTENT = ObservationContent(
    method=Method.COMPLAINT,
    category=Category.ABSENCE,
    severity=Severity.SERIOUS,
    text="上午九点窗口无人在岗",
    captured_at=minutes(-3),
    captured_offset_minutes=480,
    position=POSITION,
    staff_seen="工号 0017",
    claimed_unit="360703-JT-1",
    claimed_monitoring_point="GZ-001",
    assignment_id=fixed_id("asg", 1),
    device_sequence=2**40,
    complainant=Complainant(name="丙", contact="0797-0000000", is_anonymous=True),
    media_ids=(fixed_id("med", 1), fixed_id("med", 2)),
)


def whole_unit() -> Unit:
    return Unit(
        id=fixed_id("unt", 1),
        code="360703-JT-1",
        name="南康区交通局一号窗口",
        level=UnitLevel.WINDOW,
        former_names=[
            FormerName(name="南康市交通局窗口", code="360782-JT-1", until=2013),
            FormerName(name="交通窗口", code="JT-1"),
        ],
        position=POSITION,
        path=PATH,
        parent_id=fixed_id("unt", 2),
        ancestor_ids=(fixed_id("unt", 3), fixed_id("unt", 2)),
        created_at=NOW,
    )


def whole_point() -> MonitoringPoint:
    return MonitoringPoint(
        id=fixed_id("pnt", 1),
        code="GZ-001",
        enterprise="南康示范家具厂",
        industry="家具",
        address="南康区工业大道 1 号",
        position=POSITION,
        unit_id=fixed_id("unt", 1),
        path=PATH,
        monitor_ids=(fixed_id("usr", 1), fixed_id("usr", 2)),
        created_at=NOW,
    )


def whole_service() -> CatalogueEntry:
    return CatalogueEntry(
        id=fixed_id("cat", 1),
        kind=CatalogueKind.SERVICE_ITEM,
        code="JT-01",
        name="道路运输经营许可",
        valid_from=date(2026, 1, 1),
        valid_to=date(2026, 12, 31),
        service=ServiceTerms(
            statutory_days=20,
            promised_days=7,
            documents=["身份证", "申请表"],
            steps=["受理", "审查", "决定"],
            unit_id=fixed_id("unt", 2),
        ),
        path=PATH,
        unit_id=fixed_id("unt", 1),
    )


def whole_observation(number: int) -> Observation:
    """Return an observation with every field filled."""
    first = ObservationRevision(
        number=1,
        id=fixed_id("obs", number),
        recorded_at=NOW,
        reason="更正时间",
        content=CONTENT,
        content_sha256=DIGEST,
    )
    return Observation(
        id=fixed_id("obs", number),
        content=CONTENT,
        received_at=NOW,
        placement=Placement.PLACED,
        revision=1,
        revisions=[first],
        author_id=fixed_id("usr", 1),
        device_id=fixed_id("dev", 1),
        clock_skew_ms=-1500,
        author_is_covert=True,
        office_id=fixed_id("unt", 1),
        office_path=PATH,
        unit_id=fixed_id("unt", 2),
        unit_path=PATH,
        monitoring_point_id=fixed_id("pnt", 1),
        case_ids=(fixed_id("cas", 1), fixed_id("cas", 2)),
    )


def case_event(number: int, kind: CaseEventKind, state: CaseState) -> CaseEvent:
    """Return an entry of a case's history with every field filled."""
    return CaseEvent(
        id=fixed_id("evt", number),
        kind=kind,
        at=minutes(number),
        state=state,
        note="请于三日内核查",
        by_id=fixed_id("usr", 4),
        about_ids=(fixed_id("obs", 1), fixed_id("obs", 2)),
        sent_sha256=DIGEST,
        by_capacity=OPEN,
    )


def stateless(event: CaseEvent) -> Document:
    """Return the entry's document without the state, because storage adds the state."""
    document = to_document(event)
    del document["state"]
    return document


def whole_case(number: int, state: CaseState) -> Case:
    """Return the office's case of that number, with every field filled."""
    return Case(
        id=fixed_id("cas", number),
        number=case_number("360703-XNB", 2026, number),
        year=2026,
        sequence=number,
        title="窗口无人在岗",
        summary="上午九点交通局一号窗口无人在岗。",
        category=Category.ABSENCE,
        state=state,
        opened_at=NOW,
        closed_at=minutes(30),
        outcome=CaseOutcome.PARTLY,
        reply="已责成整改，谢谢您的监督。",
        history=[case_event(1, CaseEventKind.OPENED, state)],
        office_id=OFFICE,
        office_path=PATH,
        first_responder_id=fixed_id("usr", 4),
        responsible_id=fixed_id("usr", 5),
        opening_sha256=OTHER_DIGEST,
        unit_id=fixed_id("unt", 2),
        unit_path=PATH,
        monitoring_point_id=fixed_id("pnt", 1),
        deadlines=[whole_deadline()],
    )


def notice_event(number: int, state: NoticeState) -> NoticeEvent:
    """Return an entry of a notice's history with every field filled."""
    return NoticeEvent(
        id=fixed_id("evt", 20 + number),
        state=state,
        at=minutes(number),
        text="已补齐值班安排。",
        by_id=fixed_id("usr", 4),
        by_capacity=OPEN,
        sent_sha256=DIGEST,
        media_ids=(fixed_id("med", 1),),
    )


def whole_notice(number: int, state: NoticeState) -> Notice:
    """Return the office's notice of that number, with every field filled."""
    return Notice(
        id=fixed_id("ntc", number),
        number=notice_number("360703-XNB", 2026, number),
        year=2026,
        sequence=number,
        title="关于窗口无人在岗的整改督办通知书",
        requirements="请补齐值班安排，并书面说明原因。",
        due_on=date(2026, 12, 1),
        state=state,
        issued_at=NOW,
        ended_at=minutes(9),
        returns=2,
        history=[notice_event(1, NoticeState.ISSUED), notice_event(2, state)],
        case_id=fixed_id("cas", 1),
        office_id=OFFICE,
        office_path=PATH,
        unit_id=fixed_id("unt", 2),
        unit_path=PATH,
        opening_sha256=OTHER_DIGEST,
    )


def bare_case(number: int, state: CaseState) -> Case:
    return replace(
        whole_case(number, state),
        closed_at=None,
        outcome=None,
        reply=None,
        deadlines=[],
        history=[],
        unit_id=None,
        unit_path=None,
        monitoring_point_id=None,
    )


EDIT = NoteEdit(
    id=fixed_id("evt", 20),
    field=NoteField.PLANNED_ON,
    value="2026-12-01",
    base_version=1,
    edited_at=minutes(7),
    at=minutes(6),
    device_id=fixed_id("dev", 1),
    device_sequence=2**40,
    sha256=DIGEST,
    received_at=minutes(8),
    restores=fixed_id("evt", 19),
)


def whole_assignment(number: int) -> Assignment:
    """Return an offered assignment with every field filled."""
    return Assignment(
        id=fixed_id("asg", number),
        kind=AssignmentKind.CASE,
        state=AssignmentState.OFFERED,
        note="请复查",
        due_on=date(2026, 12, 1),
        offered_at=NOW,
        accepted_at=minutes(1),
        ended_at=minutes(2),
        result="已复查",
        assignee_id=fixed_id("usr", 1),
        offered_by_id=fixed_id("usr", 4),
        office_id=OFFICE,
        office_path=PATH,
        case_id=fixed_id("cas", 1),
        unit_id=fixed_id("unt", 2),
        unit_path=PATH,
        handed_on_from_id=fixed_id("asg", 9),
        opening_sha256=OTHER_DIGEST,
        note_edits=(EDIT,),
        assignee_capacity=COVERT,
        offered_by_capacity=OPEN,
    )


def bare_assignment(number: int) -> Assignment:
    """Return an offered assignment without optional fields."""
    return Assignment(
        id=fixed_id("asg", number),
        kind=AssignmentKind.INSPECTION,
        state=AssignmentState.OFFERED,
        offered_at=NOW,
        assignee_id=fixed_id("usr", 1),
        offered_by_id=fixed_id("usr", 4),
        office_id=OFFICE,
        office_path=PATH,
        opening_sha256=OTHER_DIGEST,
    )
