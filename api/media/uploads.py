"""Sign upload slots for phones and browsers. Begin, resume and abort multipart uploads.

The bytes go directly to the object store and never through the API.
"""

from collections.abc import Sequence
from datetime import timedelta

import strawberry

from api.graphql.context import Context
from api.media.announcements import record_announcements
from api.media.deduplication import mark_duplicates_uploaded
from api.media.owned_media import check_count, find_own_media, require_own, settle_all
from api.media.upload_confirmation import confirm_upload
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
    validate_part_bytes,
    validate_part_digests,
)
from storage.s3 import multipart
from storage.s3.signed_requests import Put, SignedUrl
from storage.s3.time_budget import store_time_budget

MAX_PARTS_AT_ONCE = 512
MAX_PARTS = 10_000
"""Maximum number of parts that S3 allows in one multipart upload."""


async def sign_slots(context: Context, media: Sequence[Media]) -> dict[str, UploadSlot]:
    """Sign a slot for each medium that has not arrived. Return the slots by media id. The object store is not called.

    A medium too large for a single PUT gets a slot without parts. `requestUploads` begins its upload and adds the
    parts.
    """
    missing = [medium for medium in media if medium.state not in ARRIVED]
    await _look_again(context, missing)
    single = [medium for medium in missing if medium.byte_size <= context.settings.single_put_bytes]
    seconds = context.settings.upload_slot_seconds
    signed_urls = await context.store.objects.sign_puts([_whole_put(medium) for medium in single], seconds=seconds)
    slots = {medium.id: UploadSlot(media_id=medium.id, kind=UploadKind.MULTIPART) for medium in missing}
    for medium, signed in zip(single, signed_urls, strict=True):
        slots[medium.id] = UploadSlot(
            media_id=medium.id,
            kind=UploadKind.SINGLE,
            url=signed.url,
            headers=_headers(signed),
            expires_at=context.now + timedelta(seconds=seconds),
        )
    return {str(id): slot for id, slot in slots.items()}


def _whole_put(media: Media) -> Put:
    return Put(media.key, media.byte_size, media.content_type, media.sha256, media.md5)


def _headers(signed: SignedUrl) -> list[UploadHeader]:
    return [UploadHeader(name=name, value=value) for name, value in signed.headers]


async def request_uploads(context: Context, requests: Sequence[UploadRequest]) -> list[UploadResult]:
    """Return new or renewed slots for the viewer's own media. Each request succeeds or is refused independently."""
    check_count(requests, "media")
    mine = await find_own_media(context, [request.media_id for request in requests])
    refusals = _find_invalid(requests)
    mine |= await record_announcements(context, requests, mine, refusals)
    ids = {str(request.media_id) for index, request in enumerate(requests) if index not in refusals} & mine.keys()
    media = await mark_duplicates_uploaded(context, [mine[id] for id in sorted(ids)])
    mine |= {str(medium.id): medium for medium in media}
    put_requests = {str(request.media_id): request for request in requests if not request.form}
    put_media = [medium for medium in mine.values() if medium.id in put_requests]
    _check_part_count(context, [(medium, put_requests[str(medium.id)]) for medium in put_media])
    slots = await sign_slots(context, put_media)

    async def settle(numbered: tuple[int, UploadRequest]) -> UploadResult:
        index, request = numbered
        if index in refusals:
            raise refusals[index]
        media = require_own(mine, request.media_id)
        slot = await _open_slot(context, media, request, None if request.form else slots.get(media.id))
        return UploadResult(media_id=media.id, slot=slot, has_arrived=slot is None)

    def refuse(numbered: tuple[int, UploadRequest], refused: Refused) -> UploadResult:
        return UploadResult(media_id=numbered[1].media_id, slot=None, has_arrived=False, refusal=refused)

    with store_time_budget():
        return await settle_all(list(enumerate(requests)), settle, refuse)


async def _open_slot(
    context: Context, media: Media, request: UploadRequest, signed: UploadSlot | None
) -> UploadSlot | None:
    """Return the slot of one medium, or None if its bytes have arrived.

    `signed` is the slot from `sign_slots`. It is None if the request wants a form.
    """
    if media.state in ARRIVED or await _confirm_unnoticed(context, media):
        return None
    if signed is None:
        return await _sign_form_slot(context, media)
    return signed if signed.kind is UploadKind.SINGLE else await _sign_parts_slot(context, media, request)


async def _confirm_unnoticed(context: Context, media: Media) -> bool:
    """Confirm a medium whose bytes are in the object store, but were not confirmed. Return whether the bytes are there.

    An object store where the first write wins refuses a second PUT. A phone that lost the reply to its first PUT learns
    here that its bytes have arrived. If all parts of a multipart upload have arrived, they are joined, so that the
    phone sends no part again.
    """
    if not (context.store.objects.first_write_wins or media.upload_id):
        return False
    try:
        await confirm_upload(context, media)
    except Refusal as refusal:
        if refusal.code is not RefusalCode.NOT_ARRIVED:
            raise
        return False
    return True


async def _look_again(context: Context, media: Sequence[Media]) -> None:
    """Let the worker look for the bytes of old media, whose slots are issued now. It may have stopped looking for them."""
    old = context.now - timedelta(days=context.settings.upload_abandoned_days)
    ids = [str(medium.id) for medium in media if medium.expected_at < old]
    await context.store.media.reschedule_expected(ids, sweep_at=context.now + context.settings.sweep_after)


async def _sign_form_slot(context: Context, media: Media) -> UploadSlot:
    await _look_again(context, [media])
    seconds = context.settings.upload_slot_seconds
    form = await context.store.objects.sign_form(_whole_put(media), seconds=seconds)
    return UploadSlot(
        media_id=media.id,
        kind=UploadKind.FORM,
        url=form.url,
        fields=[FormField(name=name, value=value) for name, value in form.fields],
        expires_at=context.now + timedelta(seconds=seconds),
    )


