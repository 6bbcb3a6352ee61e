"""Define redactions (脱敏发布): copies of photos for release, in which faces and other chosen boxes are painted black.

A second person must approve each copy.
"""

import enum
from collections.abc import Sequence
from datetime import datetime

import strawberry

from schema.access.permissions import OFFICERS, READERS, SEEN, Row, connection
from schema.access.viewers import UNKNOWN_OPEN, Capacity, Role, Viewer
from schema.accounts.users import User, load_named
from schema.core.context import Info
from schema.core.nodes import Node
from schema.core.refusals import Refusal, RefusalCode
from schema.core.times import ByteCount
from schema.media.media import Link, Media

MAX_BOXES = 200
MAX_CORRECTIONS = 50
MAX_OF_MEDIUM = 20
MAX_WAITING = 50
"""Limit of one person's unfinished requests. The worker takes requests in order, so more would delay other people."""
MAX_PURPOSE = 500


@strawberry.enum(description="The state of a redaction (脱敏状态).")
class RedactionState(enum.Enum):
    REQUESTED = strawberry.enum_value("REQUESTED", description="The worker looks for faces (查找人脸中).")
    PROPOSED = strawberry.enum_value("PROPOSED", description="A person must check and correct the boxes (待人工修正).")
    RENDERING = strawberry.enum_value(
        "RENDERING", description="The worker makes the copy in which the corrected boxes are painted black (生成中)."
    )
    AWAITING_APPROVAL = strawberry.enum_value(
        "AWAITING_APPROVAL", description="A second person must review the copy (待复核)."
    )
    APPROVED = strawberry.enum_value("APPROVED", description="The copy may be released (已批准发布).")
    REJECTED = strawberry.enum_value(
        "REJECTED",
        description="The copy was rejected, the request was cancelled, or the approval was withdrawn (不予发布、撤回).",
    )
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
"""The states that may follow each state.

The worker makes a copy only after a person has corrected the boxes. An approval can be withdrawn.
"""

WORK = frozenset({S.REQUESTED, S.RENDERING})
"""States in which the worker has work to do."""


@strawberry.enum(description="Whether the worker has looked for faces (人脸查找).")
class FaceDetection(enum.Enum):
    PENDING = strawberry.enum_value("PENDING", description="The worker has not looked for faces yet (待查找).")
    DONE = strawberry.enum_value(
        "DONE",
        description="The worker has looked for faces. `faces` may miss some faces and contain false ones (已查找).",
    )
    UNAVAILABLE = strawberry.enum_value(
        "UNAVAILABLE", description="This installation has no face detection. Draw all boxes by hand (未安装)."
    )
    FAILED = strawberry.enum_value(
        "FAILED", description="The search for faces failed three times. Draw all boxes by hand (未能完成)."
    )


@strawberry.enum(description="How a box was made (来源).")
class BoxOrigin(enum.Enum):
    FACE = strawberry.enum_value("FACE", description="The worker detected a face, and nobody changed the box (人脸).")
    HAND = strawberry.enum_value("HAND", description="A person drew or changed the box (人工).")


@strawberry.type(
    description="A rectangle in the upright picture. Its sides are fractions of the picture's width and height (遮盖框)."
)
class RedactionBox:
    left: float = strawberry.field(
        description="Left side of the box. 0 is the left edge of the picture, and 1 is the right edge."
    )
    top: float = strawberry.field(
        description="Top side of the box. 0 is the top edge of the picture, and 1 is the bottom edge."
    )
    right: float = strawberry.field(description="Right side of the box. It is greater than `left` and at most 1.")
    bottom: float = strawberry.field(description="Bottom side of the box. It is greater than `top` and at most 1.")
    origin: BoxOrigin = strawberry.field(description="Whether the box was detected as a face or drawn by hand.")
    confidence: float | None = strawberry.field(
        description="How sure the detection is that this is a face, 0 to 1. Null for a box drawn by hand.", default=None
    )

    @property
    def edges(self) -> tuple[float, float, float, float]:
        return self.left, self.top, self.right, self.bottom


@strawberry.input(
    description="A rectangle in the upright picture. Its sides are fractions of the picture's width and height (遮盖框)."
)
class RedactionBoxInput:
    left: float = strawberry.field(
        description="Left side of the box. 0 is the left edge of the picture, and 1 is the right edge."
    )
    top: float = strawberry.field(
        description="Top side of the box. 0 is the top edge of the picture, and 1 is the bottom edge."
    )
    right: float = strawberry.field(description="Right side of the box. It must be greater than `left` and at most 1.")
    bottom: float = strawberry.field(description="Bottom side of the box. It must be greater than `top` and at most 1.")


