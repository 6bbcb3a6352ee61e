"""The context of one request: who asks, what time it is, and the store; made by `app.py`, found in `info.context`."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import strawberry

from api.accounts.key_ring import KeyRing
from api.accounts.passwords import Passwords
from api.evidence.evidence_keys import EvidenceKeys
from api.evidence.pack_urls import PackAddress
from api.graphql.loaders import ViewerLinks
from api.notifications.subscription_stream import Stream
from api.settings import Settings
from api.telemetry import tracing
from schema.access.viewers import Viewer
from schema.core.ids import compose
from schema.core.pagination import CursorSeal
from schema.core.refusals import Refusal, RefusalCode
from schema.core.times import to_millis
from schema.evidence.packs import PackLink
from schema.fieldwork.drafts import UnreadableDraft
from schema.fieldwork.observations import RECEIPT_TYPE, Receipt
from storage.store import Store


def clock() -> datetime:
    """The present instant, in UTC and whole milliseconds."""
    return to_millis(datetime.now(UTC))


@dataclass
class Context:
    """`now` is read once, so that everything that a request writes bears the same time."""

    store: Store
    settings: Settings
    keys: KeyRing
    evidence: EvidenceKeys
    passwords: Passwords
    viewer: Viewer | None
    denial: Refusal | None = None
    outdated: Refusal | None = None
    client_address: str = ""
    now: datetime = field(default_factory=clock)
    unreadable: dict[str, list[UnreadableDraft]] = field(default_factory=dict)
    stream: Stream | None = None

    @cached_property
    def links(self) -> ViewerLinks:
        return ViewerLinks(self.store, self.viewer, self.now, self.settings.link_seconds)

    @property
    def actor(self) -> Viewer:
        """The viewer, where the table of permits has let nobody else through."""
        if self.viewer is None:
            raise Refusal(RefusalCode.UNAUTHENTICATED)
        return self.viewer

    def forget(self) -> None:
        self.__dict__.pop("links", None)

    def renew(self) -> datetime:
        """Begin another event of a subscription: everything is read anew, at the time that is returned."""
        self.forget()
        self.now = clock()
        return self.now

    def note(self, refusal: Refusal) -> None:
        tracing.current().codes.append(str(refusal.code.value))

    def pack(self, id: str, *, identities: bool) -> PackLink:
        """Nothing is asked of the store here: who may see what is decided when the address is used."""
        expires_at = self.now.replace(microsecond=0) + timedelta(seconds=self.settings.link_seconds)
        viewer = self.actor
        address = PackAddress(id, viewer.user_id, viewer.device_id, identities, int(expires_at.timestamp()))
        return PackLink(url=address.path(self.keys.packs_secret), expires_at=expires_at)

    def sign(self, receipt: Receipt) -> str:
        return self.evidence.token(RECEIPT_TYPE, receipt.claims())

    def new_id(self, prefix: str) -> strawberry.ID:
        return compose(prefix, self.now, secrets.token_bytes(10))

    def seal(self, *binding: Any) -> CursorSeal:
        """Cursors of the list that `binding` names (with its filter), for this viewer alone."""
        return CursorSeal(self.keys.cursor_secret, (self.actor.user_id, *binding))


Info = strawberry.Info[Context, None]


def unreadable(info: Info) -> Sequence[UnreadableDraft]:
    """Drafts that were sent to this root field and cut out of its input, since they could not be read."""
    return info.context.unreadable.get(str(info.path.key), ())


def at_most(count: int, items: Sequence[Any], field: str) -> None:
    """Raise `Refusal(LIMIT_EXCEEDED)` where a batch holds more than one request may ask for."""
    if not 1 <= len(items) <= count:
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, f"Between 1 and {count} at once.", field=field)
