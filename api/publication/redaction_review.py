"""Perform the steps of a redaction that people take: request, correct, approve, reject.

Each step is one conditional update, so a client may send it again.
Four-eyes rule (双人复核): a person can't approve a redaction that this person requested or corrected, and can't approve a
copy that this person has not opened.
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
    states_before,
    validate_boxes,
)
from storage.mongodb.filters import within


@strawberry.input(description="A photo to redact for release.")
class RequestRedactionInput:
    id: strawberry.ID = strawberry.field(
        description="Id of the new redaction, created by the caller: red_ and a UUIDv7. Send the same id with every"
        " retry."
    )
    media_id: strawberry.ID = strawberry.field(description="The photo. It must be READY and have thumbnails.")
    purpose: str = strawberry.field(
        description="The purpose of the release, 1 to 500 characters. The access log also records the purpose (发布用途)."
    )


@strawberry.input(description="All boxes to cover. They replace the previous boxes.")
class CorrectRedactionInput:
    id: strawberry.ID = strawberry.field(
        description="Id of this step, created by the caller: evt_ and a UUIDv7. Send the same id with every retry."
    )
    redaction_id: strawberry.ID = strawberry.field(description="The redaction.")
    revision: int = strawberry.field(description="The redaction's `revision` when the boxes were drawn.")
    boxes: list[RedactionBoxInput] = strawberry.field(
        description=f"At most {MAX_BOXES} boxes: boxes from `faces`, unchanged or changed, and new boxes. May be empty."
    )


@strawberry.input(description="The approval of a copy for release.")
class ApproveRedactionInput:
    id: strawberry.ID = strawberry.field(
        description="Id of this step, created by the caller: evt_ and a UUIDv7. Send the same id with every retry."
    )
    redaction_id: strawberry.ID = strawberry.field(description="The redaction.")
    sha256: str = strawberry.field(description="`rendering.sha256` of the copy that you opened by its `link`.")


@strawberry.input(description="The rejection of a copy, or the withdrawal of an approval.")
class RejectRedactionInput:
    id: strawberry.ID = strawberry.field(
        description="Id of this step, created by the caller: evt_ and a UUIDv7. Send the same id with every retry."
    )
    redaction_id: strawberry.ID = strawberry.field(description="The redaction.")
    reason: str = strawberry.field(description="The reason, 1 to 2,000 characters.")


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
        raise Refusal(RefusalCode.BAD_INPUT, "Only photos can be redacted.", field="mediaId")
    if media.state is not MediaState.READY:
        raise Refusal(RefusalCode.WRONG_STATE, f"The photo is {media.state.value}. It must be READY.", field="mediaId")
    if not media.thumbnails:
        raise Refusal(RefusalCode.WRONG_STATE, "This photo can't be shown.", field="mediaId")
    if await context.store.redactions.count_of_medium(media.id) >= MAX_OF_MEDIUM:
        raise Refusal(
            RefusalCode.LIMIT_EXCEEDED, f"A photo has at most {MAX_OF_MEDIUM} redactions. Reject one.", field="mediaId"
        )
    if await context.store.redactions.count_waiting(context.actor.user_id) >= MAX_WAITING:
        raise Refusal(
            RefusalCode.BUSY, f"{MAX_WAITING} of your requests are waiting. Try again when some of them are done."
        )
    event = _event(context, context.new_id("evt"), RedactionEventKind.REQUESTED, 0, note=purpose)
    redaction = Redaction(
        id=input.id,
        state=RedactionState.REQUESTED,
        purpose=purpose,
        face_detection=FaceDetection.PENDING,
        faces=[],
        boxes=[],
        revision=0,
        requested_at=context.now,
        history=[event],
        media_id=media.id,
        observation_id=observation.id,
        office_path=observation.office_path,
        requested_by_id=context.actor.user_id,
        opening_sha256=digest,
    )
    await context.store.redactions.request(redaction)
    return redaction


async def correct(context: Context, input: CorrectRedactionInput) -> Redaction:
    redaction = await _find_in_scope(context, input.id, input.redaction_id)
    boxes = validate_boxes(input.boxes, redaction.faces)
    step = _event(
        context,
        input.id,
        RedactionEventKind.CORRECTED,
        input.revision + 1,
        box_count=len(boxes),
        sent_sha256=digest_of(input),
    )
    if replayed := _find_replay(redaction, step):
        return replayed
    if input.revision >= MAX_CORRECTIONS:
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, f"At most {MAX_CORRECTIONS} corrections. Request a new redaction.")
    updated = await context.store.redactions.correct(redaction.id, input.revision, boxes, step)
    return updated or await _replay_or_refuse(context, redaction.id, step, RedactionState.RENDERING, "revision")


async def approve(context: Context, input: ApproveRedactionInput) -> Redaction:
    redaction = await _find_in_scope(context, input.id, input.redaction_id)
    step = _event(
        context,
        input.id,
        RedactionEventKind.APPROVED,
        redaction.revision,
        sha256=input.sha256,
        sent_sha256=digest_of(input),
    )
    if replayed := _find_replay(redaction, step):
        return replayed
    has_opened = await context.store.media.was_link_issued(
        redaction.media_id, redaction.id, input.sha256, context.actor.user_id
    )
    updated = await context.store.redactions.approve(redaction.id, step) if has_opened else None
    unseen = None if has_opened else "You have not opened this copy. Open its `link` and look at it first."
    return updated or await _replay_or_refuse(context, redaction.id, step, RedactionState.APPROVED, "sha256", unseen)


async def reject(context: Context, input: RejectRedactionInput) -> Redaction:
    redaction = await _find_in_scope(context, input.id, input.redaction_id)
    reason = check_text(input.reason, MAX_NOTE, "reason")
    step = _event(
        context,
        input.id,
        RedactionEventKind.REJECTED,
        redaction.revision,
        note=reason,
        sent_sha256=digest_of(input),
    )
    if replayed := _find_replay(redaction, step):
        return replayed
    updated = await context.store.redactions.reject(redaction.id, step)
    return updated or await _replay_or_refuse(context, redaction.id, step, RedactionState.REJECTED, "redactionId")


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
        by_capacity=context.actor.capacity,
    )


async def _find_in_scope(context: Context, event_id: str, id: str) -> Redaction:
    """Return the redaction. Raise `Refusal(NOT_FOUND)` if its office is not in the viewer's scope."""
    validate_id(event_id, "evt", field="id")
    validate_id(id, "red", field="redactionId")
    redactions = await context.store.redactions.many([id], within("office_path", context.actor.scopes))
    if not redactions:
        raise Refusal(RefusalCode.NOT_FOUND, field="redactionId")
    return redactions[0]


