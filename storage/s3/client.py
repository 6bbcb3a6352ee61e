"""Wrap the S3 client: sign requests for one bucket, and read and write its objects.

No other file imports the client.
"""

import base64
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import anyio.to_thread
import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from schema.core.refusals import Refusal, RefusalCode
from storage.s3.proxies import proxies_to
from storage.s3.signed_requests import Form, Put, SignedUrl
from storage.s3.time_budget import SECONDS, current_budget, run_within
from storage.s3.url_signer import UrlSigner

T = TypeVar("T")
CHUNK = 1024 * 1024
MAX_SIGNED_AT_ONCE = 100
"""How many URLs are signed without a thread of their own: 3 ms of CPU, in which the process does nothing else."""
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})


@dataclass(frozen=True)
class DownloadResult:
    """The SHA-256 (hexadecimal), size and first bytes of a downloaded object."""

    sha256: str
    byte_size: int
    head: bytes


class ObjectStoreDeclinedError(Exception):
    """Raised if the object store refuses an operation. `code` is the store's error code, such as `NotImplemented`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class ObjectBody:
    """An object opened for reading: its size as the store states it, and its bytes in chunks of up to `CHUNK` bytes."""

    byte_size: int
    chunks: AsyncIterator[bytes]


class ObjectStore:
    """One bucket at `endpoint`. URLs are signed for `public_endpoint`, the address at which phones reach the bucket."""

    def __init__(
        self, *, endpoint: str, public_endpoint: str, bucket: str, access_key: str, secret_key: str, region: str
    ) -> None:
        self.bucket = bucket
        self.first_write_wins = False
        """Whether the store is known to honour `If-None-Match: *`. If so, single PUTs are signed with it."""
        self.can_hold = False
        """Whether the bucket is known to have object lock."""
        self.public_endpoint = public_endpoint

        def client(url: str, *, connect_timeout: float = 5, read_timeout: float = 30) -> Any:
            return boto3.client(
                "s3",
                endpoint_url=url,
                aws_access_key_id=access_key,
                aws_secret_access_key=secret_key,
                region_name=region,
                config=Config(
                    signature_version="s3v4",  # boto3 would presign with version 2, which does not sign the length
                    s3={"addressing_style": "path"},
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                    max_pool_connections=32,
                    connect_timeout=connect_timeout,
                    read_timeout=read_timeout,
                    retries={"max_attempts": 1},
                    proxies=proxies_to(url),
                ),
            )

        self._client = client(endpoint)
        self._hurried = client(endpoint, connect_timeout=1, read_timeout=SECONDS)
        self._hurried_threads = ThreadPoolExecutor(16, "s3-hurried")
        self._form_signer = client(public_endpoint)
        self._url_signer = UrlSigner(
            endpoint=public_endpoint, access_key=access_key, secret_key=secret_key, region=region
        )
        self._threads = anyio.CapacityLimiter(16)

    @property
    def _s3(self) -> Any:
        """The client of this task or thread. It has short timeouts within a time budget."""
        return self._hurried if current_budget() else self._client

    async def _call(self, work: Callable[[], T]) -> T:
        budget = current_budget()
        try:
            if budget:
                return await run_within(budget, self._hurried_threads, work)
            return await anyio.to_thread.run_sync(work, limiter=self._threads)
        except (BotoCoreError, ClientError) as error:
            raise Refusal(RefusalCode.UNAVAILABLE) from error

    async def _sign(self, work: Callable[[], T], count: int) -> T:
        """Run `work`, which signs `count` URLs. A thread does so only if they are many, as it costs as much as ten."""
        return work() if count <= MAX_SIGNED_AT_ONCE else await anyio.to_thread.run_sync(work, limiter=self._threads)

    async def _find(self, work: Callable[[], T]) -> T | None:
        """Run `work` like `_call`, but return None if the object does not exist."""

        def work_or_none() -> T | None:
            try:
                return work()
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in _MISSING:
                    return None
                raise

        return await self._call(work_or_none)

    async def ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Run one operation on the bucket. `operation` is the name of boto3's method.

        Raise `ObjectStoreDeclinedError` if the store refuses the operation, and `Refusal(UNAVAILABLE)` if the store
        fails.
        """

        def work() -> dict[str, Any]:
            try:
                answer: dict[str, Any] = getattr(self._s3, operation)(Bucket=self.bucket, **arguments)
            except ClientError as error:
                if int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)) in {500, 502, 503, 504}:
                    raise
                raise ObjectStoreDeclinedError(str(error.response.get("Error", {}).get("Code", "Unknown"))) from error
            return answer

        return await self._call(work)

    async def check_bucket(self) -> None:
        """Check that the bucket exists and the keys are valid. Raise `Refusal(UNAVAILABLE)` if not."""
        await self._call(lambda: self._s3.head_bucket(Bucket=self.bucket))

    async def ping(self) -> None:
        """Write one tiny object. Raise `Refusal(UNAVAILABLE)` if the store does not accept it."""
        await self._call(lambda: self._s3.put_object(Bucket=self.bucket, Key=".ready", Body=b""))

    async def sign_puts(self, puts: Sequence[Put], *, seconds: int) -> list[SignedUrl]:
        """Sign PUT requests, without a call to the store."""
        now = datetime.now(UTC)
        return await self._sign(lambda: [self._sign_put(put, now, seconds) for put in puts], len(puts))

    def _sign_put(self, put: Put, now: datetime, seconds: int) -> SignedUrl:
        headers, query = {"content-length": str(put.byte_size)}, {}
        if put.content_type:
            headers["content-type"] = put.content_type
        if put.sha256:
            headers["x-amz-checksum-sha256"] = base64.b64encode(bytes.fromhex(put.sha256)).decode()
        if put.md5:
            headers["content-md5"] = base64.b64encode(bytes.fromhex(put.md5)).decode()
        if put.part is None and self.first_write_wins:
            headers["if-none-match"] = "*"
        if put.part is not None:
            query = {"uploadId": put.upload_id or "", "partNumber": str(put.part)}
        url = self._url_signer.sign("PUT", self.bucket, put.key, now=now, seconds=seconds, headers=headers, query=query)
        return SignedUrl(url, tuple(headers.items()))

    async def sign_form(self, put: Put, *, seconds: int) -> Form:
        """Sign a POST policy for exactly this key, size, content type and SHA-256. The store refuses other values."""
        fixed = {}
        if put.content_type:
            fixed["Content-Type"] = put.content_type
        if put.sha256:
            fixed["x-amz-checksum-algorithm"] = "SHA256"
            fixed["x-amz-checksum-sha256"] = base64.b64encode(bytes.fromhex(put.sha256)).decode()
        conditions = [{name: value} for name, value in fixed.items()]
        size = ["content-length-range", put.byte_size, put.byte_size]

        def sign() -> Form:
            post = self._form_signer.generate_presigned_post(
                self.bucket, put.key, Fields=fixed, Conditions=[*conditions, size], ExpiresIn=seconds
            )
            return Form(post["url"], tuple(post["fields"].items()))

        return await anyio.to_thread.run_sync(sign, limiter=self._threads)

    async def sign_gets(self, gets: Sequence[tuple[str, str]], *, seconds: int) -> list[str]:
        """Sign a GET URL for each pair (key, content type). The store sends the object with this content type."""
        now = datetime.now(UTC)

        def sign(key: str, content_type: str) -> str:
            query = {"response-content-type": content_type}
            return self._url_signer.sign("GET", self.bucket, key, now=now, seconds=seconds, query=query)

        return await self._sign(lambda: [sign(key, content_type) for key, content_type in gets], len(gets))

    async def size_of(self, key: str) -> int | None:
        """Return the size of a stored object in bytes, or None if the object does not exist."""
        head = await self._find(lambda: self._s3.head_object(Bucket=self.bucket, Key=key))
        return None if head is None else int(head["ContentLength"])

    async def download(self, key: str, to: Path) -> DownloadResult | None:
        """Copy an object to a local file and hash it on the way. Return None if the object does not exist."""

        def copy() -> DownloadResult:
            digest, size, head = hashlib.sha256(), 0, b""
            body = self._s3.get_object(Bucket=self.bucket, Key=key)["Body"]
            with to.open("wb") as file:
                for chunk in body.iter_chunks(CHUNK):
                    head = head or chunk[:4096]
                    digest.update(chunk)
                    size += len(chunk)
                    file.write(chunk)
            return DownloadResult(digest.hexdigest(), size, head)

        return await self._find(copy)

    async def hold(self, key: str) -> None:
        """Put a legal hold on an object, so that nobody can delete it until the hold is lifted.

        Do nothing if the bucket has no object lock. Raise `ObjectStoreDeclinedError` if the access key may not do this.
        """
        if self.can_hold:
            await self.ask("put_object_legal_hold", Key=key, LegalHold={"Status": "ON"})

    @asynccontextmanager
    async def open(self, key: str) -> AsyncIterator[ObjectBody | None]:
        """Open an object to read it chunk by chunk. Yield None if the object does not exist."""
        response = await self._find(lambda: self._s3.get_object(Bucket=self.bucket, Key=key))
        if response is None:
            yield None
            return
        body = response["Body"]

        async def chunks() -> AsyncIterator[bytes]:
            while chunk := await self._call(lambda: body.read(CHUNK)):
                yield chunk

        try:
            yield ObjectBody(int(response["ContentLength"]), chunks())
        finally:
            body.close()

    async def put(self, key: str, body: bytes, content_type: str) -> None:
        await self._call(lambda: self._s3.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType=content_type))

    async def put_file(self, key: str, path: Path, content_type: str, sha256: str) -> None:
        """Store a local file as an object. `sha256` is the file's digest, which the store verifies.

        If `first_write_wins`, an existing object is never overwritten. Raise `ObjectStoreDeclinedError` if the store
        refuses the PUT.
        """
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        condition = {"IfNoneMatch": "*"} if self.first_write_wins else {}
        with path.open("rb") as body:
            await self.ask(
                "put_object", Key=key, Body=body, ContentType=content_type, ChecksumSHA256=checksum, **condition
            )

    async def make_bucket(self) -> None:
        """Create the bucket. For tests only, because in an installation the operator creates the bucket."""
        await self._call(lambda: self._s3.create_bucket(Bucket=self.bucket))

    async def drop_bucket(self) -> None:
        """Delete the bucket and all its objects. For tests only."""

        def drop() -> None:
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
                for entry in page.get("Contents", []):
                    self._s3.delete_object(Bucket=self.bucket, Key=entry["Key"])
            self._s3.delete_bucket(Bucket=self.bucket)

        await self._call(drop)

    def close(self) -> None:
        self._client.close()
        self._hurried.close()
        self._hurried_threads.shutdown(wait=False, cancel_futures=True)
        self._form_signer.close()
