"""Define redactions (脱敏发布): copies of photos for release, with faces and chosen boxes covered.

A second person must approve each copy.
"""

import enum
from collections.abc import Sequence
from datetime import datetime

import strawberry

from schema.access.permissions import OFFICERS, READERS, SEEN, Row, connection
from schema.access.viewers import Role, Viewer
from schema.accounts.users import User
from schema.core.context import Info
from schema.core.nodes import Node
from schema.core.refusals import Refusal, RefusalCode
from schema.core.times import ByteCount
from schema.media.media import Link, Media

MAX_BOXES = 200
MAX_CORRECTIONS = 50
MAX_OF_MEDIUM = 20
MAX_WAITING = 50
"""Unfinished requests of one person: the worker takes requests in order, so too many would delay other people's."""
MAX_PURPOSE = 500


@strawberry.enum(description="The state of a redaction (脱敏状态).")
class RedactionState(enum.Enum):
    REQUESTED = strawberry.enum_value("REQUESTED", description="The worker looks for faces (查找人脸中).")
    PROPOSED = strawberry.enum_value("PROPOSED", description="A person must check and correct the boxes (待人工修正).")
    RENDERING = strawberry.enum_value("RENDERING", description="The worker covers the corrected boxes (生成中).")
    AWAITING_APPROVAL = strawberry.enum_value(
        "AWAITING_APPROVAL", description="A second person must review it (待复核)."
    )
    APPROVED = strawberry.enum_value("APPROVED", description="May be released (已批准发布).")
    REJECTED = strawberry.enum_value("REJECTED", description="Must not be released, or was withdrawn (不予发布、撤回).")
    FAILED = strawberry.enum_value("FAILED", description="The photo can't be redacted. See `failure` (无法生成).")


S = RedactionState
MOVES: dict[RedactionState, frozenset[RedactionState]] = {
    S.REQUESTED: frozenset({S.PROPOSED, S.FAILED, S.REJECTED}),
    S.PROPOSED: frozenset({S.RENDERING, S.REJECTED}),
    S.RENDERING: frozenset({S.RENDERING, S.AWAITING_APPROVAL, S.FAILED, S.REJECTED}),
    S.AWAITING_APPROVAL: frozenset({S.RENDERING, S.APPROVED, S.REJECTED}),
    S.APPROVED: frozenset({S.REJECTED}),
    S.REJECTED: frozenset(),
    S.FAILED: frozenset(),
}
"""Allowed transitions. Only a person's correction leads to AWAITING_APPROVAL. An approval can be withdrawn."""

WORK = frozenset({S.REQUESTED, S.RENDERING})
"""States in which the worker has work to do."""


@strawberry.enum(description="Whether faces were looked for (人脸查找).")
class FaceDetection(enum.Enum):
    PENDING = strawberry.enum_value("PENDING", description="Not yet (待查找).")
    DONE = strawberry.enum_value(
        "DONE", description="Yes. `faces` may miss some faces and contain false ones (已查找)."
    )
    UNAVAILABLE = strawberry.enum_value(
        "UNAVAILABLE", description="This installation has no face detection. Draw all boxes by hand (未安装)."
    )
    FAILED = strawberry.enum_value("FAILED", description="It failed three times. Draw all boxes by hand (未能完成).")


@strawberry.enum(description="The origin of a box (来源).")
class BoxOrigin(enum.Enum):
    FACE = strawberry.enum_value("FACE", description="A detected face, unchanged (人脸).")
    HAND = strawberry.enum_value("HAND", description="Drawn or changed by a person (人工).")


