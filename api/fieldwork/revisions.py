"""Revisions: an author's correction of an observation, appended to what stood before; media are added, never taken away."""

from dataclasses import replace

import strawberry

from api.fieldwork.placement import directory_for
from api.fieldwork.submission import author_of, expected
from api.graphql.context import Context
from api.media.deduplication import mark_duplicates_uploaded
from api.media.uploads import slots_for
from schema.core.digests import digest_of
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode
from schema.fieldwork.drafts import ObservationDraft, content_of
from schema.fieldwork.observations import Observation, ObservationContent, ObservationRevision
from schema.media.media import Media, expect
from schema.media.uploads import UploadSlot
from storage.mongodb.codecs import to_document

MAX_REASON = 2_000
MAX_REVISIONS = 50


@strawberry.input(description="A correction of an observation of one's own (更正).")
class ReviseObservationInput:
    id: strawberry.ID = strawberry.field(description="Made by the phone: rev_ and a UUIDv7. The key of every replay.")
    reason: str = strawberry.field(description="Why, 1 to 2,000 characters.")
    content: ObservationDraft = strawberry.field(
        description="The whole observation as it should read, under its own id; `media` names those that are new."
    )


@strawberry.type(description="The observation as corrected.")
class ReviseObservationPayload:
    observation: Observation = strawberry.field(description="With its new revision.")
    uploads: list[UploadSlot] = strawberry.field(description="Where to put new media.")


async def revise(context: Context, input: ReviseObservationInput) -> ReviseObservationPayload:
    """Append a revision; the same id with the same content again answers the same and changes nothing."""
    validate_id(input.id, "rev", field="id")
    if not 1 <= len(input.reason.strip()) <= MAX_REASON:
        raise Refusal(RefusalCode.BAD_INPUT, f"A reason has 1 to {MAX_REASON} characters.", field="reason")
    author = author_of(context.actor)
    content = content_of(input.content, author.roles, field="content")
    media = _announced(context, input.content)
    revised = None
    while revised is None:
        # None: another revision came in between. What it added must not be lost, so this one is made upon it.
        revised = await _append(context, input, content, media)
    announced = await context.store.media.many([each.id for each in media])
    slots = await slots_for(context, await mark_duplicates_uploaded(context, announced))
    return ReviseObservationPayload(observation=revised, uploads=list(slots.values()))


def _announced(context: Context, draft: ObservationDraft) -> list[Media]:
    return [
        expect(
            each,
            observation_id=draft.id,
            uploader_id=context.actor.user_id,
            now=context.now,
            max_bytes=context.settings.max_media_bytes,
            field=f"content.media.{number}",
        )
        for number, each in enumerate(draft.media)
    ]


async def _append(
    context: Context, input: ReviseObservationInput, content: ObservationContent, media: list[Media]
) -> Observation | None:
    """One attempt upon the latest revision; None when that is no longer the latest."""
    mine = await context.store.observations.many([input.content.id], {"author_id": context.actor.user_id})
    if not mine:
        raise Refusal(RefusalCode.NOT_FOUND, field="content.id")
    [known] = mine
    digest = digest_of(input)
    same = next((each for each in known.revisions if each.id == input.id), None)
    if same is not None:
        if same.content_sha256 != digest:
            raise Refusal(RefusalCode.CONFLICT, field="id")
        return known
    if known.revision >= MAX_REVISIONS:
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, f"An observation has at most {MAX_REVISIONS} revisions.")
    others, _ = await expected(context, media)
    if others:
        raise Refusal(RefusalCode.CONFLICT, field="content.media")
    added = tuple(id for id in content.media_ids if id not in known.content.media_ids)
    revision = ObservationRevision(
        number=known.revision + 1,
        id=input.id,
        recorded_at=context.now,
        reason=input.reason,
        content_sha256=digest,
        content=replace(content, media_ids=known.content.media_ids + added),
    )
    directory = await directory_for(context.store, [content])
    placed = directory.place(content, scopes=context.actor.scopes, author_id=context.actor.user_id)
    return await context.store.observations.revise(known, revision, to_document(placed))
