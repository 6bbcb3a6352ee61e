"""Releases: the steps that people take on the way to a released photo, each one conditional update and safe to send again.

Four eyes (双人复核): whoever requested or corrected a redaction never approves it, and nobody a copy never opened. Finding faces
and covering boxes is `redaction_work.py`, in the worker.
"""

import strawberry

from api.graphql.context import Context
from api.graphql.creation import create_once
from api.graphql.nodes import first_or_none
from api.media.loaders import find_media
from schema.core.digests import digest_of
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode
from schema.core.replays import check_replay
from schema.core.texts import MAX_NOTE, check_text
from schema.fieldwork.observations import Observation
from schema.media.media import MediaKind, MediaState
from schema.publication.redactions import (
    MAX_BOXES,
    MAX_CORRECTIONS,
    MAX_OF_MEDIUM,
    MAX_PURPOSE,
    MAX_WAITING,
    FaceDetection,
    Redaction,
    RedactionBoxInput,
    RedactionEvent,
    RedactionEventKind,
    RedactionState,
    corrected,
    states_before,
)
from storage.mongodb.filters import within


@strawberry.input(description="A photo of which a copy is wanted for release.")
class RequestRedactionInput:
    id: strawberry.ID = strawberry.field(description="Made by the caller: red_ and a UUIDv7. The key of every replay.")
    media_id: strawberry.ID = strawberry.field(description="The photo: READY, and one that can be shown.")
    purpose: str = strawberry.field(
        description="What it is to be released for, 1 to 500 characters; it stands in the access log too (发布用途)."
    )


@strawberry.input(description="The boxes to cover, whole: they replace those before.")
class CorrectRedactionInput:
    id: strawberry.ID = strawberry.field(description="Made by the caller: evt_ and a UUIDv7. The key of every replay.")
    redaction_id: strawberry.ID = strawberry.field(description="The redaction.")
    revision: int = strawberry.field(description="Its `revision` when the boxes were drawn.")
    boxes: list[RedactionBoxInput] = strawberry.field(
        description=f"Up to {MAX_BOXES}: faces to keep as they are in `faces`, changed ones, and others. None is an answer too."
    )


@strawberry.input(description="A copy that may be released.")
class ApproveRedactionInput:
    id: strawberry.ID = strawberry.field(description="Made by the caller: evt_ and a UUIDv7. The key of every replay.")
    redaction_id: strawberry.ID = strawberry.field(description="The redaction.")
    sha256: str = strawberry.field(description="`rendering.sha256` of the copy that was looked at, by its `link`.")


@strawberry.input(description="A copy that may not be released, or no longer.")
class RejectRedactionInput:
    id: strawberry.ID = strawberry.field(description="Made by the caller: evt_ and a UUIDv7. The key of every replay.")
    redaction_id: strawberry.ID = strawberry.field(description="The redaction.")
    reason: str = strawberry.field(description="Why, 1 to 2,000 characters.")


async def request(context: Context, input: RequestRedactionInput) -> Redaction:
    validate_id(input.id, "red", field="id")
    purpose = check_text(input.purpose, MAX_PURPOSE, "purpose")
    digest = digest_of(input)

    async def find() -> Redaction | None:
        return first_or_none(await context.store.redactions.many([input.id]))

    def check(known: Redaction) -> None:
        check_replay((known.opening_sha256, known.requested_by_id), (digest, context.actor.user_id))

    return await create_once(find, lambda: _create(context, input, purpose, digest), check)


async def _create(context: Context, input: RequestRedactionInput, purpose: str, digest: str) -> Redaction:
    media = await find_media(context, validate_id(input.media_id, "med", field="mediaId"))
    observation = await context.load.one(Observation, media.observation_id) if media else None
    if media is None or observation is None:
        raise Refusal(RefusalCode.NOT_FOUND, field="mediaId")
    if not context.actor.covers(observation.office_path):
        raise Refusal(RefusalCode.OUT_OF_SCOPE, field="mediaId")
    if media.kind is not MediaKind.PHOTO:
        raise Refusal(RefusalCode.BAD_INPUT, "Only a photo is redacted.", field="mediaId")
    if media.state is not MediaState.READY:
        raise Refusal(RefusalCode.WRONG_STATE, f"A photo that is {media.state.value} is not redacted.", field="mediaId")
    if not media.thumbnails:
        raise Refusal(RefusalCode.WRONG_STATE, "Nothing of this photo can be shown.", field="mediaId")
    if await context.store.redactions.count_of_medium(media.id) >= MAX_OF_MEDIUM:
        raise Refusal(
            RefusalCode.LIMIT_EXCEEDED, f"A photo has at most {MAX_OF_MEDIUM} redactions: reject one.", field="mediaId"
        )
    if await context.store.redactions.count_waiting(context.actor.user_id) >= MAX_WAITING:
        raise Refusal(
            RefusalCode.BUSY, f"{MAX_WAITING} of your requests wait for their turn. Try again when some are through."
        )
    asked = _event(context, context.new_id("evt"), RedactionEventKind.REQUESTED, 0, note=purpose)
    made = Redaction(
        id=input.id,
        state=RedactionState.REQUESTED,
        purpose=purpose,
        face_detection=FaceDetection.PENDING,
        faces=[],
        boxes=[],
        revision=0,
        requested_at=context.now,
        history=[asked],
        media_id=media.id,
        observation_id=observation.id,
        office_path=observation.office_path,
        requested_by_id=context.actor.user_id,
        opening_sha256=digest,
    )
    await context.store.redactions.request(made)
    return made