@strawberry.type(description="A rectangle of the upright picture, in fractions of its width and height (遮盖框).")
class RedactionBox:
    left: float = strawberry.field(description="0 is the left edge of the picture, 1 the right edge.")
    top: float = strawberry.field(description="0 is the top edge of the picture, 1 the bottom edge.")
    right: float = strawberry.field(description="Greater than `left`.")
    bottom: float = strawberry.field(description="Greater than `top`.")
    origin: BoxOrigin = strawberry.field(description="Detected, or drawn by hand.")
    confidence: float | None = strawberry.field(description="Confidence of a detected face, 0 to 1.", default=None)

    @property
    def edges(self) -> tuple[float, float, float, float]:
        return self.left, self.top, self.right, self.bottom


@strawberry.input(description="A rectangle of the upright picture, in fractions of its width and height (遮盖框).")
class RedactionBoxInput:
    left: float = strawberry.field(description="0 is the left edge of the picture, 1 the right edge.")
    top: float = strawberry.field(description="0 is the top edge of the picture, 1 the bottom edge.")
    right: float = strawberry.field(description="Greater than `left`, at most 1.")
    bottom: float = strawberry.field(description="Greater than `top`, at most 1.")


@strawberry.type(description="The covered copy: an upright JPEG without metadata (脱敏件).")
class RedactionRendering:
    revision: int = strawberry.field(description="The correction whose boxes it covers.")
    sha256: str = strawberry.field(description="SHA-256 of its bytes. An approval must name it.")
    byte_size: ByteCount = strawberry.field(description="Size in bytes.")
    width: int = strawberry.field(description="Width in pixels.")
    height: int = strawberry.field(description="Height in pixels.")
    rendered_at: datetime = strawberry.field(description="When it was made.")
    key: strawberry.Private[str]


@strawberry.enum(description="What happened to a redaction.")
class RedactionEventKind(enum.Enum):
    REQUESTED = "REQUESTED"
    PROPOSED = "PROPOSED"
    CORRECTED = "CORRECTED"
    RENDERED = "RENDERED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    FAILED = "FAILED"


@strawberry.type(description="One entry of a redaction's history (办理记录).")
class RedactionEvent:
    id: strawberry.ID = strawberry.field(description="evt_ and a UUIDv7.")
    kind: RedactionEventKind = strawberry.field(description="What happened.")
    at: datetime = strawberry.field(description="When.")
    revision: int = strawberry.field(description="Number of corrections after this step.")
    box_count: int | None = strawberry.field(description="Number of boxes detected or sent in this step.", default=None)
    sha256: str | None = strawberry.field(description="SHA-256 of the copy that was made or approved.", default=None)
    note: str | None = strawberry.field(description="The purpose or the reason.", default=None)
    by_id: strawberry.Private[str | None] = None
    sent_sha256: strawberry.Private[str | None] = None

    @strawberry.field(description="Who did it. Null for the worker's steps, and if you may not see the person.")
    async def by(self, info: Info) -> User | None:
        return await info.context.load.one(User, self.by_id)


