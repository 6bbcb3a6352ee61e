"""Read upload slots, and PUT files or parts of files to their signed URLs in the object store."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from mobile_contract.phone.errors import unreachable
from mobile_contract.phone.network.backoff import Backoff
from mobile_contract.phone.network.client import Reply, describe_error, retry_after
from mobile_contract.phone.storage.photo_copies import ByteRange
from mobile_contract.phone.upload.concurrency import UploadConcurrency

TIMEOUT = httpx.Timeout(60, connect=10)
MARGIN_SECONDS = 30.0
"""Renew a slot this long before it expires, or when a quarter of its lifetime is left, whichever is later."""

PRECONDITION_FAILED = 412
"""The HTTP status if the object exists already, because an earlier attempt succeeded and only its reply was lost."""


class SlotRefusedError(Exception):
    """The object store rejected the bytes, or an expired signature. `said` is the store's error code."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"HTTP {status} {said}".strip())
        self.status = status


@dataclass(frozen=True)
class SignedUrl:
    """One signed URL and the headers that its signature covers."""

    url: str
    headers: dict[str, str]


@dataclass(frozen=True)
class SignedPart:
    span: ByteRange
    target: SignedUrl
    has_arrived: bool


@dataclass(frozen=True)
class Slot:
    """Where to upload one medium: the URL `whole`, or a URL for each of its `parts`.

    Both are empty if the server has only said that the upload has parts. Then `RequestUploads` returns the URLs.
    """

    media_id: str
    whole: SignedUrl | None
    parts: tuple[SignedPart, ...]
    good_until: float
    """The time when the slot must be renewed, in seconds of this process's monotonic clock."""

    @classmethod
    def read(cls, value: dict[str, Any], reply: Reply) -> "Slot":
        parts = tuple(
            SignedPart(
                ByteRange(part["number"], part["offset"], part["byteSize"]), _signed_url(part), part["hasArrived"]
            )
            for part in value.get("parts") or ()
        )
        whole = _signed_url(value) if value["kind"] == "SINGLE" else None
        return cls(value["mediaId"], whole, parts, _good_until(value.get("expiresAt"), reply))

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() < self.good_until

    @property
    def spans(self) -> list[ByteRange]:
        return [part.span for part in self.parts]


def _signed_url(value: dict[str, Any]) -> SignedUrl:
    return SignedUrl(value["url"], {header["name"]: header["value"] for header in value["headers"]})


def _good_until(expires_at: str | None, reply: Reply) -> float:
    """Convert a server time to this process's monotonic clock, which is independent of the phone's clock setting."""
    if expires_at is None:
        return 0.0
    seconds = (datetime.fromisoformat(expires_at) - reply.server_time).total_seconds()
    return time.monotonic() + seconds - min(MARGIN_SECONDS, seconds / 4)


class ObjectStoreClient:
    """Uploads to signed URLs of the object store."""

    def __init__(self, client: httpx.AsyncClient, backoff: Backoff, concurrency: UploadConcurrency) -> None:
        self._client = client
        self._backoff = backoff
        self._concurrency = concurrency

    async def put(self, target: SignedUrl, chunks: Callable[[], Iterator[bytes]], sent: Callable[[int], None]) -> None:
        """PUT the bytes of `chunks()`, and report the size of each sent chunk to `sent`.

        If an attempt fails, report its bytes again as a negative number.
        Raise `SlotRefusedError` if the store refuses, `UnreachableError` if all attempts fail.
        """
        for failed in range(1, self._backoff.attempts + 1):
            count = 0

            def left(size: int) -> None:
                nonlocal count
                count += size
                sent(size)

            began = self._concurrency.start_put()
            try:
                response = await self._client.put(
                    target.url, headers=target.headers, content=_count_chunks(chunks(), left), timeout=TIMEOUT
                )
            except httpx.TransportError as error:
                why, asked = describe_error(error), None
                if count:
                    self._concurrency.record_break()
            else:
                if response.is_success:
                    self._concurrency.record_success(count, began)
                if response.is_success or response.status_code == PRECONDITION_FAILED:
                    return
                if response.status_code < 500 and response.status_code != 429:
                    sent(-count)
                    raise SlotRefusedError(response.status_code, _error_code(response.text))
                why, asked = f"HTTP {response.status_code}", retry_after(response)
            sent(-count)
            if failed < self._backoff.attempts:
                await asyncio.sleep(self._backoff.wait(failed, asked=asked))
        host = httpx.URL(target.url).netloc.decode()
        raise unreachable(f"The photo store {host}", f"影像存储 {host} ", why)


async def _count_chunks(chunks: Iterator[bytes], left: Callable[[int], None]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
        left(len(chunk))


def _error_code(text: str) -> str:
    """Return the error code in S3's XML answer, such as BadDigest. The rest of the answer repeats the request."""
    _, _, rest = text.partition("<Code>")
    return rest.partition("</Code>")[0][:60]
