"""Uploads: signed places for a phone's bytes, and what is found in the store when the phone says that they are there.

Bytes never pass through here. Verifying them is the worker's (`verification.py`); the GraphQL fields are in `media.py`.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar

import anyio
import strawberry

from api.context import Context, at_most
from schema.ids import checked
from schema.media import ARRIVED, Media
from schema.refusals import Refusal, RefusalCode, Refused
from schema.times import ByteCount
from schema.uploads import (
    ConfirmResult,
    UploadHeader,
    UploadKind,
    UploadPart,
    UploadRequest,
    UploadResult,
    UploadSlot,
    digests_of,
)
from storage.arrivals import has_arrived
from storage.objects import Put, Signed

A = TypeVar("A")
B = TypeVar("B")
MAX_AT_ONCE = 50
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


def _headers(signed: Signed) -> list[UploadHeader]:
    return [UploadHeader(name=name, value=value) for name, value in signed.headers]


async def request_uploads(context: Context, requests: Sequence[UploadRequest]) -> list[UploadResult]:
    """Slots for media of one's own, fresh or renewed; each settles on its own."""
    at_most(MAX_AT_ONCE, requests, "media")
    mine = await _mine(context, [request.media_id for request in requests])
    _check_parts(context, list(mine.values()))
    slots = await slots_for(context, list(mine.values()))

    async def settle(request: UploadRequest) -> UploadResult:
        try:
            media = _one_of(mine, request.media_id)
            slot = slots.get(media.id)
            if slot and slot.kind is UploadKind.MULTIPART:
                slot = await _parts_slot(context, media, request)
        except Refusal as refusal:
            return UploadResult(media_id=request.media_id, slot=None, has_arrived=False, refusal=Refused.of(refusal))
        return UploadResult(media_id=media.id, slot=slot, has_arrived=media.state in ARRIVED)

    return await _side_by_side(settle, requests)


def _check_parts(context: Context, media: Sequence[Media]) -> None:
    """Raise `Refusal(LIMIT_EXCEEDED)` where signing all parts would take more than a fraction of a second."""
    large = [each for each in media if each.byte_size > context.settings.single_put_bytes and each.state not in ARRIVED]
    parts = sum(-(-each.byte_size // _part_bytes(context, each)) for each in large)
    if len(large) > 1 and parts > MAX_PARTS_AT_ONCE:
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, "So many large media in parts at once: ask for fewer.", field="media")


def _part_bytes(context: Context, media: Media) -> int:
    return max(context.settings.part_bytes, -(-media.byte_size // MAX_PARTS))


async def _parts_slot(context: Context, media: Media, request: UploadRequest) -> UploadSlot:
    """The parts of a large upload, begun if it has not been; those that the store has are marked."""
    digests = digests_of(request)
    upload_id, arrived = await _upload(context, media)
    part_bytes = _part_bytes(context, media)
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


async def _upload(context: Context, media: Media) -> tuple[str, dict[int, int]]:
    """Id of the open upload and the sizes of the parts that have arrived, by number; two requests begin only one."""
    if media.upload_id:
        parts = await context.store.objects.parts(media.key, media.upload_id)
        if parts is not None:
            return media.upload_id, {part.number: part.byte_size for part in parts}
    begun = await context.store.objects.begin_upload(media.key, media.content_type)
    changed = await context.store.media.begin_upload(media.id, begun, media.upload_id)
    if changed is None:
        await context.store.objects.abandon_upload(media.key, begun)
        raise Refusal(RefusalCode.BUSY, "Another request began this upload at the same moment. Ask again.")
    return begun, {}


async def confirm_media(context: Context, media_ids: Sequence[strawberry.ID]) -> list[ConfirmResult]:
    """Look for the bytes of media of one's own, and hand those that are there to the worker."""
    at_most(MAX_AT_ONCE, media_ids, "mediaIds")
    mine = await _mine(context, media_ids)

    async def settle(id: strawberry.ID) -> ConfirmResult:
        try:
            return ConfirmResult(media_id=id, media=await arrive(context, _one_of(mine, id)))
        except Refusal as refusal:
            return ConfirmResult(media_id=id, refusal=Refused.of(refusal))

    return await _side_by_side(settle, media_ids)


async def arrive(context: Context, media: Media) -> Media:
    """UPLOADED when the store has the bytes; raises `Refusal(NOT_ARRIVED)` when it has not. Confirming twice is harmless."""
    if media.state in ARRIVED:
        return media
    if not await has_arrived(context.store.objects, media):
        raise Refusal(RefusalCode.NOT_ARRIVED)
    confirmed = await context.store.media.confirm(media.id, context.now)
    if confirmed is None:
        [confirmed] = await context.store.media.many([media.id])
    return confirmed


async def _mine(context: Context, ids: Sequence[str]) -> dict[str, Media]:
    """Media that the viewer announced, by id; a malformed id is simply not among them."""
    user_id = context.actor.user_id
    return {str(each.id): each for each in await context.store.media.many(ids) if each.uploader_id == user_id}


def _one_of(mine: dict[str, Media], id: str) -> Media:
    media = mine.get(checked(id, "med"))
    if media is None:
        raise Refusal(RefusalCode.NOT_FOUND)
    return media


async def _side_by_side(settle: Callable[[A], Awaitable[B]], items: Sequence[A]) -> list[B]:
    """Settle all at once, for each may wait for the store; answers in the order of the items."""
    answers: dict[int, B] = {}

    async def one(index: int, item: A) -> None:
        answers[index] = await settle(item)

    async with anyio.create_task_group() as tasks:
        for index, item in enumerate(items):
            tasks.start_soon(one, index, item)
    return [answers[index] for index in range(len(items))]
