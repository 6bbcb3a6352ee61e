"""Links: how a record asks for its neighbours without knowing where they live.

`api` builds one `Links` per request and viewer; it batches what is asked for together and applies visibility once.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol

import strawberry

if TYPE_CHECKING:
    from schema.access.viewers import Viewer
    from schema.accounts.users import User
    from schema.casework.assignments import Assignment
    from schema.casework.cases import Case
    from schema.casework.follow_ups import FollowUp
    from schema.checks.flags import Flag
    from schema.core.refusals import Refusal
    from schema.evidence.packs import PackLink
    from schema.fieldwork.observations import Observation, Receipt
    from schema.media.media import Link, Media, Rendition
    from schema.organisation.monitoring_points import MonitoringPoint
    from schema.organisation.units import Unit
    from schema.publication.redactions import Redaction


class RedactionLinks(Protocol):
    """Redactions of media that the viewer has been shown: all of them to officers of the scope, approved ones to others."""

    async def of_media(self, media_id: str) -> "list[Redaction]": ...
    async def link(self, redaction: "Redaction") -> "Link | None": ...


class RatingLinks(Protocol):
    """What units come to by their ratings, as far as these are published."""

    async def monthly_score(self, unit: "Unit", month: date) -> float | None: ...


class Links(Protocol):
    """The neighbours of records that the viewer has been shown.

    Units and points follow from any record that is visible; people appear only to those who may know them; cases,
    observations and assignments obey the viewer's own visibility.
    """

    async def unit(self, id: str) -> "Unit | None": ...
    async def units(self, ids: Sequence[str]) -> "list[Unit]": ...
    async def monitoring_point(self, id: str) -> "MonitoringPoint | None": ...
    async def user(self, id: str) -> "User | None": ...
    async def users(self, ids: Sequence[str]) -> "list[User]": ...
    async def observation(self, id: str) -> "Observation | None": ...
    async def media(self, ids: Sequence[str]) -> "list[Media]": ...
    async def case(self, id: str) -> "Case | None": ...
    async def cases(self, ids: Sequence[str]) -> "list[Case]": ...
    async def follow_ups(self, observation: "Observation") -> "list[FollowUp]": ...
    async def flags(self, observation: "Observation") -> "list[Flag]": ...
    async def assignment(self, id: str) -> "Assignment | None": ...
    async def observations_of_case(self, case_id: str) -> "list[Observation]": ...
    async def assignments_of_case(self, case_id: str) -> "list[Assignment]": ...
    async def cases_about(self, unit_id: str | None, monitoring_point_id: str | None) -> "list[Case]": ...
    async def link(self, media: "Media", rendition: "Rendition") -> "Link | None": ...
    @property
    def redactions(self) -> RedactionLinks: ...
    @property
    def ratings(self) -> RatingLinks: ...


class Context(Protocol):
    """What a resolver finds in `info.context`."""

    @property
    def viewer(self) -> "Viewer | None": ...
    @property
    def denial(self) -> "Refusal | None":
        """Why there is no viewer although a token was sent: what is open to all must work with a stale token too."""

    @property
    def outdated(self) -> "Refusal | None":
        """Why a phone of an old level may do no more than empty its outbox."""

    @property
    def now(self) -> datetime:
        """Read once for the request."""

    @property
    def links(self) -> Links: ...
    def forget(self) -> None:
        """Ask the store anew for what the links remember: a mutation may have changed it."""

    def pack(self, id: str, *, identities: bool) -> "PackLink":
        """The address of an evidence pack of that record, for this viewer and a short while."""

    def sign(self, receipt: "Receipt") -> str:
        """The receipt as a token signed by the server's evidence key."""

    def note(self, refusal: "Refusal") -> None:
        """Count a refusal that travels as data: no error of the transport tells of it."""


Info = strawberry.Info[Context, None]
