"""Run the checks that are due and store the flags they raise.

Any number of workers may run and be killed at any moment: a repeated check raises no flag twice.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from schema.checks import rules
from schema.checks.flags import CheckFinding, Flag, Flagged, raise_flag
from schema.checks.rules import Lookalike, Stop, usable
from schema.checks.thresholds import MAX_VALUES, Measure, Threshold, ThresholdLimits, limits_of
from schema.core.refusals import Refusal
from schema.fieldwork.observations import Method, Observation
from schema.geography.positions import GeoPoint
from schema.media.media import Media, MediaState
from schema.media.shown_times import satellite_time
from schema.organisation.outlines import Polygon
from schema.organisation.units import Unit, UnitLevel
from storage.checks.queue import Claim
from storage.mongodb.errors import StoreError
from storage.store import Store

LEASE = timedelta(seconds=30)
"""Time after which another worker repeats a check that did not end. A failed check is retried then, too."""
_COUNTERS = frozenset({UnitLevel.DEPARTMENT, UnitLevel.SECTION, UnitLevel.WINDOW})
"""Levels whose position stands in for a unit below without one. A county's own position is no service counter."""
log = structlog.get_logger(__name__)


@dataclass
class _Checking:
    """An observation with the data that its checks need, and the flags raised so far."""

    observation: Observation
    media: Sequence[Media]
    now: datetime
    thresholds: Sequence[Threshold]
    counters: Sequence[GeoPoint] = ()
    ground: Sequence[Polygon] = ()
    flags: list[Flag] = field(default_factory=list)

    def limits(self, observation: Observation) -> ThresholdLimits:
        """Return the limits of the observation's office at the time of receipt."""
        return limits_of(self.thresholds, observation.office_path, observation.received_at)

    def note(self, observation: Observation, findings: Iterator[CheckFinding]) -> None:
        owner = Flagged(observation.id, observation.office_path, observation.author_id, observation.received_at)
        self.flags += [raise_flag(finding, owner, self.now) for finding in findings]


