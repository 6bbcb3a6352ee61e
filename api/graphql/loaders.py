"""Links: the neighbours of records for one request and viewer, fetched in one command per kind and level.

What each relation means is said in `schema/core/context.py`; what the viewer finds, in `storage/access/visibility.py`.
"""

import secrets
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TypeVar

import anyio
from strawberry.dataloader import DataLoader

from api.appraisal.loaders import ViewerRatingLinks
from api.publication.loaders import ViewerRedactionLinks
from schema.access.viewers import Role, Viewer
from schema.accounts.users import User
from schema.casework.assignments import Assignment
from schema.casework.cases import MAX_OBSERVATIONS, Case
from schema.casework.follow_ups import FollowUp
from schema.checks.flags import Flag
from schema.core.ids import compose
from schema.core.nodes import Node
from schema.core.refusals import Refusal, RefusalCode
from schema.fieldwork.observations import Observation
from schema.media.media import Link, Media, MediaState, Rendition
from schema.organisation.monitoring_points import MonitoringPoint
from schema.organisation.units import Unit
from storage.access import visibility
from storage.mongodb.client import Filter
from storage.store import Store

N = TypeVar("N", bound=Node)
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
MAX_RELATED = 21
"""Of one unit or point: 20, and the case that asks."""


class ViewerLinks:
    """Implements `schema.core.context.Links`."""

    def __init__(self, store: Store, viewer: Viewer | None, now: datetime, link_seconds: int) -> None:
        self._store = store
        self._viewer = viewer
        self._now = now
        self._seconds = link_seconds
        self._granted: list[str] | None = None
        self._granting = anyio.Lock()

    @property
    def viewer(self) -> Viewer:
        if self._viewer is None:
            raise Refusal(RefusalCode.UNAUTHENTICATED)
        return self._viewer

    async def granted(self) -> list[str]:
        """Cases given to the viewer by assignment; asked for once, and only of those who can have any."""
        async with self._granting:
            if self._granted is None:
                can = self.viewer.has(Role.INSPECTOR, Role.SUPERVISOR, Role.OFFICER)
                self._granted = await self._store.assignments.granted_cases(self.viewer.user_id) if can else []
        return self._granted

    async def visible_observations(self) -> Filter:
        return visibility.observations(self.viewer, await self.granted())

    async def visible_cases(self) -> Filter:
        return visibility.cases(self.viewer, await self.granted())

    async def visible_assignments(self) -> Filter:
        return visibility.assignments(self.viewer, await self.granted())

    async def unit(self, id: str) -> Unit | None:
        return await self._units.load(id)

    async def units(self, ids: Sequence[str]) -> list[Unit]:
        return _present(await self._units.load_many(ids))

    async def monitoring_point(self, id: str) -> MonitoringPoint | None:
        return await self._monitoring_points.load(id)

    async def user(self, id: str) -> User | None:
        return await self._users.load(id)

    async def users(self, ids: Sequence[str]) -> list[User]:
        return _present(await self._users.load_many(ids))

    async def observation(self, id: str) -> Observation | None:
        return await self._observations.load(id)

    async def media(self, ids: Sequence[str]) -> list[Media]:
        return _present(await self._media.load_many(ids))

    async def case(self, id: str) -> Case | None:
        return await self._cases.load(id)

    async def cases(self, ids: Sequence[str]) -> list[Case]:
        return _present(await self._cases.load_many(ids))

    async def follow_ups(self, observation: Observation) -> list[FollowUp]:
        """Of every case for its author, whom the office owes an answer; for others, of the cases that they find."""
        if observation.author_id == self.viewer.user_id:
            return _present(await self._follow_ups.load_many(observation.case_ids))
        return [case.follow_up() for case in await self.cases(observation.case_ids)]

    async def flags(self, observation: Observation) -> list[Flag]:
        return await self._flags.load(observation.id)

    async def assignment(self, id: str) -> Assignment | None:
        return await self._assignments.load(id)

    async def observations_of_case(self, case_id: str) -> list[Observation]:
        return await self._observations_of_cases.load(case_id)

    async def assignments_of_case(self, case_id: str) -> list[Assignment]:
        return await self._assignments_of_cases.load(case_id)

    async def cases_about(self, unit_id: str | None, monitoring_point_id: str | None) -> list[Case]:
        if unit_id is None and monitoring_point_id is None:
            return []
        return await self._cases_about.load((unit_id, monitoring_point_id))

    async def link(self, media: Media, rendition: Rendition) -> Link | None:
        if media.state is not MediaState.READY:
            return None
        return await self._links.load(_Wanted(media, rendition))

    @cached_property
    def ratings(self) -> ViewerRatingLinks:
        return ViewerRatingLinks(self._store, self._now)

    @cached_property
    def redactions(self) -> ViewerRedactionLinks:
        return ViewerRedactionLinks(self._store, self.viewer, self._now, self._seconds)

    @cached_property
    def _units(self) -> DataLoader[str, Unit | None]:
        return _by_id(self._store.units.many)

    @cached_property
    def _monitoring_points(self) -> DataLoader[str, MonitoringPoint | None]:
        return _by_id(self._store.monitoring_points.many)

    @cached_property
    def _users(self) -> DataLoader[str, User | None]:
        return _by_id(lambda ids: self._store.users.many(ids, visibility.people(self.viewer)))

    @cached_property
    def _observations(self) -> DataLoader[str, Observation | None]:
        async def load(ids: Sequence[str]) -> list[Observation]:
            return await self._store.observations.many(ids, await self.visible_observations())

        return _by_id(load)

    @cached_property
    def _media(self) -> DataLoader[str, Media | None]:
        return _by_id(self._store.media.many)

    @cached_property
    def _cases(self) -> DataLoader[str, Case | None]:
        async def load(ids: Sequence[str]) -> list[Case]:
            return await self._store.cases.many(ids, await self.visible_cases())

        return _by_id(load)

    @cached_property
    def _follow_ups(self) -> DataLoader[str, FollowUp | None]:
        async def load(ids: list[str]) -> list[FollowUp | None]:
            found = {str(case.id): case for case in await self._store.cases.many(ids)}
            return [found[id].follow_up() if id in found else None for id in ids]

        return DataLoader(load_fn=load)

    @cached_property
    def _flags(self) -> DataLoader[str, list[Flag]]:
        async def load(ids: list[str]) -> list[list[Flag]]:
            shown = visibility.flags_of_observations(self.viewer)
            found = await self._store.flags.of_observations(ids, shown)
            return _grouped(ids, ((each.observation_id, each) for each in found))

        return DataLoader(load_fn=load)

    @cached_property
    def _assignments(self) -> DataLoader[str, Assignment | None]:
        async def load(ids: Sequence[str]) -> list[Assignment]:
            return await self._store.assignments.many(ids, await self.visible_assignments())

        return _by_id(load)

    @cached_property
    def _observations_of_cases(self) -> DataLoader[str, list[Observation]]:
        async def load(case_ids: list[str]) -> list[list[Observation]]:
            found = await self._store.observations.of_cases(case_ids, MAX_OBSERVATIONS * len(case_ids))
            return _grouped(case_ids, ((id, each) for each in found for id in each.case_ids))

        return DataLoader(load_fn=load)

    @cached_property
    def _assignments_of_cases(self) -> DataLoader[str, list[Assignment]]:
        async def load(case_ids: list[str]) -> list[list[Assignment]]:
            found = await self._store.assignments.of_cases(case_ids)
            return _grouped(case_ids, ((each.case_id, each) for each in found))

        return DataLoader(load_fn=load)

    @cached_property
    def _cases_about(self) -> DataLoader[tuple[str | None, str | None], list[Case]]:
        async def load(subjects: list[tuple[str | None, str | None]]) -> list[list[Case]]:
            unit_ids = [unit_id for unit_id, _ in subjects if unit_id]
            point_ids = [point_id for _, point_id in subjects if point_id]
            in_scope = visibility.cases(self.viewer, ())
            found = await self._store.cases.about(unit_ids, point_ids, in_scope, await self.granted(), MAX_RELATED)
            return [[case for case in found if case.is_about(*subject)] for subject in subjects]

        return DataLoader(load_fn=load)

    @cached_property
    def _links(self) -> "DataLoader[_Wanted, Link | None]":
        return DataLoader(load_fn=self._sign)

    async def _sign(self, wanted: "list[_Wanted]") -> list[Link | None]:
        """Sign together, after one log entry for each has been stored: who was given what."""
        shown = [each for each in wanted if each.key]
        await self._store.media.log_accesses(
            [
                {
                    "_id": compose("evt", self._now, secrets.token_bytes(10)),
                    "media_id": each.media.id,
                    "rendition": each.rendition.value,
                    "user_id": self.viewer.user_id,
                    "device_id": self.viewer.device_id,
                    "at": self._now,
                }
                for each in shown
            ]
        )
        keys = [(each.key or "", each.content_type) for each in shown]
        urls = dict(zip(shown, await self._store.objects.sign_gets(keys, seconds=self._seconds), strict=True))
        expires_at = self._now + timedelta(seconds=self._seconds)
        return [each.link(urls[each], expires_at) if each in urls else None for each in wanted]