@strawberry.type(description="A copy of a photo made for release, with faces and chosen boxes covered (脱敏发布).")
class Redaction(Node, prefix="red"):
    state: RedactionState = strawberry.field(description="Its state.")
    purpose: str = strawberry.field(description="The purpose of the release (发布用途).")
    face_detection: FaceDetection = strawberry.field(description="Whether faces were looked for.")
    faces: list[RedactionBox] = strawberry.field(description="Detected faces, highest confidence first (人脸).")
    boxes: list[RedactionBox] = strawberry.field(
        description="All boxes to cover: the latest correction, or the detected faces before the first one (遮盖框)."
    )
    revision: int = strawberry.field(description="Number of corrections. 0 before the first (修正次数).")
    rendering: RedactionRendering | None = strawberry.field(description="The copy with these boxes.", default=None)
    failure: str | None = strawberry.field(description="Why the photo can't be redacted.", default=None)
    requested_at: datetime = strawberry.field(description="When it was requested.")
    history: list[RedactionEvent] = strawberry.field(description="Its history, oldest first (办理记录).")
    media_id: strawberry.Private[str]
    observation_id: strawberry.Private[str]
    office_path: strawberry.Private[str]
    requested_by_id: strawberry.Private[str]
    corrector_ids: strawberry.Private[tuple[str, ...]] = ()
    decided_by_id: strawberry.Private[str | None] = None
    opening_sha256: strawberry.Private[str]
    attempts: strawberry.Private[int] = 0

    @strawberry.field(description="The original photo (原件).")
    async def media(self, info: Info) -> Media | None:
        return await info.context.load.one(Media, self.media_id)

    @strawberry.field(description="Who requested it. Null if you may not see the person (申请人).")
    async def requested_by(self, info: Info) -> User | None:
        return await info.context.load.one(User, self.requested_by_id)

    @strawberry.field(description="Who approved or rejected it. Null if you may not see the person (复核人).")
    async def decided_by(self, info: Info) -> User | None:
        return await info.context.load.one(User, self.decided_by_id)

    @strawberry.field(
        description="A link to the copy. Officers in scope get it while AWAITING_APPROVAL, all readers once APPROVED."
    )
    async def link(self, info: Info) -> Link | None:
        return await info.context.load.one(Link, redaction=self)

    def is_open_to(self, viewer: Viewer) -> bool:
        """Check whether a viewer who can see the record may also download its rendering."""
        if self.state is RedactionState.APPROVED:
            return True
        in_scope = viewer.has(Role.OFFICER) and viewer.covers(self.office_path)
        return self.state is RedactionState.AWAITING_APPROVAL and in_scope

    def is_work_of(self, user_id: str) -> bool:
        """Check whether the person requested or ever corrected it; then somebody else must approve it."""
        return user_id == self.requested_by_id or user_id in self.corrector_ids


def states_before(target: RedactionState) -> frozenset[RedactionState]:
    """Return the states from which a redaction may move to `target`."""
    return frozenset(state for state, targets in MOVES.items() if target in targets)


def validate_boxes(boxes: Sequence[RedactionBoxInput], faces: Sequence[RedactionBox]) -> list[RedactionBox]:
    """Return the boxes to cover. A box equal to a detected face stays a face; any other is drawn by hand.

    Raise `Refusal` if there are more than 200 boxes, or if one has no area or lies partly outside the picture.
    """
    if len(boxes) > MAX_BOXES:
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, f"At most {MAX_BOXES} boxes.", field="boxes")
    faces_by_edges = {face.edges: face for face in faces}
    return [_validate_box(box, faces_by_edges, f"boxes.{index}") for index, box in enumerate(boxes)]


def _validate_box(
    box: RedactionBoxInput, faces: dict[tuple[float, float, float, float], RedactionBox], field: str
) -> RedactionBox:
    for low, high, name in ((box.left, box.right, "right"), (box.top, box.bottom, "bottom")):
        if not 0 <= low < high <= 1:
            raise Refusal(
                RefusalCode.BAD_INPUT,
                "A box must lie inside the picture and have an area: 0 <= left < right <= 1, 0 <= top < bottom <= 1.",
                field=f"{field}.{name}",
            )
    drawn = RedactionBox(left=box.left, top=box.top, right=box.right, bottom=box.bottom, origin=BoxOrigin.HAND)
    return faces.get(drawn.edges, drawn)


PERMITS: tuple[Row, ...] = (
    ("Query", READERS, "redaction"),
    ("Query", OFFICERS, "redactions"),
    ("Mutation", OFFICERS, "requestRedaction correctRedaction approveRedaction rejectRedaction"),
    ("RedactionPayload", SEEN, "redaction"),
    ("Redaction", SEEN, "id state purpose faceDetection faces boxes revision rendering failure requestedAt history"),
    ("Redaction", SEEN, "media requestedBy decidedBy link"),
    ("RedactionBox", SEEN, "left top right bottom origin confidence"),
    ("RedactionEvent", SEEN, "id kind at revision boxCount sha256 note by"),
    ("RedactionRendering", SEEN, "revision sha256 byteSize width height renderedAt"),
    *connection("Redaction"),
)
