"""Hold what one request needs: its viewer, its time, and the services of the process."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import strawberry

from api.graphql.loaders import ContextLoad
from api.graphql.viewer_filters import ViewerFilters
from api.settings import Settings
from api.telemetry import tracing
from schema.access.permissions import Permit
from schema.access.viewers import Viewer
from schema.core.ids import compose
from schema.core.pagination import CursorSeal
from schema.core.refusals import Refusal, RefusalCode
from schema.core.times import to_millis
from schema.fieldwork.drafts import UnreadableDraft
from storage.store import Store

if TYPE_CHECKING:
    from api.accounts.key_ring import KeyRing
    from api.accounts.passwords import Passwords
    from api.evidence.evidence_keys import EvidenceKeys
    from api.notifications.subscription_stream import SubscriptionStream
    from api.registration import Registry
    from schema.evidence.packs import PackLink


def clock() -> datetime:
    """Return the current time, in UTC and whole milliseconds."""
    return to_millis(datetime.now(UTC))


class PackLinks(Protocol):
    """Make the link to a record's evidence pack, for the viewer of a request."""

    def __call__(self, context: "Context", id: str, *, identities: bool) -> "PackLink": ...


@dataclass(frozen=True)
class Services:
    """The objects that one process opens once and uses for all its requests.

    `registry` holds the loaders, record kinds and permits of all areas.
    """

    store: Store
    settings: Settings
    keys: "KeyRing"
    evidence: "EvidenceKeys"
    passwords: "Passwords"
    registry: "Registry"
    pack_link: "PackLinks"


@dataclass
class Context:
    """One request.

    `now` is read once, so all writes of the request have the same timestamp. `denial` is the refusal if a token was not
    accepted. `outdated` is the refusal if the phone's contract level is too old. `unreadable` maps the response name of
    a root field to the drafts that were cut out of this field's input.
    """

    services: Services
    viewer: Viewer | None
    denial: Refusal | None = None
    outdated: Refusal | None = None
    client_address: str = ""
    now: datetime = field(default_factory=clock)
    unreadable: dict[str, list[UnreadableDraft]] = field(default_factory=dict)
    stream: "SubscriptionStream | None" = None

    @property
    def store(self) -> Store:
        return self.services.store

    @property
    def settings(self) -> Settings:
        return self.services.settings

    @property
    def keys(self) -> "KeyRing":
        return self.services.keys

    @property
    def is_disk_full(self) -> bool:
        return self.settings.free_space.is_low

    @property
    def permits(self) -> Mapping[str, Permit]:
        return self.services.registry.permits

    @cached_property
    def load(self) -> ContextLoad:
        return ContextLoad(self, self.services.registry.loaders)

    @cached_property
    def visible(self) -> ViewerFilters:
        return ViewerFilters(self.load, self.actor)

    @property
    def actor(self) -> Viewer:
        """Return the viewer. Raise `Refusal(UNAUTHENTICATED)` if nobody is signed in."""
        if self.viewer is None:
            raise Refusal(RefusalCode.UNAUTHENTICATED)
        return self.viewer

    def check_clock(self) -> None:
        """Raise `Refusal(UNAVAILABLE)` if this machine's clock differs too much from the database's."""
        self.store.database_clock.check()

    def clear_loaded(self) -> None:
        """Forget all loaded records, so that the next read sees what this request has written."""
        for name in ("load", "visible"):
            self.__dict__.pop(name, None)

    def begin_event(self) -> datetime:
        """Begin the next event of a subscription: forget all loaded records, and read the clock again."""
        self.clear_loaded()
        self.now = clock()
        return self.now

    def count_refusal(self, refusal: Refusal) -> None:
        tracing.current().codes.append(str(refusal.code.value))

    def pack(self, id: str, *, identities: bool) -> "PackLink":
        return self.services.pack_link(self, id, identities=identities)

    def sign(self, kind: str, claims: Mapping[str, Any]) -> str:
        return self.services.evidence.token(kind, claims)

    def new_id(self, prefix: str, at: datetime | None = None) -> strawberry.ID:
        """Return an id for a record that the server makes. It tells the time `at`, or the time of the request."""
        return compose(prefix, at or self.now, secrets.token_bytes(10))

    def seal(self, *binding: Any) -> CursorSeal:
        """Return the seal of the cursors of one list.

        `binding` is the name of the list and its filter. The cursors are valid for this binding and this viewer only.
        """
        return CursorSeal(self.keys.cursor_secret, (self.actor.user_id, *binding))


Info = strawberry.Info[Context, None]


def unreadable_drafts(info: Info) -> Sequence[UnreadableDraft]:
    """Return the drafts that could not be read and were therefore cut out of this root field's input."""
    return info.context.unreadable.get(str(info.path.key), ())


def check_batch_size(limit: int, items: Sequence[Any], field: str) -> None:
    """Raise `Refusal(LIMIT_EXCEEDED)` if a batch is empty or has more items than `limit`."""
    if not 1 <= len(items) <= limit:
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, f"Send between 1 and {limit} at once.", field=field)