class _Wanted:
    """One rendition of one medium; equal to another of the same."""

    def __init__(self, media: Media, rendition: Rendition) -> None:
        self.media, self.rendition = media, rendition
        self._thumbnail = next((each for each in media.thumbnails if each.rendition is rendition), None)

    def __hash__(self) -> int:
        return hash((self.media.id, self.rendition))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Wanted) and (self.media.id, self.rendition) == (other.media.id, other.rendition)

    @property
    def key(self) -> str | None:
        if self.rendition is Rendition.ORIGINAL:
            return self.media.key
        return self._thumbnail.key if self._thumbnail else None

    @property
    def content_type(self) -> str:
        if self.rendition is not Rendition.ORIGINAL:
            return "image/jpeg"
        facts = self.media.facts
        return (facts.content_type if facts else None) or self.media.content_type

    def link(self, url: str, expires_at: datetime) -> Link:
        facts = self._thumbnail or self.media.facts
        return Link(
            url=url,
            expires_at=expires_at,
            content_type=self.content_type,
            width=facts.width if facts else None,
            height=facts.height if facts else None,
        )


def _by_id(many: Callable[[Sequence[str]], Awaitable[Sequence[N]]]) -> DataLoader[str, N | None]:
    async def load(ids: list[str]) -> list[N | None]:
        found: Mapping[str, N] = {str(record.id): record for record in await many(ids)}
        return [found.get(id) for id in ids]

    return DataLoader(load_fn=load)


def _grouped(keys: Sequence[str], found: Iterable[tuple[str | None, N]]) -> list[list[N]]:
    """What was found under each of `keys`, in the order of both."""
    groups: dict[str | None, list[N]] = {key: [] for key in keys}
    for key, each in found:
        if key in groups:
            groups[key].append(each)
    return [groups[key] for key in keys]


def _present(found: Sequence[V | None]) -> list[V]:
    return [each for each in found if each is not None]