async def correct(context: Context, input: CorrectRedactionInput) -> Redaction:
    redaction = await _in_scope(context, input.id, input.redaction_id)
    boxes = corrected(input.boxes, redaction.faces)
    step = _event(
        context,
        input.id,
        RedactionEventKind.CORRECTED,
        input.revision + 1,
        box_count=len(boxes),
        sent_sha256=digest_of(input),
    )
    if replayed := _replayed(redaction, step):
        return replayed
    if input.revision >= MAX_CORRECTIONS:
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, f"At most {MAX_CORRECTIONS} corrections. Request another one.")
    done = await context.store.redactions.correct(redaction.id, input.revision, boxes, step)
    return done or await _undone(context, redaction.id, step, RedactionState.RENDERING, "revision")


async def approve(context: Context, input: ApproveRedactionInput) -> Redaction:
    redaction = await _in_scope(context, input.id, input.redaction_id)
    step = _event(
        context,
        input.id,
        RedactionEventKind.APPROVED,
        redaction.revision,
        sha256=input.sha256,
        sent_sha256=digest_of(input),
    )
    if replayed := _replayed(redaction, step):
        return replayed
    opened = await context.store.media.was_given(redaction.media_id, redaction.id, input.sha256, context.actor.user_id)
    done = await context.store.redactions.approve(redaction.id, step) if opened else None
    unseen = None if opened else "You have not opened this copy: ask for its `link`, and look at it."
    return done or await _undone(context, redaction.id, step, RedactionState.APPROVED, "sha256", unseen)


async def reject(context: Context, input: RejectRedactionInput) -> Redaction:
    redaction = await _in_scope(context, input.id, input.redaction_id)
    reason = check_text(input.reason, MAX_NOTE, "reason")
    step = _event(
        context,
        input.id,
        RedactionEventKind.REJECTED,
        redaction.revision,
        note=reason,
        sent_sha256=digest_of(input),
    )
    if replayed := _replayed(redaction, step):
        return replayed
    done = await context.store.redactions.reject(redaction.id, step)
    return done or await _undone(context, redaction.id, step, RedactionState.REJECTED, "redactionId")


def _event(
    context: Context,
    id: strawberry.ID,
    kind: RedactionEventKind,
    revision: int,
    *,
    box_count: int | None = None,
    sha256: str | None = None,
    note: str | None = None,
    sent_sha256: str | None = None,
) -> RedactionEvent:
    return RedactionEvent(
        id=id,
        kind=kind,
        at=context.now,
        revision=revision,
        box_count=box_count,
        sha256=sha256,
        note=note,
        by_id=context.actor.user_id,
        sent_sha256=sent_sha256,
    )


async def _in_scope(context: Context, event_id: str, id: str) -> Redaction:
    """Raises `Refusal(NOT_FOUND)` for a redaction that isn't of an office in the viewer's scope."""
    validate_id(event_id, "evt", field="id")
    wanted = validate_id(id, "red", field="redactionId")
    found = await context.store.redactions.many([wanted], within("office_path", context.actor.scopes))
    if not found:
        raise Refusal(RefusalCode.NOT_FOUND, field="redactionId")
    return found[0]


def _replayed(known: Redaction, step: RedactionEvent) -> Redaction | None:
    """The redaction as it is now, where its history has this step; raises `Refusal(CONFLICT)` where it is another one."""
    for each in known.history:
        if each.id == step.id:
            check_replay((each.kind, each.sent_sha256, each.by_id), (step.kind, step.sent_sha256, step.by_id))
            return known
    return None


async def _undone(
    context: Context, id: str, step: RedactionEvent, wanted: RedactionState, seen: str, unseen: str | None = None
) -> Redaction:
    """As it is now, where the same step was faster; raises `Refusal` that says why it couldn't be taken.

    `seen` is the input's field that says what the caller had before the eyes; `unseen`, that it was nothing.
    """
    [known] = await context.store.redactions.many([id])
    if replayed := _replayed(known, step):
        return replayed
    if known.state not in states_before(wanted):
        raise Refusal(RefusalCode.WRONG_STATE, f"The redaction is {known.state.value}.", field="redactionId")
    if wanted is RedactionState.APPROVED and known.is_work_of(context.actor.user_id):
        raise Refusal(RefusalCode.OWN_WORK)
    raise Refusal(RefusalCode.OUTDATED, unseen, field=seen)
