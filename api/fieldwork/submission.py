"""Submit a batch of drafts: load the needed data at once, decide on each draft, and store all observations together.

The media of a draft are stored first and its observation last. The observation is the commit point. Without the
observation, the media are invisible, and a retry of the draft stores them again if they are gone. The number of MongoDB
commands does not depend on the number of drafts: new drafts take one read and two inserts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import strawberry

from api.accounts.device_clocks import record_clock
from api.fieldwork.placement import DirectoryReads, placement_author
from api.graphql.context import Context, check_batch_size
from api.graphql.id_conflicts import ConflictingItem, store_conflicts
from api.graphql.item_isolation import internal_refusal
from api.media.announcements import expect_media
from api.media.deduplication import CopyAllowance, mark_duplicates_uploaded, read_known_bytes
from api.media.uploads import sign_slots
from schema.access.viewers import Viewer
from schema.accounts.device_clocks import DeviceClockInput
from schema.core.digests import digest_of
from schema.core.refusals import NextStep, Refusal, RefusalCode, Refused
from schema.fieldwork.drafts import (
    MAX_DRAFTS,
    Author,
    DraftResult,
    ObservationDraft,
    Outcome,
    UnreadableDraft,
    content_of,
    new_observation,
)
from schema.fieldwork.observations import Observation, ObservationContent
from schema.fieldwork.placement import Directory
from schema.media.media import Media
from schema.media.media_drafts import media_from_draft
from storage.mongodb.combined_reads import run_together


@strawberry.input(description="Drafts from a phone's outbox.")
class SubmitObservationsInput:
    drafts: list[ObservationDraft] = strawberry.field(
        description="1 to 50 drafts. Each is accepted or refused independently."
    )
    device_clock: DeviceClockInput | None = strawberry.field(
        description="Time on the device's clock. The server needs it to interpret the times of the drafts (设备时钟).",
        default=None,
    )


@strawberry.type(description="Outcome of each draft.")
class SubmitObservationsPayload:
    results: list[DraftResult] = strawberry.field(description="One result per draft, in the order of the drafts.")


@dataclass(frozen=True)
class _Stored:
    """What is stored already: observations with the drafts' ids, named units and points, and bytes of the same media."""

    observations: Mapping[str, Observation]
    directory: Directory
    allowance: CopyAllowance


@dataclass
class _DraftItem:
    """A draft of the batch with its content, media and result. `result` is None until the draft is decided."""

    index: int
    draft: ObservationDraft
    digest: str
    content: ObservationContent
    media: list[Media]
    result: DraftResult | None = None


async def submit(
    context: Context,
    drafts: Sequence[ObservationDraft],
    device_clock: DeviceClockInput | None = None,
    unreadable: Sequence[UnreadableDraft] = (),
) -> SubmitObservationsPayload:
    """Store or refuse every draft. Raise `Refusal` only if the whole batch is invalid."""
    check_batch_size(MAX_DRAFTS, [*drafts, *unreadable], "drafts")
    author = author_of(context.actor)
    places = readable_indexes(len(drafts), unreadable)
    results = {draft.index: _unreadable_result(draft) for draft in unreadable}
    settling: list[_DraftItem] = []
    for index, draft in zip(places, drafts, strict=True):
        try:
            settling.append(_parse(context, author, index, draft))
        except Refusal as refusal:
            results[index] = refused_result(draft.id, refusal)
    reading = await record_clock(context, device_clock, author.user_id, author.device_id)
    await _settle_isolated(context, replace(author, skew=reading.skew if reading else None), settling)
    results |= {item.index: item.result for item in settling if item.result}
    for result in results.values():
        if result.refusal:
            context.count_refusal(Refusal(result.refusal.code))
    return SubmitObservationsPayload(results=[results[index] for index in sorted(results)])