def _find_replay(known: Redaction, step: RedactionEvent) -> Redaction | None:
    """Return the redaction if its history has this step, otherwise None.

    Raise `Refusal(CONFLICT)` if the history has another step with the same id.
    """
    for event in known.history:
        if event.id == step.id:
            check_replay((event.kind, event.sent_sha256, event.by_id), (step.kind, step.sent_sha256, step.by_id))
            return known
    return None


async def _replay_or_refuse(
    context: Context, id: str, step: RedactionEvent, target: RedactionState, field: str, unseen: str | None = None
) -> Redaction:
    """Explain why an update changed nothing.

    Return the redaction if a concurrent request took the same step. Otherwise raise a `Refusal` with the reason.
    `field` is the input field that names the version that the caller saw. An outdated version is reported for this
    field. `unseen` is the message to use if the caller has not opened the copy.
    """
    [known] = await context.store.redactions.many([id])
    if replayed := _find_replay(known, step):
        return replayed
    if known.state not in states_before(target):
        raise Refusal(RefusalCode.WRONG_STATE, f"The redaction is {known.state.value}.", field="redactionId")
    if target is RedactionState.APPROVED and known.is_work_of(context.actor.user_id):
        raise Refusal(RefusalCode.OWN_WORK)
    raise Refusal(RefusalCode.OUTDATED, unseen, field=field)
