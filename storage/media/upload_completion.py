"""Arrivals: whether the store has the bytes of a medium, a large upload's parts being joined once all are there."""

from schema.media.media import Media
from storage.s3 import multipart
from storage.s3.client import ObjectStore


async def complete_upload(objects: ObjectStore, media: Media) -> bool:
    """True when the object is there; its bytes are yet to be verified. Raises `Refusal(UNAVAILABLE)`."""
    parts = await multipart.list_parts(objects, media.key, media.upload_id) if media.upload_id else None
    if media.upload_id and parts and sum(part.byte_size for part in parts) == media.byte_size:
        await multipart.complete(objects, media.key, media.upload_id, parts)
    return await objects.size_of(media.key) is not None