def author_of(viewer: Viewer) -> Author:
    """Return the viewer as author. Raise `Refusal(FORBIDDEN)` if the viewer belongs to no office."""
    if viewer.office_id is None or viewer.office_path is None:
        raise Refusal(
            RefusalCode.FORBIDDEN,
            "Your account belongs to no office. Ask your administrator to set it. Your drafts stay on the phone"
            " until then.",
            next_step=NextStep.RETRY_LATER,
        )
    return Author(viewer.user_id, viewer.device_id, viewer.roles, viewer.office_id, viewer.office_path)


def refused_result(id: str | None, refusal: Refusal) -> DraftResult:
    return DraftResult(id=id, outcome=Outcome.REFUSED, refusal=Refused.of(refusal))


def _unreadable_result(draft: UnreadableDraft) -> DraftResult:
    return refused_result(draft.id, Refusal(RefusalCode.BAD_INPUT, draft.message, field=draft.field))


def readable_indexes(count: int, unreadable: Sequence[UnreadableDraft]) -> list[int]:
    """Return the indexes of the `count` readable drafts in the batch as the phone sent it."""
    taken = {draft.index for draft in unreadable}
    return [index for index in range(count + len(taken)) if index not in taken]


def _parse(context: Context, author: Author, index: int, draft: ObservationDraft) -> _DraftItem:
    field = f"drafts.{index}"
    content = content_of(draft, author.roles, field=field)
    media = [
        media_from_draft(
            medium,
            observation_id=draft.id,
            uploader_id=author.user_id,
            now=context.now,
            max_bytes=context.settings.max_media_bytes,
            field=f"{field}.media.{number}",
        )
        for number, medium in enumerate(draft.media)
    ]
    return _DraftItem(index, draft, digest_of(draft), content, media)


async def _settle_isolated(context: Context, author: Author, settling: list[_DraftItem]) -> None:
    """Set the result of every draft.

    All drafts are handled together. If our code fails, each draft is handled alone, so that a draft that causes a
    failure does not affect the others.
    """
    try:
        await _settle(context, author, settling)
    except Refusal:
        raise
    except Exception as error:  # noqa: BLE001  masked and logged; drafts stored before the error are found as known
        failure = internal_refusal(error)
        for item in settling:
            try:
                if item.result is None and len(settling) > 1:
                    await _settle(context, author, [item])
            except Exception as own:  # noqa: BLE001
                failure = internal_refusal(own)
            if item.result is None:
                item.result = refused_result(item.draft.id, failure)


async def _settle(context: Context, author: Author, settling: list[_DraftItem]) -> None:
    """Handle drafts whose id is already stored. For the others, store first the media and then the observations.

    If another request stores the same id meanwhile, the draft is treated as already stored.
    """
    if not settling:
        return
    stored = await _read_stored(context, settling)
    await _settle_known(context, author, settling, stored)
    open_items = _first_of_each_id(settling)
    known = await _expect_draft_media(context, open_items)
    open_items = [item for item in open_items if item.result is None]
    observations = _build_observations(context, author, open_items, stored.directory)
    taken = (await context.store.observations.add(list(observations.values()))).duplicate_ids
    accepted = {id: observation for id, observation in observations.items() if id not in taken}
    named = [known.get(media.id, media) for item in open_items if item.draft.id in accepted for media in item.media]
    slots = await sign_slots(context, await mark_duplicates_uploaded(context, named, stored.allowance))
    for item in open_items:
        if observation := accepted.get(item.draft.id):
            uploads = [slots[media.id] for media in item.media if media.id in slots]
            item.result = DraftResult(
                id=observation.id,
                outcome=Outcome.ACCEPTED,
                receipt=observation.make_receipt(),
                observation=observation,
                uploads=uploads,
            )
    left = [item for item in settling if item.result is None]
    if left:
        taken_now = await context.store.observations.many([item.draft.id for item in left])
        stored = replace(stored, observations={record.id: record for record in taken_now})
        await _settle_known(context, author, left, stored)