def _find_invalid(requests: Sequence[UploadRequest]) -> dict[int, Refusal]:
    """Check the part sizes and digests in the requests, before anything is stored. Return the refusals by index."""
    refusals: dict[int, Refusal] = {}
    for index, request in enumerate(requests):
        try:
            validate_part_digests(request)
            validate_part_bytes(request)
        except Refusal as refusal:
            refusal.field = f"media.{index}.{refusal.field}"
            refusals[index] = refusal
    return refusals


def _check_part_count(context: Context, media: Sequence[tuple[Media, UploadRequest]]) -> None:
    """Raise `Refusal(LIMIT_EXCEEDED)` if several large media have so many parts that signing them would take too long.

    A single large medium always passes.
    """
    single = context.settings.single_put_bytes
    large = [pair for pair in media if pair[0].byte_size > single and pair[0].state not in ARRIVED]
    parts = sum(-(-medium.byte_size // _min_part_bytes(context, medium, request)) for medium, request in large)
    if len(large) > 1 and parts > MAX_PARTS_AT_ONCE:
        detail = "Too many parts of large media at once. Request fewer media."
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, detail, field="media")


def _min_part_bytes(context: Context, media: Media, request: UploadRequest) -> int:
    """Return the smaller of two part sizes: the size of the open upload and the requested size.

    Which size applies is known only after the object store has listed the parts.
    """
    part_bytes = _part_bytes(context, media, request.part_bytes)
    return min(part_bytes, media.upload_part_bytes or part_bytes) if media.upload_id else part_bytes


def _part_bytes(context: Context, media: Media, requested: int | None = None) -> int:
    """Return the part size in bytes of a new multipart upload. It is large enough to need at most `MAX_PARTS` parts."""
    return max(requested or context.settings.part_bytes, -(-media.byte_size // MAX_PARTS))


async def _sign_parts_slot(context: Context, media: Media, request: UploadRequest) -> UploadSlot:
    """Return a slot with all parts of a multipart upload, signed. Begin the upload if none is open.

    `has_arrived` is set on the parts that the object store already has.
    """
    digests = validate_part_digests(request)
    upload_id, part_bytes, arrived = await _resume_or_begin(context, media, request)
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
    signed_urls = await context.store.objects.sign_puts(puts, seconds=seconds)
    parts = [
        UploadPart(
            number=number,
            offset=ByteCount(offset),
            byte_size=ByteCount(put.byte_size),
            url=signed.url,
            headers=_headers(signed),
            has_arrived=arrived.get(number) == put.byte_size,
        )
        for number, (offset, put, signed) in enumerate(zip(offsets, puts, signed_urls, strict=True), start=1)
    ]
    expires_at = context.now + timedelta(seconds=seconds)
    return UploadSlot(media_id=media.id, kind=UploadKind.MULTIPART, parts=parts, expires_at=expires_at)


async def _resume_or_begin(context: Context, media: Media, request: UploadRequest) -> tuple[str, int, dict[int, int]]:
    """Resume the open upload or begin one. Return its id, its part size, and the sizes of arrived parts by number.

    Of concurrent requests, only one begins an upload. If no part has arrived and the phone requests another part size,
    a new upload replaces the open upload. If the open upload continued with the new size, late parts of the old size
    would corrupt it.
    """
    objects, part_bytes = context.store.objects, _part_bytes(context, media, request.part_bytes)
    # The use is recorded before the parts are listed, so that from here on no sweep aborts the upload.
    if media.upload_id and await context.store.media.touch_upload(media, context.now):
        parts = await multipart.list_parts(objects, media.key, media.upload_id)
        known = media.upload_part_bytes or _part_bytes(context, media)
        if parts or (parts is not None and (request.part_bytes is None or known == part_bytes)):
            return media.upload_id, known, {part.number: part.byte_size for part in parts}
    upload_id = await multipart.begin(objects, media.key, media.content_type)
    if not await context.store.media.store_upload(media, upload_id, part_bytes, context.now):
        await multipart.abort(objects, media.key, upload_id)
        raise Refusal(RefusalCode.BUSY, "Another request began or ended this upload at the same moment. Try again.")
    if media.upload_id:
        await multipart.abort(objects, media.key, media.upload_id)
    return upload_id, part_bytes, {}


async def abort_uploads(context: Context, media_ids: Sequence[strawberry.ID]) -> list[AbortResult]:
    """Abort open uploads of the viewer's own media, each independently. Aborting a second time changes nothing."""
    check_count(media_ids, "mediaIds")
    mine = await find_own_media(context, media_ids)

    async def settle(id: strawberry.ID) -> AbortResult:
        return AbortResult(media_id=id, media=await _abort(context, require_own(mine, id)))

    with store_time_budget():
        return await settle_all(media_ids, settle, lambda key, refused: AbortResult(media_id=key, refusal=refused))


async def _abort(context: Context, media: Media) -> Media:
    """Abort the upload of one medium. Raise `Refusal(WRONG_STATE)` if its bytes have arrived.

    The bytes of an arrived medium are evidence, so they must not be deleted.

    The upload is aborted in the object store first and removed from the record second. If the process is killed in
    between, the record names an upload that no longer exists. The next request for a slot then begins a new upload.
    """
    if media.state in ARRIVED:
        raise Refusal(RefusalCode.WRONG_STATE, "The file has arrived. There is no upload to abort.")
    if media.upload_id is None:
        return media
    await multipart.abort(context.store.objects, media.key, media.upload_id)
    await context.store.media.clear_upload(media)
    [media] = await context.store.media.many([media.id])
    return media
