"""The store: all that is kept, one attribute a noun, over one database connection and one bucket."""

from storage.assignment_answers import AssignmentAnswers
from storage.assignments import Assignments
from storage.attempts import Attempts
from storage.cases import Cases
from storage.catalogue import Catalogue
from storage.change_sources import ChangeSources
from storage.changes import Changes
from storage.checks import Checks
from storage.clocks import Clocks
from storage.flags import Flags
from storage.likeness import Likenesses
from storage.media import MediaRecords
from storage.mongo import Mongo
from storage.monitoring_points import MonitoringPoints
from storage.notices import Notices
from storage.objects import ObjectStore
from storage.observations import Observations
from storage.outlines import Outlines
from storage.push_tokens import PushTokens
from storage.ratings import Ratings
from storage.redactions import Redactions
from storage.sessions import Sessions
from storage.thresholds import Thresholds
from storage.units import Units
from storage.users import Users
from storage.webhooks import Webhooks


class Store:
    def __init__(self, mongo: Mongo, objects: ObjectStore) -> None:
        self.mongo = mongo
        self.objects = objects
        self.units = Units(mongo)
        self.monitoring_points = MonitoringPoints(mongo)
        self.users = Users(mongo)
        self.sessions = Sessions(mongo)
        self.attempts = Attempts(mongo)
        self.clocks = Clocks(mongo)
        self.observations = Observations(mongo)
        self.media = MediaRecords(mongo)
        self.redactions = Redactions(mongo)
        self.cases = Cases(mongo, self.observations)
        self.assignments = Assignments(mongo, self.cases)
        self.assignment_answers = AssignmentAnswers(mongo)
        self.changes = Changes(mongo)
        self.change_sources = ChangeSources(mongo)
        self.notices = Notices(mongo)
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
