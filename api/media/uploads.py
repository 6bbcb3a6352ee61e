"""Uploads: signed places for the bytes of a phone or a browser; uploads in parts are begun, resumed and given up.

Bytes never pass through here. What is found in the store is `arrivals.py`'s; the GraphQL fields are in `media.py`.
"""

from collections.abc import Sequence
from datetime import timedelta

import strawberry

from api.graphql.context import Context
from api.media.announcements import announced
from api.media.deduplication import mark_duplicates_uploaded
from api.media.owned_media import most_at_once, of_ones_own, one_of, settled
from api.media.upload_confirmation import arrive
from schema.core.refusals import Refusal, RefusalCode, Refused
from schema.core.times import ByteCount
from schema.media.media import ARRIVED, Media
from schema.media.uploads import (
    AbortResult,
    FormField,
    UploadHeader,
    UploadKind,
    UploadPart,
    UploadRequest,
    UploadResult,
    UploadSlot,
    digests_of,
    part_bytes_of,
)
from storage.s3 import multipart
from storage.s3.client import Put, SignedUrl

MAX_PARTS_AT_ONCE = 512
MAX_PARTS = 10_000
"""What S3 allows."""


async def slots_for(context: Context, media: Sequence[Media]) -> dict[str, UploadSlot]:
    """A slot for each medium that has not arrived, by id, made without a call to the store.

    One larger than a single PUT may be gets a slot without parts: `requestUploads` begins it.
    """
    missing = [each for each in media if each.state not in ARRIVED]
    single = [each for each in missing if each.byte_size <= context.settings.single_put_bytes]
    seconds = context.settings.upload_slot_seconds
    signed = await context.store.objects.sign_puts([_whole(each) for each in single], seconds=seconds)
    slots = {each.id: UploadSlot(media_id=each.id, kind=UploadKind.MULTIPART) for each in missing}
    for each, put in zip(single, signed, strict=True):
        slots[each.id] = UploadSlot(
            media_id=each.id,
            kind=UploadKind.SINGLE,
            url=put.url,
            headers=_headers(put),
            expires_at=context.now + timedelta(seconds=seconds),
        )
    return {str(id): slot for id, slot in slots.items()}


def _whole(media: Media) -> Put:
    return Put(media.key, media.byte_size, media.content_type, media.sha256, media.md5)


def _headers(signed: SignedUrl) -> list[UploadHeader]:
    return [UploadHeader(name=name, value=value) for name, value in signed.headers]


async def request_uploads(context: Context, requests: Sequence[UploadRequest]) -> list[UploadResult]:
    """Slots for media of one's own, fresh or renewed; each settles on its own."""
    most_at_once(requests, "media")
    mine = await of_ones_own(context, [request.media_id for request in requests])
    refusals = _unfit(requests)
    fresh = await announced(context, requests, mine, refusals)
    mine |= fresh
    asked = {str(request.media_id) for index, request in enumerate(requests) if index not in refusals} & mine.keys()
    mine |= {str(each.id): each for each in await mark_duplicates_uploaded(context, [mine[id] for id in sorted(asked)])}
    put = {str(request.media_id): request for request in requests if not request.form}
    to_be_put = [each for each in mine.values() if each.id in put]
    _check_parts(context, [(each, put[str(each.id)]) for each in to_be_put])
    slots = await slots_for(context, to_be_put)

    async def settle(numbered: tuple[int, UploadRequest]) -> UploadResult:
        index, request = numbered
        if index in refusals:
            raise refusals[index]
        media = one_of(mine, request.media_id)
        slot = await _slot(context, media, request, None if request.form else slots.get(media.id))
        return UploadResult(media_id=media.id, slot=slot, has_arrived=slot is None)

    def refused(numbered: tuple[int, UploadRequest], why: Refused) -> UploadResult:
        return UploadResult(media_id=numbered[1].media_id, slot=None, has_arrived=False, refusal=why)

    return await settled(list(enumerate(requests)), settle, refused)


async def _slot(context: Context, media: Media, request: UploadRequest, signed: UploadSlot | None) -> UploadSlot | None:
    """The slot of one medium, in the manner that was asked for; None where its bytes are there already."""
    if media.state in ARRIVED or await _came_unnoticed(context, media):
        return None
    if signed is None:
        return await _form_slot(context, media)
    return signed if signed.kind is UploadKind.SINGLE else await _parts_slot(context, media, request)


async def _came_unnoticed(context: Context, media: Media) -> bool:
    """Whether the bytes are there though nobody confirmed them.

    Where the first write wins a second PUT is refused: a phone that lost the reply to the first, and may never have heard
    of that rule, learns it here. Parts that are all there are joined, and those that were joined are not sent again.
    """
    if not (context.store.objects.first_write_wins or media.upload_id):
        return False
    try:
        await arrive(context, media)
    except Refusal as refusal:
        if refusal.code is not RefusalCode.NOT_ARRIVED:
            raise
        return False
    return True


async def _form_slot(context: Context, media: Media) -> UploadSlot:
    seconds = context.settings.upload_slot_seconds
    form = await context.store.objects.sign_form(_whole(media), seconds=seconds)
    return UploadSlot(
        media_id=media.id,
        kind=UploadKind.FORM,
        url=form.url,
        fields=[FormField(name=name, value=value) for name, value in form.fields],
        expires_at=context.now + timedelta(seconds=seconds),
    )