@dataclass(frozen=True)
class CheckRunner:
    """`now` is the clock."""

    store: Store
    now: Callable[[], datetime]
    lease: timedelta = LEASE

    async def do_all(self) -> int:
        """Run every check that is due. Return how many there were."""
        count = 0
        while await self.do_one():
            count += 1
        return count

    async def do_one(self) -> bool:
        """Run the check that is due first. Return False if none is due. A failed check is retried after its lease."""
        claim = await self.store.checks.claim(self.now(), self.lease)
        if claim is None:
            return False
        try:
            await self._check(claim)
            await self.store.checks.done(claim)
        except (Refusal, StoreError) as error:
            log.warning("work failed", work="check", reason=type(error).__name__)
        return True

    async def _check(self, claim: Claim) -> None:
        found = await self.store.observations.many([claim.observation_id])
        # A medium may be ready before its observation is stored, or never be named by it. The observation itself is due.
        if not found or (claim.medium_id and claim.medium_id not in found[0].content.media_ids):
            return
        checking = await self._gathered(found[0])
        self._by_itself(checking)
        await self._by_device(checking)
        looked_at = [each for each in checking.media if claim.medium_id in {None, each.id}]
        await self._by_pictures(checking, looked_at)
        await self.store.flags.raise_all(checking.flags)

    async def _gathered(self, seen: Observation) -> _Checking:
        media = [
            each
            for each in await self.store.media.many(seen.content.media_ids)
            if each.state is MediaState.READY and each.observation_id == seen.id
        ]
        points = await self.store.monitoring_points.many([seen.monitoring_point_id]) if seen.monitoring_point_id else []
        of = seen.unit_id or (points[0].unit_id if points else seen.office_id)
        units = await self._upwards(of)
        outlines = {each.unit_id: each for each in await self.store.outlines.many([unit.id for unit in units])}
        ground = next((outlines[unit.id].polygons for unit in units if unit.id in outlines), ())
        return _Checking(
            observation=seen,
            media=media,
            now=self.now(),
            thresholds=await self.store.thresholds.above(seen.office_path),
            counters=_counters(seen, units, [each for point in points if (each := usable(point.position))]),
            ground=ground if seen.content.method is not Method.COMPLAINT else (),
        )

    async def _upwards(self, unit_id: str) -> list[Unit]:
        """Return the unit and its ancestors, nearest first."""
        units = await self.store.units.many([unit_id])
        if not units:
            return []
        above = {str(unit.id): unit for unit in await self.store.units.many(units[0].ancestor_ids)}
        return [units[0], *(above[id] for id in reversed(units[0].ancestor_ids) if id in above)]

    def _by_itself(self, checking: _Checking) -> None:
        """What the observation and its files say of each other, of the unit and of the county."""
        seen, content = checking.observation, checking.observation.content
        limits, claimed = checking.limits(seen), usable(content.position)
        if content.position:
            checking.note(seen, rules.mock_position(content.position))
        received_at = seen.revisions[-1].recorded_at
        fixed_at = satellite_time(content.position, received_at)
        checking.note(seen, rules.clock_skew(content.captured_at, received_at, fixed_at, limits, seen.clock_skew))
        if claimed:
            checking.note(seen, rules.unit_distance(claimed, checking.counters, limits))
            checking.note(seen, rules.outside_county(claimed, checking.ground, limits))
        for medium in checking.media:
            facts = medium.facts
            own_time = rules.instant_of(facts, content.captured_offset_minutes) if facts else None
            checking.note(seen, rules.photo_time(medium.id, own_time, medium.captured_at, content.captured_at, limits))
            if facts is None:
                continue
            checking.note(seen, rules.edited(medium.id, facts.software))
            own = usable(facts.position)
            if own and claimed:
                checking.note(seen, rules.photo_position(medium.id, own, claimed, limits))
            elif own:
                checking.note(seen, rules.unit_distance(own, checking.counters, limits, medium.id))
                checking.note(seen, rules.outside_county(own, checking.ground, limits, medium.id))

    async def _by_device(self, checking: _Checking) -> None:
        """Compare with the device's observations before and after: offline phones may send either one last."""
        seen = checking.observation
        here = _stop(seen)
        if here is None or seen.device_id is None:
            return
        for beside in await self.store.checks.stops_beside(seen):
            there = _stop(beside)
            # One threshold serves whichever of the two is flagged: one device, one office.
            if there and (found := rules.speed(here, there, checking.limits(seen))):
                later, finding = found
                checking.note(seen if later == seen.id else beside, iter([finding]))

    async def _by_pictures(self, checking: _Checking, media: Sequence[Media]) -> None:
        """Flag the later received of two observations with similar pictures, with a reference to the earlier one."""
        seen = checking.observation
        pairs = await self._alike(seen, media)
        others = {str(each.id): each for each in await self.store.observations.many(sorted({o for _, o, *_ in pairs}))}
        named = [pair for pair in pairs if pair[1] in others and pair[2] in others[pair[1]].content.media_ids]
        if not named:
            return
        paths = {others[id].office_path for _, id, *_ in named}
        checking.thresholds = await self.store.thresholds.above(seen.office_path, *paths)
        for medium in media:
            earlier = []
            for mine, id, theirs, bits, same in named:
                if mine != medium.id:
                    continue
                other = others[id]
                if _came(other) < _came(seen):
                    earlier.append(Lookalike(id, theirs, bits, same))
                else:
                    mirrored = [Lookalike(seen.id, mine, bits, same)]
                    checking.note(other, rules.lookalikes(theirs, mirrored, checking.limits(other)))
            checking.note(seen, rules.lookalikes(medium.id, earlier, checking.limits(seen)))

    async def _alike(self, seen: Observation, media: Sequence[Media]) -> list[tuple[str, str, str, int, bool]]:
        """Return (medium, other observation, other medium, bits, whether the file is the same), each pair of media once."""
        digests = sorted({each.sha256 for each in media})
        same = await self.store.checks.same_files(digests, seen.id) if digests else []
        pairs = {
            (str(mine.id), str(theirs.id)): (str(mine.id), theirs.observation_id, str(theirs.id), 0, True)
            for mine in media
            for theirs in same
            if mine.sha256 == theirs.sha256
        }
        near: list[tuple[str, str, int]] = []
        kept = await self.store.likenesses.of([each.id for each in media])
        for mine_id, wanted in kept.items():
            found = await self.store.likenesses.near(mine_id, wanted, int(MAX_VALUES[Measure.BITS]))
            near += [(mine_id, alike.media_id, alike.bits) for alike in found]
        theirs_by_id = {str(each.id): each for each in await self.store.media.many(sorted({id for _, id, _ in near}))}
        for mine_id, other_id, bits in near:
            theirs = theirs_by_id.get(other_id)
            if theirs and theirs.observation_id != seen.id and theirs.state is MediaState.READY:
                pairs.setdefault((mine_id, other_id), (mine_id, theirs.observation_id, other_id, bits, False))
        return list(pairs.values())


def _counters(seen: Observation, units: Sequence[Unit], enterprises: Sequence[GeoPoint]) -> list[GeoPoint]:
    """Return the positions where it should have been recorded. Empty if unknown, or if any place is allowed."""
    method = seen.content.method
    if method is Method.COMPLAINT or (method in rules.AT_THE_COUNTER and seen.unit_id is None):
        return []
    near = [unit for unit in units if unit.id == seen.unit_id or unit.level in _COUNTERS] if seen.unit_id else []
    nearest = next((place for unit in near if (place := usable(unit.position))), None)
    here = [nearest] if nearest else []
    return here if method in rules.AT_THE_COUNTER else [*here, *enterprises]


def _stop(seen: Observation) -> Stop | None:
    place = usable(seen.content.position)
    return Stop(seen.id, seen.content.captured_at, place) if place else None


def _came(seen: Observation) -> tuple[datetime, str]:
    return seen.received_at, seen.id
