"""Serve evidence packs over HTTP: check the signed URL, log an access to each original medium, stream the ZIP."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import anyio
from graphql import GraphQLSchema
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from api.evidence.evidence_keys import EvidenceKey, EvidenceKeys
from api.evidence.pack_content import PackContent, content_of
from api.evidence.pack_urls import PackAddress, read_address
from api.evidence.pack_writer import Packing
from api.graphql import nodes
from api.graphql.context import Context, clock
from api.http import errors, responses
from schema.access.viewers import COVERT_ROLES, Viewer
from schema.accounts.users import User
from schema.casework.cases import Case
from schema.core.ids import compose
from schema.core.refusals import Refusal, RefusalCode
from schema.evidence.packs import PackAbout
from schema.fieldwork.observations import Observation
from schema.media.media import MediaState, Rendition
from schema.organisation.units import Unit

MAX_AT_ONCE = 8
"""Largest number of packs that one API process sends at once. Each pack reads from the object store."""
MAX_PER_PERSON = 2
"""Largest number of packs that one person downloads at once. The limit leaves room for others while one person
downloads over a slow line. It is not 1, because a client may repeat a broken download before the server notices that it
broke."""
MAX_PRINTING = 2
"""Largest number of PDFs that are made at once. Each is made by a process of up to 170 MB. Further PDFs wait."""
SLICE = 256 * 1024
STALL_SECONDS = 60.0
"""A caller that reads nothing for this time counts as gone. A 2G line needs about 50 s for one slice."""


class StalledDownloadError(Exception):
    """The caller has stopped reading the download."""


@dataclass
class PackEndpoint:
    """An ASGI application that sends evidence packs.

    `viewer_of` returns the viewer for the user id and the device id of a signed URL. It returns None if the user or the
    device may no longer use the API.
    """

    core: GraphQLSchema
    secret: bytes
    keys: EvidenceKeys
    viewer_of: Callable[[str, str | None], Awaitable[Viewer | None]]
    context_for: Callable[[Viewer, datetime], Context]
    running: Counter[str] = field(default_factory=Counter, init=False)
    printing: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(MAX_PRINTING), init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if request.method != "GET":
            fault = errors.caller_error("Fetch a pack by GET.")
            await responses.error_response([fault], status=405, headers={"Allow": "GET"})(scope, receive, send)
            return
        now = clock()
        with ExitStack() as slots:
            try:
                address = read_address(request.path_params["address"], self.secret, now)
                slots.enter_context(self._hold_slot(address.user_id))
                packing = await self._prepare(address, now)
            except Refusal as refusal:
                await _refuse(refusal, scope, receive, send)
                return
            await _stream(packing, receive, send)

    @contextmanager
    def _hold_slot(self, user_id: str) -> Iterator[None]:
        """Count a download as running during the block.

        Raise `Refusal(BUSY)` if too many downloads are running in this process or for this person.
        """
        if self.running.total() >= MAX_AT_ONCE:
            raise Refusal(RefusalCode.BUSY)
        if self.running[user_id] >= MAX_PER_PERSON:
            raise Refusal(RefusalCode.BUSY, "You are already fetching packs. Fetch one after the other.")
        self.running[user_id] += 1
        try:
            yield
        finally:
            self.running -= Counter([user_id])  # drops people without a pack

    async def _prepare(self, address: PackAddress, now: datetime) -> Packing:
        """Check everything that can be refused, and log an access to each original.

        The accesses are logged before the first byte is sent.
        """
        viewer = await self.viewer_of(address.user_id, address.device_id)
        if viewer is None:
            raise Refusal(RefusalCode.NOT_FOUND)
        context = self.context_for(viewer, now)
        context.check_clock()
        record = await nodes.find_node(context, address.id)
        if not isinstance(record, Case | Observation):
            raise Refusal(RefusalCode.NOT_FOUND)
        content = await content_of(self.core, context, record, identities=address.identities)
        key = self.keys.signing
        about = await self._describe(context, content, address, key)
        await context.store.media.log_accesses(_accesses(context, content, identities=address.identities))
        return Packing(self.core, context.store.objects, self.keys, key, viewer, about, content, self.printing)

    async def _describe(
        self, context: Context, content: PackContent, address: PackAddress, key: EvidenceKey
    ) -> PackAbout:
        viewer = context.actor
        maker = await context.load.one(User, viewer.user_id)
        is_shown = address.identities or viewer.roles.isdisjoint(COVERT_ROLES)
        office = await context.load.one(Unit, viewer.office_id) if viewer.office_id else None
        return PackAbout(
            id=content.record.id,
            number=content.number,
            made_at=context.now,
            maker=maker.display_name if maker and is_shown else None,
            office=office.name if office else None,
            identities=address.identities,
            fingerprint=key.fingerprint,
        )


def _accesses(context: Context, content: PackContent, *, identities: bool) -> Sequence[dict[str, Any]]:
    """Return one access log entry for each original in the pack.

    The entries are like those for media links. Each entry also names the record that the pack is about, and says
    whether the pack includes identities.
    """
    return [
        {
            "_id": compose("evt", context.now, secrets.token_bytes(10)),
            "media_id": id,
            "rendition": Rendition.ORIGINAL.value,
            "user_id": context.actor.user_id,
            "device_id": context.actor.device_id,
            "at": context.now,
            "pack_of": content.record.id,
            "identities": identities,
        }
        for id, media in content.media.items()
        if media.state is MediaState.READY
    ]


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    status = {RefusalCode.NOT_FOUND: 404, RefusalCode.LIMIT_EXCEEDED: 413}.get(refusal.code)
    await responses.error_response([errors.refusal_error(refusal)], media_type=responses.GRAPHQL_JSON, status=status)(
        scope, receive, send
    )


async def _stream(packing: Packing, receive: Receive, send: Send) -> None:
    """Send the pack while it is made. Stop when the caller is gone.

    A failure leaves the response unfinished, so the caller sees a broken download.
    """
    name = (packing.about.number or packing.about.id).encode("ascii", "ignore").decode().replace('"', "")
    headers = {
        "content-type": "application/zip",
        "content-disposition": f'attachment; filename="mingcha-{name}.zip"',
        "cache-control": "no-store",
        "x-accel-buffering": "no",  # nginx would keep gigabytes on its own disk
    }
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def send_pack() -> None:
        await send({"type": "http.response.start", "status": 200, "headers": encoded})
        async with aclosing(packing.pieces()) as pieces:
            async for piece in pieces:
                for start in range(0, len(piece), SLICE):
                    body = piece[start : start + SLICE]
                    await _send(send, {"type": "http.response.body", "body": body, "more_body": True})
        await _send(send, {"type": "http.response.body", "body": b""})

    sending = asyncio.ensure_future(send_pack())
    leaving = asyncio.ensure_future(_wait_for_disconnect(receive))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, leaving):
            task.cancel()  # nothing here talks to the database, which must not be cancelled
        await asyncio.wait({sending, leaving})
    if not sending.cancelled() and (error := sending.exception()) and not isinstance(error, StalledDownloadError):
        raise error


async def _send(send: Send, message: Message) -> None:
    try:
        with anyio.fail_after(STALL_SECONDS):
            await send(message)
    except TimeoutError:
        raise StalledDownloadError("The caller reads nothing any more.") from None


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
