"""Make the records of the measurement: cases with their observations, media and assignments.

The same number of cases and the same seed give the same records.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

import strawberry

from schema.access.viewers import Capacity, Clearance, Role
from schema.accounts.users import User
from schema.casework.assignments import Assignment, AssignmentKind, AssignmentState
from schema.casework.cases import Case, CaseEvent, CaseEventKind, CaseState, case_number
from schema.core.ids import compose
from schema.core.times import ByteCount
from schema.fieldwork.observations import (
    Category,
    Method,
    Observation,
    ObservationContent,
    ObservationRevision,
    Placement,
    Severity,
)
from schema.geography.positions import GeoPoint, GeoPointInput, PositionSource, locate
from schema.media.media import Media, MediaKind, MediaState, Rendition, Thumbnail
from schema.media.media_facts import MediaFacts
from schema.media.object_keys import first_key
from schema.organisation.monitoring_points import MonitoringPoint
from scripts.benchmarks.api_speed.population import AS_OF, device_of, place_of, plan_population

SPAN = timedelta(days=365)
OBSERVATIONS_OF_A_CASE, MEDIA_OF_AN_OBSERVATION = 10, 2
ASSIGNEES = 50
"""How many people hold the assignments: at 20,000 observations each sees some 80 cases by an assignment."""
SPREAD_DEGREES = 0.02
"""Observations lie within about 2 km of the middle of their county, so that a circle of 2 km holds two thirds of them."""
TEXT = (
    "上午巡查政务服务窗口，叫号系统显示等候{people}人，{windows}个窗口只开一个，"
    "工作人员离岗{minutes}分钟，已拍照并询问值班负责人。"
)
METHODS = (Method.PATROL, Method.TRACKED_SERVICE, Method.SIMULATED_SERVICE)
CATEGORIES, SEVERITIES = tuple(Category), tuple(Severity)
THUMBNAILS = ((Rendition.LARGE, 1280, "large"), (Rendition.SMALL, 320, "small"))
PHOTO = ("image/jpeg", 4032, 3024)


@dataclass(frozen=True)
class CaseRecords:
    """A case with all that belongs to it."""

    case: Case
    observations: Sequence[Observation]
    media: Sequence[Media]
    assignments: Sequence[Assignment]


class RecordFactory:
    """Makes `cases` cases one after the other. They are spread evenly over `SPAN` and over the counties."""

    def __init__(self, cases: int, seed: int = 1) -> None:
        plan = plan_population()
        self._random = Random(seed)  # noqa: S311  no secret
        self._region, self._cases = plan.region, cases
        self._people, self._users = plan.people, plan.people.users
        self._windows = {county: self._region.windows(county) for county in self._region.counties}
        self._points: dict[str, list[MonitoringPoint]] = {county: [] for county in self._region.counties}
        codes = {str(unit.id): unit.code for unit in self._region.units.values()}
        for point in plan.points:
            self._points[codes[point.unit_id]].append(point)
        self._assignees = [user for user in self._users.values() if Role.SUPERVISOR in user.roles][-ASSIGNEES:]
        self.sequences = Counter[str]()
        """The last sequence number of each author's device, by user name."""

    def make(self, number: int) -> CaseRecords:
        """Make the case `number`, counted from 0."""
        opened_at = AS_OF - SPAN * (self._cases - number) / (self._cases + 1)
        opened_at = opened_at.replace(microsecond=0)
        county = self._region.counties[number % len(self._region.counties)]
        case = self._make_case(number, county, opened_at)
        observations: list[Observation] = []
        media: list[Media] = []
        for back in range(OBSERVATIONS_OF_A_CASE):
            at = opened_at - timedelta(hours=7 * back, seconds=self._random.randrange(1, 3600))
            photos = [self._id("med", at) for _ in range(MEDIA_OF_AN_OBSERVATION)]
            observations.append(self._make_observation(county, at, photos, str(case.id)))
            media += [self._make_medium(id, observations[-1], at) for id in photos]
        return CaseRecords(case, observations, media, self._assign(case, number))

    def _id(self, prefix: str, at: datetime) -> strawberry.ID:
        return compose(prefix, at, self._random.randbytes(10))

    def _make_observation(self, county: str, at: datetime, photos: Sequence[str], case_id: str) -> Observation:
        random, id = self._random, self._id("obs", at)
        author = self._users[random.choice(self._people.of(Role.INSPECTOR, county))]
        self.sequences[author.user_name] += 1
        unit = random.choice(self._windows[county])
        point = random.choice(self._points[county]) if random.random() < 2 / 3 else None
        content = ObservationContent(
            method=random.choice(METHODS),
            category=random.choice(CATEGORIES),
            severity=random.choice(SEVERITIES),
            text=TEXT.format(people=random.randrange(3, 40), windows=random.randrange(2, 9), minutes=at.minute + 5),
            captured_at=at,
            captured_offset_minutes=480,
            position=self._near(county, at),
            claimed_unit=unit.code,
            claimed_monitoring_point=point.code if point else None,
            device_sequence=self.sequences[author.user_name],
            media_ids=tuple(photos),
        )
        received_at = at + timedelta(seconds=random.randrange(1, 600), milliseconds=random.randrange(1000))
        digest = random.randbytes(32).hex()
        first = ObservationRevision(
            number=1, id=id, recorded_at=received_at, reason=None, content=content, content_sha256=digest
        )
        return Observation(
            id=id,
            content=content,
            received_at=received_at,
            placement=Placement.PLACED,
            revision=1,
            revisions=[first],
            author_id=str(author.id),
            device_id=str(device_of(author)),
            clock_skew_ms=random.randrange(-900, 900),
            office_id=str(author.office_id),
            office_path=str(author.office_path),
            unit_id=str(unit.id),
            unit_path=unit.path,
            monitoring_point_id=str(point.id) if point else None,
            case_ids=(case_id,),
        )

    def _near(self, county: str, at: datetime) -> GeoPoint:
        latitude, longitude = place_of(county)
        return locate(
            GeoPointInput(
                latitude=round(latitude + self._random.uniform(-SPREAD_DEGREES, SPREAD_DEGREES), 6),
                longitude=round(longitude + self._random.uniform(-SPREAD_DEGREES, SPREAD_DEGREES), 6),
                accuracy_metres=float(self._random.randrange(4, 60)),
                source=PositionSource.GPS,
                fixed_at=at,
            )
        )

    def _make_medium(self, id: strawberry.ID, observation: Observation, at: datetime) -> Media:
        sha256, (content_type, width, height) = self._random.randbytes(32).hex(), PHOTO
        seen_at = observation.received_at
        thumbnails = tuple(
            Thumbnail(
                rendition=rendition,
                width=side,
                height=side * 3 // 4,
                key=f"thumbnails/{id}/{name}.jpg",
                sha256=self._random.randbytes(32).hex(),
            )
            for rendition, side, name in THUMBNAILS
        )
        facts = MediaFacts(
            content_type=content_type,
            width=width,
            height=height,
            orientation=1,
            display_width=width,
            display_height=height,
            taken_at_local=at.strftime("%Y-%m-%dT%H:%M:%S.000"),
            taken_offset_minutes=480,
            position=observation.content.position,
            make="HUAWEI",
            model="ALN-AL00",
            software="ALN-AL00 4.2.0.130",
        )
        return Media(
            id=id,
            kind=MediaKind.PHOTO,
            state=MediaState.READY,
            sha256=sha256,
            byte_size=ByteCount(self._random.randrange(2_000_000, 6_000_000)),
            content_type=content_type,
            captured_at=at,
            expected_at=seen_at,
            uploaded_at=seen_at + timedelta(seconds=20),
            ready_at=seen_at + timedelta(seconds=25),
            facts=facts,
            thumbnails=thumbnails,
            observation_id=str(observation.id),
            uploader_id=observation.author_id,
            key=first_key(str(id), sha256),
        )

    def _officer(self, county: str) -> User:
        names = self._people.of(Role.OFFICER, county)
        return next(user for user in map(self._users.__getitem__, names) if Clearance.IDENTITY in user.clearances)

    def _make_case(self, number: int, county: str, at: datetime) -> Case:
        officer, unit = self._officer(county), self._random.choice(self._windows[county])
        office = self._region.office(county)
        holder = self._assignees[number % ASSIGNEES]
        steps = (
            (CaseEventKind.OPENED, CaseState.RECEIVED, officer),
            (CaseEventKind.MOVED, CaseState.ACCEPTED, officer),
            (CaseEventKind.ASSIGNED, CaseState.ASSIGNED, officer),
            (CaseEventKind.HAND_OVER_ACCEPTED, CaseState.INVESTIGATING, holder),
            (CaseEventKind.ASSIGNED, CaseState.INVESTIGATING, officer),
        )
        history = [
            CaseEvent(
                id=self._id("evt", at),
                kind=kind,
                at=at + timedelta(hours=hour),
                state=state,
                note=None if kind is CaseEventKind.OPENED else "请在五个工作日内查清并答复",
                by_id=str(by.id),
                by_capacity=Capacity(is_covert=False, office_path=by.office_path),
            )
            for hour, (kind, state, by) in enumerate(steps)
        ]
        return Case(
            id=self._id("cas", at),
            number=case_number(office.code, at.year, number + 1),
            year=at.year,
            sequence=number + 1,
            title="窗口排队过长",
            summary="多次巡查发现该窗口排队过长，工作人员不在岗，群众意见较大。",
            category=Category.SLOW,
            state=CaseState.INVESTIGATING,
            opened_at=at,
            history=history,
            office_id=str(office.id),
            office_path=office.path,
            first_responder_id=str(officer.id),
            responsible_id=str(holder.id),
            opening_sha256=self._random.randbytes(32).hex(),
            unit_id=str(unit.id),
            unit_path=unit.path,
        )

    def _assign(self, case: Case, number: int) -> list[Assignment]:
        """Assign the case to two people: the first has accepted, the second has not."""
        people = (self._assignees[number % ASSIGNEES], self._assignees[(number + 17) % ASSIGNEES])
        states = (AssignmentState.ACCEPTED, AssignmentState.OFFERED)
        return [
            Assignment(
                id=self._id("asg", case.opened_at),
                kind=AssignmentKind.CASE,
                state=state,
                note="请核实窗口在岗情况",
                due_on=(case.opened_at + timedelta(days=7)).date(),
                offered_at=case.opened_at + timedelta(hours=2 + order),
                accepted_at=case.opened_at + timedelta(hours=3) if state is AssignmentState.ACCEPTED else None,
                assignee_id=str(person.id),
                offered_by_id=case.first_responder_id,
                office_id=case.office_id,
                office_path=case.office_path,
                case_id=str(case.id),
                unit_id=case.unit_id,
                unit_path=case.unit_path,
                opening_sha256=self._random.randbytes(32).hex(),
                assignee_capacity=Capacity(is_covert=False, office_path=person.office_path),
                offered_by_capacity=Capacity(is_covert=False, office_path=case.office_path),
            )
            for order, (person, state) in enumerate(zip(people, states, strict=True))
        ]
