"""Complete uploads: join the parts of a multipart upload, and check whether the store has the bytes."""

from schema.media.media import Media
from storage.s3 import multipart
from storage.s3.client import ObjectStore


async def complete_upload(objects: ObjectStore, media: Media) -> bool:
    """Join the parts of a multipart upload if all have arrived. Return whether the object exists.

    The bytes are not verified yet.

    Raise `Refusal(UNAVAILABLE)` if the store is down.
    """
    parts = await multipart.list_parts(objects, media.key, media.upload_id) if media.upload_id else None
    if media.upload_id and parts and sum(part.byte_size for part in parts) == media.byte_size:
        await multipart.complete(objects, media.key, media.upload_id, parts)
    return await objects.size_of(media.key) is not None
