"""Seal and read the URLs of evidence packs.

A URL is for one record and one viewer, and is valid only briefly. A browser can open it, because it needs no header.
Proxies and browsers keep URLs, so nobody but the server can read in a URL whose link it is.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from api.graphql.context import Context
from schema.core.refusals import Refusal, RefusalCode
from schema.core.sealing import Seal
from schema.evidence.packs import PackLink

MAX_ADDRESS_LENGTH = 1024
PATH = "/packs/"


@dataclass(frozen=True)
class PackAddress:
    """What a sealed URL says: the record, the viewer and the expiry.

    `id` is the record's id. `device_id` is None if the viewer signed in at an identity provider. `expires` is in
    seconds since 1970.
    """

    id: str
    user_id: str
    device_id: str | None
    identities: bool
    expires: int

    def path(self, secret: bytes) -> str:
        return PATH + Seal(secret, b"pack").close(orjson.dumps(asdict(self)))


def read_address(text: str, secret: bytes, now: datetime) -> PackAddress:
    """Read the last part of a signed URL.

    Raise `Refusal(NOT_FOUND)` if this server did not seal the URL, or if the URL has expired.
    """
    body = Seal(secret, b"pack").open(text[:MAX_ADDRESS_LENGTH])
    if body is None:
        raise Refusal(RefusalCode.NOT_FOUND)
    fields: Mapping[str, Any] = orjson.loads(body)
    address = PackAddress(**fields)
    if datetime.fromtimestamp(address.expires, UTC) <= now:
        raise Refusal(RefusalCode.NOT_FOUND, "This link has expired. Get a new one.")
    return address


def pack_link(context: Context, id: str, *, identities: bool) -> PackLink:
    """Return the viewer's link to a record's pack. Whether the viewer may see the record is checked at the download."""
    expires_at = context.now.replace(microsecond=0) + timedelta(seconds=context.settings.link_seconds)
    viewer = context.actor
    address = PackAddress(id, viewer.user_id, viewer.device_id, identities, int(expires_at.timestamp()))
    return PackLink(url=address.path(context.keys.packs_secret), expires_at=expires_at)
