"""Define flags (疑点标记). A flag marks something suspicious about an observation, with a figure and its threshold.

A flag never causes an observation to be refused. A flag is raised once and never withdrawn. An officer reviews it.
"""

import enum
import hashlib
import math
from dataclasses import dataclass
from datetime import datetime

import strawberry

from schema.access.permissions import EXAMINERS, OFFICERS, SEEN, Row, connection
from schema.access.viewers import UNKNOWN_OPEN, Capacity, Owner
from schema.accounts.users import User, load_named
from schema.checks.flag_messages import FlagCode, flag_message
from schema.checks.thresholds import Measure
from schema.core.context import Info
from schema.core.ids import compose
from schema.core.nodes import Node
from schema.core.times import to_minute
from schema.fieldwork.observations import Observation
from schema.media.media import Media

SKEW_STEPS = tuple(60.0 * minutes for minutes in (15, 60, 6 * 60, 24 * 60, 7 * 24 * 60, 30 * 24 * 60, 365 * 24 * 60))
"""The skews in seconds that viewers without clearance can see beside the threshold.

A clock that is wrong by 37 minutes would name one phone in all reports of a county. Each step has many phones.
"""


@strawberry.enum(description="Whether a flag has been reviewed (处理状态).")
class FlagState(enum.Enum):
    OPEN = strawberry.enum_value("OPEN", description="Not reviewed yet (待核).")
    REVIEWED = strawberry.enum_value("REVIEWED", description="An officer has reviewed the flag (已核).")


@strawberry.enum(description="Verdict on a flag (核查结论).")
class FlagVerdict(enum.Enum):
    CONFIRMED = strawberry.enum_value("CONFIRMED", description="The suspicion is justified (属实).")
    EXPLAINED = strawberry.enum_value("EXPLAINED", description="There is a harmless explanation (可以解释).")


@strawberry.type(description="An officer's review of a flag (核查记录).")
class FlagReview:
    id: strawberry.ID = strawberry.field(description="Id of the review: evt_ and a UUIDv7.")
    verdict: FlagVerdict = strawberry.field(description="Verdict (结论).")
    note: str = strawberry.field(description="Reason for the verdict (说明).")
    at: datetime = strawberry.field(description="When the officer reviewed the flag.")
    by_id: strawberry.Private[str]
    sent_sha256: strawberry.Private[str]
    by_capacity: strawberry.Private[Capacity | None] = None
    """None for reviews that are older than this field."""

    @property
    def capacity(self) -> Capacity:
        """In which capacity the person reviewed the flag."""
        return self.by_capacity or UNKNOWN_OPEN

    @strawberry.field(description="The reviewer (核查人).")
    async def by(self, info: Info) -> User | None:
        return await load_named(info, self.by_id, self.capacity)


