"""Flags (疑点标记): what doesn't fit about an observation, with a figure and the threshold that it passed; never a refusal.

What is measured is in `checks.py`, what a flag says to people in `flag_sentences.py`. A flag is raised once and never taken
back: an officer says what it came to.
"""

import enum
import hashlib
from dataclasses import dataclass
from datetime import datetime

import strawberry

from schema.access.permissions import EXAMINERS, OFFICERS, SEEN, Row, connection
from schema.access.viewers import Owner
from schema.accounts.users import User
from schema.checks.flag_messages import FlagCode, sentence_of
from schema.checks.thresholds import Measure
from schema.core.context import Info
from schema.core.ids import compose
from schema.core.nodes import Node
from schema.core.refusals import Refusal, RefusalCode
from schema.fieldwork.observations import Observation
from schema.media.media import Media

MAX_NOTE = 2_000


@strawberry.enum(description="Whether somebody has looked at a flag (处理状态).")
class FlagState(enum.Enum):
    OPEN = strawberry.enum_value("OPEN", description="Nobody has yet (待核).")
    REVIEWED = strawberry.enum_value("REVIEWED", description="An officer has said what it came to (已核).")


@strawberry.enum(description="What a flag came to (核查结论).")
class FlagVerdict(enum.Enum):
    CONFIRMED = strawberry.enum_value("CONFIRMED", description="Something is wrong with the observation (属实).")
    EXPLAINED = strawberry.enum_value("EXPLAINED", description="There is a harmless reason (可以解释).")


@strawberry.type(description="What an officer said about a flag (核查记录).")
class FlagReview:
    id: strawberry.ID = strawberry.field(description="evt_ and a UUIDv7.")
    verdict: FlagVerdict = strawberry.field(description="What it came to (结论).")
    note: str = strawberry.field(description="Why (说明).")
    at: datetime = strawberry.field(description="When.")
    by_id: strawberry.Private[str]
    sent_sha256: strawberry.Private[str]

    @strawberry.field(description="Who said so (核查人).")
    async def by(self, info: Info) -> User | None:
        return await info.context.load.one(User, self.by_id)


@strawberry.type(description="Something about an observation that doesn't fit, with its figure (疑点标记).")
class Flag(Node):
    code: FlagCode = strawberry.field(description="What doesn't fit (疑点类别).")
    value: float = strawberry.field(description="The figure that was found, in `measure` (数值).")
    threshold: float = strawberry.field(description="The figure from which on it is a flag, as it applied (阈值).")
    measure: Measure = strawberry.field(description="In what the two are measured (计量单位).")
    raised_at: datetime = strawberry.field(description="When it was found (标记时间).")
    state: FlagState = strawberry.field(description="Whether somebody has looked at it (处理状态).")
    verdict: FlagVerdict | None = strawberry.field(description="What it came to, once reviewed (结论).", default=None)
    reviews: list[FlagReview] = strawberry.field(
        description="What officers said, the first first; the last one stands (核查记录).", default_factory=list
    )
    observation_id: strawberry.Private[str]
    office_path: strawberry.Private[str]
    author_id: strawberry.Private[str]
    medium_id: strawberry.Private[str | None] = None
    other_observation_id: strawberry.Private[str | None] = None
    other_medium_id: strawberry.Private[str | None] = None
    name: strawberry.Private[str | None] = None

    @strawberry.field(description="For people, in English.")
    def message(self) -> str:
        return sentence_of(self.code, self.measure, self.value, self.threshold, self.name)[0]

    @strawberry.field(description="For people, in Chinese (中文说明).")
    def message_zh(self) -> str:
        return sentence_of(self.code, self.measure, self.value, self.threshold, self.name)[1]

    @strawberry.field(description="The observation (巡查记录).")
    async def observation(self, info: Info) -> Observation | None:
        return await info.context.load.one(Observation, self.observation_id)

    @strawberry.field(description="The medium that it concerns, where it is one (影像资料).")
    async def medium(self, info: Info) -> Media | None:
        return await self._medium(info, self.observation_id, self.medium_id)

    @strawberry.field(
        description="The other observation that it rests on, where the viewer may see it; of one device, to the cleared only."
    )
    async def other_observation(self, info: Info) -> Observation | None:
        return await info.context.load.one(Observation, self.other_observation_id) if self._shows_other(info) else None

    @strawberry.field(description="The other picture, where the viewer may see its observation.")
    async def other_medium(self, info: Info) -> Media | None:
        return await self._medium(info, self.other_observation_id, self.other_medium_id)

    def _shows_other(self, info: Info) -> bool:
        """That two observations come from one device tells that one person made both: who, is for the cleared to know."""
        viewer = info.context.viewer
        if self.code is not FlagCode.IMPOSSIBLE_SPEED:
            return True
        return viewer is not None and viewer.knows(Owner(self.author_id, self.office_path))

    @staticmethod
    async def _medium(info: Info, observation_id: str | None, medium_id: str | None) -> Media | None:
        if observation_id is None or medium_id is None:
            return None
        shown = await info.context.load.one(Observation, observation_id)
        if shown is None or medium_id not in shown.content.media_ids:
            return None
        return await info.context.load.one(Media, medium_id)


@dataclass(frozen=True)
class CheckFinding:
    """What a check has found: `value` has passed `threshold`, both in `measure`.

    `name` is a program's, of a closed list; nothing else of a device's own words may stand in a flag.
    """

    code: FlagCode
    value: float
    threshold: float
    measure: Measure
    medium_id: str | None = None
    other_observation_id: str | None = None
    other_medium_id: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Flagged:
    """Whose a flag becomes: an observation's id, office, author and time of receipt."""

    id: str
    office_path: str
    author_id: str
    received_at: datetime


def raise_flag(finding: CheckFinding, observation: Flagged, now: datetime) -> Flag:
    """The flag of a finding. The same finding has the same id, so that checking again raises nothing twice.

    The figure is part of it: a corrected position that is wrong by another distance is another flag. Of two pictures it
    is not: in how many bits they differ depends on which of them was laid over the other.
    """
    value = round(finding.value, 1)
    parts = (
        observation.id,
        finding.code.value,
        finding.medium_id,
        finding.other_observation_id,
        finding.other_medium_id,
        value if finding.other_medium_id is None else None,
    )
    digest = hashlib.sha256("\n".join(str(part) for part in parts).encode()).digest()
    return Flag(
        id=compose("flg", observation.received_at, digest),
        code=finding.code,
        value=value,
        threshold=finding.threshold,
        measure=finding.measure,
        raised_at=now,
        state=FlagState.OPEN,
        observation_id=observation.id,
        office_path=observation.office_path,
        author_id=observation.author_id,
        medium_id=finding.medium_id,
        other_observation_id=finding.other_observation_id,
        other_medium_id=finding.other_medium_id,
        name=finding.name,
    )


def check_note(note: str) -> str:
    """Raises `Refusal(BAD_INPUT)` for a verdict without its reason."""
    if not 1 <= len(note.strip()) <= MAX_NOTE:
        raise Refusal(RefusalCode.BAD_INPUT, f"A note has 1 to {MAX_NOTE} characters.", field="note")
    return note.strip()


PERMITS: tuple[Row, ...] = (
    ("Query", EXAMINERS, "flags"),
    ("Mutation", OFFICERS, "reviewFlag"),
    ("FlagPayload", SEEN, "flag"),
    ("Flag", SEEN, "id code value threshold measure message messageZh raisedAt state verdict reviews observation"),
    ("Flag", SEEN, "medium otherObservation otherMedium"),
    ("FlagReview", SEEN, "id verdict note at by"),
    *connection("Flag"),
)