def _unfit(requests: Sequence[UploadRequest]) -> dict[int, Refusal]:
    """Why not, by the request's place, where it can be told from the request alone: before anything is recorded."""
    refusals: dict[int, Refusal] = {}
    for index, request in enumerate(requests):
        try:
            digests_of(request)
            part_bytes_of(request)
        except Refusal as refusal:
            refusal.field = f"media.{index}.{refusal.field}"
            refusals[index] = refusal
    return refusals


def _check_parts(context: Context, media: Sequence[tuple[Media, UploadRequest]]) -> None:
    """Raise `Refusal(LIMIT_EXCEEDED)` where signing all parts would take more than a fraction of a second."""
    single = context.settings.single_put_bytes
    large = [each for each in media if each[0].byte_size > single and each[0].state not in ARRIVED]
    parts = sum(-(-each.byte_size // _least_cut(context, each, request)) for each, request in large)
    if len(large) > 1 and parts > MAX_PARTS_AT_ONCE:
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, "So many large media in parts at once: ask for fewer.", field="media")


def _least_cut(context: Context, media: Media, request: UploadRequest) -> int:
    """The smaller of the open upload's cut and the one that is wished for: which will hold, the store's list tells."""
    cut = _cut(context, media, request.part_bytes)
    return min(cut, media.upload_part_bytes or cut) if media.upload_id else cut


def _cut(context: Context, media: Media, wanted: int | None = None) -> int:
    """Into parts of how many bytes an upload is cut that begins now."""
    return max(wanted or context.settings.part_bytes, -(-media.byte_size // MAX_PARTS))


async def _parts_slot(context: Context, media: Media, request: UploadRequest) -> UploadSlot:
    """The parts of a large upload, begun if it has not been; those that the store has are marked."""
    digests = digests_of(request)
    upload_id, part_bytes, arrived = await _upload(context, media, request)
    offsets = range(0, media.byte_size, part_bytes)
    puts = [
        Put(
            media.key,
            min(part_bytes, media.byte_size - offset),
            sha256=digests.get(number),
            upload_id=upload_id,
            part=number,
        )
        for number, offset in enumerate(offsets, start=1)
    ]
    seconds = context.settings.upload_slot_seconds
    signed = await context.store.objects.sign_puts(puts, seconds=seconds)
    parts = [
        UploadPart(
            number=number,
            offset=ByteCount(offset),
            byte_size=ByteCount(put.byte_size),
            url=made.url,
            headers=_headers(made),
            has_arrived=arrived.get(number) == put.byte_size,
        )
        for number, (offset, put, made) in enumerate(zip(offsets, puts, signed, strict=True), start=1)
    ]
    expires_at = context.now + timedelta(seconds=seconds)
    return UploadSlot(media_id=media.id, kind=UploadKind.MULTIPART, parts=parts, expires_at=expires_at)


async def _upload(context: Context, media: Media, request: UploadRequest) -> tuple[str, int, dict[int, int]]:
    """Id and cut of the open upload, and the sizes of the parts that have arrived, by number; two requests begin one.

    One of which nothing has arrived gives way to one of another cut where that is wished for. The store is then to begin
    another upload: what comes late of the old cut would spoil one that goes on.
    """
    objects, cut = context.store.objects, _cut(context, media, request.part_bytes)
    # Noted before the parts are listed: from here on no sweep takes the upload for abandoned.
    if media.upload_id and await context.store.media.use_upload(media, context.now):
        parts = await multipart.list_parts(objects, media.key, media.upload_id)
        known = media.upload_part_bytes or _cut(context, media)
        if parts or (parts is not None and (request.part_bytes is None or known == cut)):
            return media.upload_id, known, {part.number: part.byte_size for part in parts}
    begun = await multipart.begin(objects, media.key, media.content_type)
    if not await context.store.media.begin_upload(media, begun, cut, context.now):
        await multipart.abort(objects, media.key, begun)
        raise Refusal(RefusalCode.BUSY, "Another request began or ended this upload at the same moment. Ask again.")
    if media.upload_id:
        await multipart.abort(objects, media.key, media.upload_id)
    return begun, cut, {}


async def abort_uploads(context: Context, media_ids: Sequence[strawberry.ID]) -> list[AbortResult]:
    """Give up open uploads of one's own media; each settles on its own, and giving up twice is harmless."""
    most_at_once(media_ids, "mediaIds")
    mine = await of_ones_own(context, media_ids)

    async def settle(id: strawberry.ID) -> AbortResult:
        return AbortResult(media_id=id, media=await _abort(context, one_of(mine, id)))

    return await settled(media_ids, settle, lambda each, why: AbortResult(media_id=each, refusal=why))


async def _abort(context: Context, media: Media) -> Media:
    """The medium without an open upload. Raise `Refusal(WRONG_STATE)` where its bytes have arrived: they are evidence.

    The store forgets first: killed in between, the record names an upload that is gone, and the next request begins one.
    """
    if media.state in ARRIVED:
        raise Refusal(RefusalCode.WRONG_STATE, "The file has arrived: there is no upload to give up.")
    if media.upload_id is None:
        return media
    await multipart.abort(context.store.objects, media.key, media.upload_id)
    await context.store.media.forget_upload(media)
    [left] = await context.store.media.many([media.id])
    return left
