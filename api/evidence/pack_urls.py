"""Sign and read the URLs of evidence packs.

A URL is for one record and one viewer, and is valid only briefly. A browser can open it, because it needs no header.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from api.graphql.context import Context
from schema.core.refusals import Refusal, RefusalCode
from schema.evidence.packs import PackLink

TAG_BYTES = 16
MAX_ADDRESS_LENGTH = 1024
PATH = "/packs/"


@dataclass(frozen=True)
class PackAddress:
    """What a signed URL says: the record, the viewer and the expiry.

    `id` is the record's id. `device_id` is None if the viewer signed in at an identity provider. `expires` is in
    seconds since 1970.
    """

    id: str
    user_id: str
    device_id: str | None
    identities: bool
    expires: int

    def path(self, secret: bytes) -> str:
        body = orjson.dumps(asdict(self))
        return PATH + base64.urlsafe_b64encode(_tag(secret, body) + body).decode().rstrip("=")


def read_address(text: str, secret: bytes, now: datetime) -> PackAddress:
    """Read the last part of a signed URL.

    Raise `Refusal(NOT_FOUND)` if this server did not sign the URL, or if the URL has expired.
    """
    try:
        raw = base64.b64decode(text[:MAX_ADDRESS_LENGTH] + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        tag, body = raw[:TAG_BYTES], raw[TAG_BYTES:]
        if not hmac.compare_digest(tag, _tag(secret, body)):
            raise Refusal(RefusalCode.NOT_FOUND)
    except (binascii.Error, ValueError):
        raise Refusal(RefusalCode.NOT_FOUND) from None
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


def _tag(secret: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, body, "sha256")[:TAG_BYTES]
