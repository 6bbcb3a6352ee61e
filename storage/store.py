"""Give access to all kinds of records, one attribute per kind, over one database connection and one bucket."""

from storage.accounts.device_clocks import DeviceClocks
from storage.accounts.login_attempts import Attempts
from storage.accounts.sessions import Sessions
from storage.accounts.users import Users
from storage.appraisal.ratings import Ratings
from storage.casework.assignment_answers import AssignmentAnswers
from storage.casework.assignments import Assignments
from storage.casework.cases import Cases
from storage.casework.deadlines import CaseDeadlines
from storage.casework.limits import Limits
from storage.casework.notices import Notices
from storage.casework.numbers import Numbers
from storage.casework.working_years import WorkingYears
from storage.catalogue.entries import Catalogue
from storage.checks.flags import Flags
from storage.checks.queue import Checks
from storage.checks.similar_pictures import Likenesses
from storage.checks.thresholds import Thresholds
from storage.fieldwork.observations import Observations
from storage.media.media import MediaRecords
from storage.media.verification import VerificationQueue
from storage.mongodb.client import Mongo
from storage.mongodb.database_clock import DatabaseClock
from storage.notifications.push_tokens import PushTokens
from storage.notifications.record_events import RecordEvents
from storage.notifications.webhooks import Webhooks
from storage.organisation.monitoring_points import MonitoringPoints
from storage.organisation.outlines import Outlines
from storage.organisation.units import Units
from storage.publication.redactions import Redactions
from storage.s3.client import ObjectStore
from storage.sync.change_sources import ChangeSources
from storage.sync.changes import Changes


class Store:
    """All kinds of records. `database_clock` hears the heartbeats of `mongo`; without one, clocks aren't compared."""

    def __init__(self, mongo: Mongo, objects: ObjectStore, database_clock: DatabaseClock | None = None) -> None:
        self.mongo = mongo
        self.database_clock = database_clock or DatabaseClock()
        self.objects = objects
        self.units = Units(mongo)
        self.monitoring_points = MonitoringPoints(mongo)
        self.users = Users(mongo)
        self.sessions = Sessions(mongo)
        self.attempts = Attempts(mongo)
        self.clocks = DeviceClocks(mongo)
        self.observations = Observations(mongo)
        self.media = MediaRecords(mongo)
        self.verification = VerificationQueue(mongo)
        self.redactions = Redactions(mongo)
        self.cases = Cases(mongo, self.observations)
        self.assignments = Assignments(mongo, self.cases)
        self.notices = Notices(mongo, self.cases, self.media)
        self.numbers = Numbers(mongo)
        self.case_deadlines = CaseDeadlines(mongo)
        self.limits = Limits(mongo)
        self.working_years = WorkingYears(mongo)
        self.assignment_answers = AssignmentAnswers(mongo)
        self.changes = Changes(mongo)
        self.change_sources = ChangeSources(mongo)
        self.record_events = RecordEvents(mongo)
        self.webhooks = Webhooks(mongo)
        self.push_tokens = PushTokens(mongo)
        self.checks = Checks(mongo)
        self.flags = Flags(mongo)
        self.thresholds = Thresholds(mongo)
        self.likenesses = Likenesses(mongo)
        self.outlines = Outlines(mongo)
        self.catalogue = Catalogue(mongo)
        self.ratings = Ratings(mongo)

    async def close(self) -> None:
        self.objects.close()
        await self.mongo.close()
