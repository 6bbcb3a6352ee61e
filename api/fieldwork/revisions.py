"""Correct observations (更正): an author appends a revision. A revision may add media but never removes media."""

from dataclasses import replace

import strawberry

from api.fieldwork.placement import directory_for, placement_author
from api.fieldwork.submission import author_of
from api.graphql.context import Context
from api.media.announcements import expect_media
from api.media.deduplication import mark_duplicates_uploaded
from api.media.uploads import sign_slots
from schema.casework.case_moves import OPEN
from schema.core.digests import digest_of
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode
from schema.core.replays import check_replay
from schema.core.texts import MAX_NOTE, check_text
from schema.fieldwork.drafts import MAX_MEDIA, ObservationDraft, content_of
from schema.fieldwork.observations import Observation, ObservationContent, ObservationRevision
from schema.media.media import Media
from schema.media.media_drafts import media_from_draft
from schema.media.uploads import UploadSlot
from storage.casework.cases import UndoneError
from storage.mongodb.codecs import to_document

MAX_REVISIONS = 50
FULL = f"An observation has at most {MAX_MEDIA} media, with those of earlier versions. Submit a new observation for others."
ENDED = (
    "A case that rests on this observation has ended. Submit a new observation, or ask the office to reopen the case."
)


@strawberry.input(description="A correction of one of the viewer's own observations (更正).")
class ReviseObservationInput:
    id: strawberry.ID = strawberry.field(
        description="Id of the new revision, created by the phone: rev_ and a UUIDv7. Send the same id with every"
        " retry."
    )
    reason: str = strawberry.field(description="Reason for the correction, 1 to 2,000 characters.")
    content: ObservationDraft = strawberry.field(
        description="The complete corrected observation, with the observation's id. `media` lists the new media only."
    )


@strawberry.type(description="The corrected observation.")
class ReviseObservationPayload:
    observation: Observation = strawberry.field(description="The observation with its new revision.")
    uploads: list[UploadSlot] = strawberry.field(description="Upload slots for the new media that have not arrived.")


async def revise(context: Context, input: ReviseObservationInput) -> ReviseObservationPayload:
    """Append a revision. A repeated request changes nothing and returns the same result."""
    validate_id(input.id, "rev", field="id")
    check_text(input.reason, MAX_NOTE, "reason")
    author = author_of(context.actor)
    content = content_of(input.content, author.roles, field="content")
    media = _parse_media(context, input.content)
    revised = None
    while revised is None:
        # `_append` returns None if another revision was stored meanwhile. Append after it, so that its media are kept.
        revised = await _append(context, input, content, media)
    announced = await context.store.media.many([medium.id for medium in media])
    slots = await sign_slots(context, await mark_duplicates_uploaded(context, announced))
    return ReviseObservationPayload(observation=revised, uploads=list(slots.values()))


def _parse_media(context: Context, draft: ObservationDraft) -> list[Media]:
    return [
        media_from_draft(
            medium,
            observation_id=draft.id,
            uploader_id=context.actor.user_id,
            now=context.now,
            max_bytes=context.settings.max_media_bytes,
            field=f"content.media.{number}",
        )
        for number, medium in enumerate(draft.media)
    ]


async def _append(
    context: Context, input: ReviseObservationInput, content: ObservationContent, media: list[Media]
) -> Observation | None:
    """Try once to append a revision to the observation. Return None if another revision was stored meanwhile."""
    known = await context.store.observations.whole(input.content.id, {"author_id": context.actor.user_id})
    if known is None:
        raise Refusal(RefusalCode.NOT_FOUND, field="content.id")
    digest = digest_of(input)
    same = next((revision for revision in known.revisions if revision.id == input.id), None)
    if same is not None:
        check_replay(same.content_sha256, digest)
        return known
    if known.revision >= MAX_REVISIONS:
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, f"An observation has at most {MAX_REVISIONS} revisions.")
    added = tuple(id for id in content.media_ids if id not in known.content.media_ids)
    if added and len(known.content.media_ids) + len(added) > MAX_MEDIA:
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, FULL, field="content.media")
    await _require_open_cases(context, known)
    others, _ = await expect_media(context, media)
    if others:
        raise Refusal(RefusalCode.CONFLICT, field="content.media")
    revision = ObservationRevision(
        number=known.revision + 1,
        id=input.id,
        recorded_at=context.now,
        reason=input.reason,
        content_sha256=digest,
        content=replace(content, media_ids=known.content.media_ids + added),
    )
    directory = await directory_for(context.store, [content])
    placed = directory.resolve(content, placement_author(context.actor))
    try:
        return await context.store.cases.revise_evidence(known, revision, to_document(placed))
    except UndoneError:
        raise Refusal(RefusalCode.WRONG_STATE, ENDED, field="content.id") from None


async def _require_open_cases(context: Context, observation: Observation) -> None:
    """Raise `Refusal(WRONG_STATE)` if a case that rests on the observation is closed or declined.

    The outcome and the reply of that case were given for this evidence, so it changes only when the case is reopened.
    """
    cases = await context.store.cases.many(observation.case_ids) if observation.case_ids else []
    if any(case.state not in OPEN for case in cases):
        raise Refusal(RefusalCode.WRONG_STATE, ENDED, field="content.id")