@strawberry.type(description="Something suspicious about an observation, with the measured figure (疑点标记).")
class Flag(Node, prefix="flg"):
    code: FlagCode = strawberry.field(description="What is suspicious (疑点类别).")
    value: strawberry.Private[float]
    threshold: float = strawberry.field(description="The threshold that applied, in the unit `measure` (阈值).")
    measure: Measure = strawberry.field(description="Unit of the figure and the threshold (计量单位).")
    raised_at: datetime = strawberry.field(description="When the flag was raised (标记时间).")
    state: FlagState = strawberry.field(description="Whether the flag has been reviewed (处理状态).")
    verdict: FlagVerdict | None = strawberry.field(
        description="Verdict of the latest review, or null (结论).", default=None
    )
    reviews: list[FlagReview] = strawberry.field(
        description="Reviews, oldest first. The last review is the one that applies (核查记录).", default_factory=list
    )
    observation_id: strawberry.Private[str]
    office_path: strawberry.Private[str]
    author_id: strawberry.Private[str]
    medium_id: strawberry.Private[str | None] = None
    other_observation_id: strawberry.Private[str | None] = None
    other_medium_id: strawberry.Private[str | None] = None
    name: strawberry.Private[str | None] = None
    finding_key: strawberry.Private[str | None] = None
    """What the flag was raised for, see `finding_key_of`. Never shown. None for flags that are older than this field.
    Such a flag has the key as its id."""

    @strawberry.field(
        name="value",
        description="The measured figure, in the unit `measure` (数值). For IMPOSSIBLE_SPEED, viewers without clearance see"
        " the threshold instead.",
    )
    def shown_value(self, info: Info) -> float:
        return self._visible_value(info)

    @strawberry.field(description="Message in English.")
    def message(self, info: Info) -> str:
        return self._messages(info)[0]

    @strawberry.field(description="Message in Chinese (中文说明).")
    def message_zh(self, info: Info) -> str:
        return self._messages(info)[1]

    @strawberry.field(description="The flagged observation (巡查记录).")
    async def observation(self, info: Info) -> Observation | None:
        return await info.context.load.one(Observation, self.observation_id)

    @strawberry.field(description="The suspicious medium. Null if the flag is about no particular medium (影像资料).")
    async def medium(self, info: Info) -> Media | None:
        return await self._medium(info, self.observation_id, self.medium_id)

    @strawberry.field(
        description="The observation that the flagged observation was compared with. Null if there is none, or if the"
        " viewer must not see it. For IMPOSSIBLE_SPEED, only viewers with clearance see it."
    )
    async def other_observation(self, info: Info) -> Observation | None:
        return await info.context.load.one(Observation, self.other_observation_id) if self._shows_other(info) else None

    @strawberry.field(
        description="The picture that the medium was compared with. Null if there is none, or if the viewer must not"
        " see the picture's observation."
    )
    async def other_medium(self, info: Info) -> Media | None:
        return await self._medium(info, self.other_observation_id, self.other_medium_id)

    def _messages(self, info: Info) -> tuple[str, str]:
        value, is_least = self._visible_value(info), self.code is FlagCode.CLOCK_SKEW and not self._is_told(info)
        return flag_message(self.code, self.measure, value, self.threshold, self.name, is_least=is_least)

    def _visible_value(self, info: Info) -> float:
        """Return the figure, or what a viewer may see of it who must not tell which observations one device sent.

        With the places and times that the viewer sees, an exact speed would name the other observation.
        """
        match self.code:
            case FlagCode.IMPOSSIBLE_SPEED if not self._is_told(info):
                return self.threshold
            case FlagCode.CLOCK_SKEW if not self._is_told(info):
                return coarsen_skew(self.value, self.threshold)
            case _:
                return self.value

    def _shows_other(self, info: Info) -> bool:
        return self.code is not FlagCode.IMPOSSIBLE_SPEED or self._is_told(info)

    def _is_told(self, info: Info) -> bool:
        """Whether the viewer may link the observations of one device, which come from the same person."""
        viewer = info.context.viewer
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
    """Something suspicious that a check found: `value` violates `threshold`. Both are in the unit `measure`.

    `name` is the name of an editing program from a closed list. A flag must not contain any other text from a device.
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
class FlagOwner:
    """The observation that a flag belongs to: its id, office, author and time of receipt."""

    id: str
    office_path: str
    author_id: str
    received_at: datetime


MAX_REVIEWS = 20
"""Maximum number of reviews of a flag. All of them are read with the flag."""


def finding_key_of(finding: CheckFinding, observation: FlagOwner) -> str:
    """Return the key of a finding. The same finding always has the same key, so a repeated check raises no second flag.

    The key depends on the figure. So if a corrected position is wrong by a different distance, there is a second flag.
    If two pictures were compared, the key does not depend on the figure, because the number of differing bits depends on
    which picture was laid over the other. Never show the key: a reader could find the other observation by trial.
    """
    parts = (
        observation.id,
        finding.code.value,
        finding.medium_id,
        finding.other_observation_id,
        finding.other_medium_id,
        round(finding.value, 1) if finding.other_medium_id is None else None,
    )
    digest = hashlib.sha256("\n".join(str(part) for part in parts).encode()).digest()
    return compose("flg", observation.received_at, digest)


def coarsen_skew(skew: float, threshold: float) -> float:
    """Return the largest of `SKEW_STEPS` and the threshold that is not above the skew, with the skew's sign."""
    size = max([threshold, *(step for step in SKEW_STEPS if threshold < step <= abs(skew))])
    return math.copysign(size, skew)


def raise_flag(finding: CheckFinding, observation: FlagOwner, now: datetime, randomness: bytes) -> Flag:
    """Return the flag of a finding. Its id is random, so the id tells nothing about the finding.

    Its times are cut to the minute, because the observations of one batch are checked within milliseconds.
    """
    minute = to_minute(now)
    return Flag(
        id=compose("flg", minute, randomness),
        code=finding.code,
        value=round(finding.value, 1),
        threshold=finding.threshold,
        measure=finding.measure,
        raised_at=minute,
        state=FlagState.OPEN,
        observation_id=observation.id,
        office_path=observation.office_path,
        author_id=observation.author_id,
        medium_id=finding.medium_id,
        other_observation_id=finding.other_observation_id,
        other_medium_id=finding.other_medium_id,
        name=finding.name,
        finding_key=finding_key_of(finding, observation),
    )


PERMITS: tuple[Row, ...] = (
    ("Query", EXAMINERS, "flags"),
    ("Mutation", OFFICERS, "reviewFlag"),
    ("FlagPayload", SEEN, "flag"),
    ("Flag", SEEN, "id code value threshold measure message messageZh raisedAt state verdict reviews observation"),
    ("Flag", SEEN, "medium otherObservation otherMedium"),
    ("FlagReview", SEEN, "id verdict note at by"),
    *connection("Flag"),
)