async def _read_stored(context: Context, settling: Sequence[_DraftItem]) -> _Stored:
    store = context.store
    known = store.observations.read_many([item.draft.id for item in settling])
    named = DirectoryReads(store, [item.content for item in settling])
    sent = read_known_bytes(context, [media for item in settling for media in item.media])
    await run_together(store.mongo, (*named.reads, known, sent))
    return _Stored({record.id: record for record in known.result}, named.directory, CopyAllowance(sent.result))


def _first_of_each_id(settling: Sequence[_DraftItem]) -> list[_DraftItem]:
    """Return the first draft of each id, among the drafts without a result.

    A second draft with the same id is handled later, when the first draft is already stored.
    """
    first: dict[str, _DraftItem] = {}
    for item in settling:
        if item.result is None:
            first.setdefault(item.draft.id, item)
    return list(first.values())


async def _settle_known(context: Context, author: Author, settling: Sequence[_DraftItem], stored: _Stored) -> None:
    """Set the result of drafts whose id is already stored.

    The result is DUPLICATE if author and content are the same. Otherwise the draft is refused as a conflict.
    """
    duplicates, conflicts = [], []
    for item in settling:
        known = stored.observations.get(item.draft.id)
        if known is None:
            continue
        if known.author_id == author.user_id and known.revisions[0].content_sha256 == item.digest:
            duplicates.append((item, known))
        else:
            conflicts.append((item, f"drafts.{item.index}.id"))
    await _refuse_conflicts(context, conflicts)
    if duplicates:
        await _answer_duplicates(context, duplicates, stored.allowance)


async def _answer_duplicates(
    context: Context, duplicates: Sequence[tuple[_DraftItem, Observation]], allowance: CopyAllowance
) -> None:
    ids = [media.id for item, _ in duplicates for media in item.media]
    media = {medium.id: medium for medium in await context.store.media.many(ids)} if ids else {}
    slots = await sign_slots(context, await mark_duplicates_uploaded(context, list(media.values()), allowance))
    for item, known in duplicates:
        item.result = DraftResult(
            id=known.id,
            outcome=Outcome.DUPLICATE,
            receipt=known.make_receipt(),
            observation=known,
            uploads=[slots[wanted.id] for wanted in item.media if wanted.id in slots],
        )


async def _refuse_conflicts(context: Context, conflicts: Sequence[tuple[_DraftItem, str]]) -> None:
    newcomers = [ConflictingItem(item.draft.id, item.draft, field) for item, field in conflicts]
    for (item, _), refusal in zip(conflicts, await store_conflicts(context, newcomers), strict=True):
        item.result = refused_result(item.draft.id, refusal)


async def _expect_draft_media(context: Context, settling: Sequence[_DraftItem]) -> dict[str, Media]:
    """Store the media of these drafts in state EXPECTED. Return the media that were already stored, by id.

    Refuse a draft as a conflict if the id of one of its media is taken by another medium.
    """
    announced = [media for item in settling for media in item.media]
    others, known = await expect_media(context, announced)
    fields: dict[int, str] = {}
    for medium in others:
        place, owner = next((at, item) for at, item in enumerate(settling) if any(one is medium for one in item.media))
        fields.setdefault(place, f"drafts.{owner.index}.media.{owner.media.index(medium)}.id")
    await _refuse_conflicts(context, [(settling[place], field) for place, field in fields.items()])
    return known


def _build_observations(
    context: Context, author: Author, settling: Sequence[_DraftItem], directory: Directory
) -> dict[str, Observation]:
    """Return new observations for the drafts, by id. Each is placed if the author may find its unit and its point."""
    placing = placement_author(context.actor)
    return {
        item.draft.id: new_observation(
            item.draft.id,
            item.content,
            item.digest,
            author,
            directory.resolve(item.content, placing),
            context.now,
        )
        for item in settling
    }