@strawberry.type(
    description="The redacted copy: an upright JPEG without metadata, in which the boxes are painted black (脱敏件)."
)
class RedactionRendering:
    revision: int = strawberry.field(description="Number of the correction whose boxes are painted black in this copy.")
    sha256: str = strawberry.field(description="SHA-256 of the copy. An approval must name this value.")
    byte_size: ByteCount = strawberry.field(description="Size of the copy in bytes.")
    width: int = strawberry.field(description="Width in pixels.")
    height: int = strawberry.field(description="Height in pixels.")
    rendered_at: datetime = strawberry.field(description="When the copy was made.")
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
    id: strawberry.ID = strawberry.field(description="Id of the entry: `evt_` and a UUIDv7.")
    kind: RedactionEventKind = strawberry.field(description="What happened.")
    at: datetime = strawberry.field(description="When it happened.")
    revision: int = strawberry.field(description="Number of corrections after this step.")
    box_count: int | None = strawberry.field(description="Number of boxes detected or sent in this step.", default=None)
    sha256: str | None = strawberry.field(description="SHA-256 of the copy that was made or approved.", default=None)
    note: str | None = strawberry.field(
        description="Purpose of the request, reason of the rejection, or code of the failure.", default=None
    )
    by_id: strawberry.Private[str | None] = None
    sent_sha256: strawberry.Private[str | None] = None
    by_capacity: strawberry.Private[Capacity | None] = None
    """None for steps of the worker, and for steps that are older than this field."""

    @property
    def capacity(self) -> Capacity:
        """In which capacity the person took the step."""
        return self.by_capacity or UNKNOWN_OPEN

    @strawberry.field(
        description="The person who took the step. Null if the worker took the step, or if you may not see the person."
    )
    async def by(self, info: Info) -> User | None:
        return await load_named(info, self.by_id, self.capacity)


@strawberry.type(
    description="A copy of a photo for release, in which faces and other chosen boxes are painted black (脱敏发布)."
)
class Redaction(Node, prefix="red"):
    state: RedactionState = strawberry.field(description="State of the redaction.")
    purpose: str = strawberry.field(description="The purpose of the release (发布用途).")
    face_detection: FaceDetection = strawberry.field(description="Whether the worker has looked for faces.")
    faces: list[RedactionBox] = strawberry.field(description="Detected faces, highest confidence first (人脸).")
    boxes: list[RedactionBox] = strawberry.field(
        description="All boxes to cover: the detected faces before the first correction, afterwards the boxes of the "
        "latest correction (遮盖框)."
    )
    revision: int = strawberry.field(description="Number of corrections so far (修正次数).")
    rendering: RedactionRendering | None = strawberry.field(
        description="The copy in which `boxes` are painted black. Null until the worker has made this copy.",
        default=None,
    )
    failure: str | None = strawberry.field(description="Why the photo can't be redacted.", default=None)
    requested_at: datetime = strawberry.field(description="When the redaction was requested.")
    history: list[RedactionEvent] = strawberry.field(description="History of the redaction, oldest first (办理记录).")
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

    @strawberry.field(
        description="The person who requested the redaction. Null if you may not see the person (申请人)."
    )
    async def requested_by(self, info: Info) -> User | None:
        return await load_named(info, self.requested_by_id, self._capacity(RedactionEventKind.REQUESTED))

    @strawberry.field(
        description="The person who approved or rejected the redaction. Null before that, or if you may not see the "
        "person (复核人)."
    )
    async def decided_by(self, info: Info) -> User | None:
        capacity = self._capacity(RedactionEventKind.APPROVED, RedactionEventKind.REJECTED)
        return await load_named(info, self.decided_by_id, capacity)

    def _capacity(self, *kinds: RedactionEventKind) -> Capacity:
        """Return in which capacity the person of the latest step of these kinds acted."""
        return next((event.capacity for event in reversed(self.history) if event.kind in kinds), UNKNOWN_OPEN)

    @strawberry.field(
        description="A link to the copy. Officers in scope get a link while the state is AWAITING_APPROVAL. All "
        "readers get a link when it is APPROVED."
    )
    async def link(self, info: Info) -> Link | None:
        return await info.context.load.one(Link, redaction=self)

    def is_open_to(self, viewer: Viewer) -> bool:
        """Return whether a viewer who can see the redaction may also download its copy."""
        if self.state is RedactionState.APPROVED:
            return True
        in_scope = viewer.has(Role.OFFICER) and viewer.covers(self.office_path)
        return self.state is RedactionState.AWAITING_APPROVAL and in_scope

    def is_work_of(self, user_id: str) -> bool:
        """Return whether the person requested or ever corrected the redaction. If so, somebody else must approve it."""
        return user_id == self.requested_by_id or user_id in self.corrector_ids


def states_before(target: RedactionState) -> frozenset[RedactionState]:
    """Return the states from which a redaction may move to `target`."""
    return frozenset(state for state, targets in MOVES.items() if target in targets)


def validate_boxes(boxes: Sequence[RedactionBoxInput], faces: Sequence[RedactionBox]) -> list[RedactionBox]:
    """Return the boxes to cover.

    A box with the same sides as a detected face keeps the origin FACE. Every other box gets the origin HAND. Raise
    `Refusal(LIMIT_EXCEEDED)` if there are more than 200 boxes. Raise `Refusal(BAD_INPUT)` if a box has no area or is
    partly outside the picture.
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
