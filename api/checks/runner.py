"""Run the checks that are due, and store the flags that the checks raise.

Any number of workers may run and be killed at any moment. This is safe, because a repeated check raises no flag twice.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from api.jobs.fair_turns import FairTurns
from schema.checks import rules
from schema.checks.flags import CheckFinding, Flag, FlagOwner, raise_flag
from schema.checks.rules import Lookalike, Stop, usable_position
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
"""Time after which a check is repeated if it failed or did not end. Another worker may repeat it."""
_COUNTERS = frozenset({UnitLevel.DEPARTMENT, UnitLevel.SECTION, UnitLevel.WINDOW})
"""Levels of units where people are served. If a unit has no position, the position of the nearest unit above at one of
these levels is used. The position of a county is not used, because a county is no service counter."""
log = structlog.get_logger(__name__)


@dataclass
class _CheckData:
    """An observation, the data that its checks need, and the flags that were raised so far."""

    observation: Observation
    media: Sequence[Media]
    now: datetime
    thresholds: Sequence[Threshold]
    counters: Sequence[GeoPoint] = ()
    ground: Sequence[Polygon] = ()
    flags: list[Flag] = field(default_factory=list)

    def limits(self, observation: Observation) -> ThresholdLimits:
        """Return the limits that applied to the observation's office when the observation was received."""
        return limits_of(self.thresholds, observation.office_path, observation.received_at)

    def add_flags(self, observation: Observation, findings: Iterator[CheckFinding]) -> None:
        owner = FlagOwner(observation.id, observation.office_path, observation.author_id, observation.received_at)
        self.flags += [raise_flag(finding, owner, self.now, secrets.token_bytes(10)) for finding in findings]


@dataclass(frozen=True)
class CheckRunner:
    """Run checks. People whose reports wait take turns.

    `now` returns the current time, and `lease` is the time after which a check may be repeated.
    """

    store: Store
    now: Callable[[], datetime]
    lease: timedelta = LEASE
    turns: FairTurns = field(default_factory=FairTurns)

    async def do_all(self) -> int:
        """Run every check that is due. Return the number of checks."""
        count = 0
        while await self.do_one():
            count += 1
        return count

    async def do_one(self) -> bool:
        """Run the check that is due first of the person whose turn it is. Return False if none is due.

        A check that fails is repeated after its lease ends.
        """
        queue, now = self.store.checks, self.now()
        for person in self.turns.order(await queue.find_waiting(now)):
            if claim := await queue.claim(now, self.lease, person):
                with self.turns.take(person):
                    await self._do(claim)
                return True
        return False

    async def _do(self, claim: Claim) -> None:
        try:
            await self._check(claim)
            await self.store.checks.finish(claim)
        except (Refusal, StoreError) as error:
            log.warning("work failed", work="check", reason=type(error).__name__)

    async def _check(self, claim: Claim) -> None:
        seen = await self.store.observations.whole(claim.observation_id) if claim.observation_id else None
        # A medium may be ready before its observation is stored, or the observation may never name the medium. Nothing
        # is checked then: the check of the observation itself is due separately.
        if seen is None or (claim.medium_id and claim.medium_id not in seen.content.media_ids):
            return
        data = await self._load(seen)
        self._check_files_and_place(data)
        await self._check_speed(data)
        media = [medium for medium in data.media if claim.medium_id in {None, medium.id}]
        await self._check_pictures(data, media)
        await self.store.flags.raise_all(data.flags)

    async def _load(self, seen: Observation) -> _CheckData:
        media = [
            medium
            for medium in await self.store.media.many(seen.content.media_ids)
            if medium.state is MediaState.READY and medium.observation_id == seen.id
        ]
        points = await self.store.monitoring_points.many([seen.monitoring_point_id]) if seen.monitoring_point_id else []
        of = seen.unit_id or (points[0].unit_id if points else seen.office_id)
        units = await self._unit_and_ancestors(of)
        outlines = {outline.unit_id: outline for outline in await self.store.outlines.many([unit.id for unit in units])}
        ground = next((outlines[unit.id].polygons for unit in units if unit.id in outlines), ())
        return _CheckData(
            observation=seen,
            media=media,
            now=self.now(),
            thresholds=await self.store.thresholds.above(seen.office_path),
            counters=_counters(
                seen, units, [position for point in points if (position := usable_position(point.position))]
            ),
            ground=ground if seen.content.method is not Method.COMPLAINT else (),
        )

    async def _unit_and_ancestors(self, unit_id: str) -> list[Unit]:
        """Return the unit and its ancestors, nearest first."""
        units = await self.store.units.many([unit_id])
        if not units:
            return []
        above = {str(unit.id): unit for unit in await self.store.units.many(units[0].ancestor_ids)}
        return [units[0], *(above[id] for id in reversed(units[0].ancestor_ids) if id in above)]

    def _check_files_and_place(self, data: _CheckData) -> None:
        """Check times and positions of the observation and its files against each other, the unit and the county."""
        seen, content = data.observation, data.observation.content
        limits, claimed = data.limits(seen), usable_position(content.position)
        if content.position:
            data.add_flags(seen, rules.check_mock_position(content.position))
        received_at = seen.revisions[-1].recorded_at
        fixed_at = satellite_time(content.position, received_at)
        data.add_flags(
            seen, rules.check_clock_skew(content.captured_at, received_at, fixed_at, limits, seen.clock_skew)
        )
        if claimed:
            data.add_flags(seen, rules.check_unit_distance(claimed, data.counters, limits))
            data.add_flags(seen, rules.check_outside_county(claimed, data.ground, limits))
        for medium in data.media:
            facts = medium.facts
            own_time = rules.instant_of(facts, content.captured_offset_minutes) if facts else None
            data.add_flags(
                seen, rules.check_photo_time(medium.id, own_time, medium.captured_at, content.captured_at, limits)
            )
            if facts is None:
                continue
            data.add_flags(seen, rules.check_editing_software(medium.id, facts.software))
            own = usable_position(facts.position)
            if own and claimed:
                data.add_flags(seen, rules.check_photo_position(medium.id, own, claimed, limits))
            elif own:
                data.add_flags(seen, rules.check_unit_distance(own, data.counters, limits, medium.id))
                data.add_flags(seen, rules.check_outside_county(own, data.ground, limits, medium.id))

    async def _check_speed(self, data: _CheckData) -> None:
        """Check the speed between the device's previous observation and this one, and between this one and the next.

        A phone that was offline may send these observations in any order.
        """
        seen = data.observation
        here = _stop_of(seen)
        if here is None or seen.device_id is None:
            return
        for beside in await self.store.checks.stops_beside(seen):
            there = _stop_of(beside)
            # Both observations come from one device and so from one office: one threshold applies to either.
            if there and (found := rules.check_speed(here, there, data.limits(seen))):
                later, finding = found
                data.add_flags(seen if later == seen.id else beside, iter([finding]))

    async def _check_pictures(self, data: _CheckData, media: Sequence[Media]) -> None:
        """If two observations have similar pictures, flag the one that was received later.

        The flag refers to the earlier observation.
        """
        seen = data.observation
        pairs = await self._find_alike(seen, media)
        others = {
            str(observation.id): observation
            for observation in await self.store.observations.many(sorted({o for _, o, *_ in pairs}))
        }
        named = [pair for pair in pairs if pair[1] in others and pair[2] in others[pair[1]].content.media_ids]
        if not named:
            return
        paths = {others[id].office_path for _, id, *_ in named}
        data.thresholds = await self.store.thresholds.above(seen.office_path, *paths)
        for medium in media:
            earlier = []
            for mine, id, theirs, bits, same in named:
                if mine != medium.id:
                    continue
                other = others[id]
                if _receipt_order(other) < _receipt_order(seen):
                    earlier.append(Lookalike(id, theirs, bits, same))
                else:
                    mirrored = [Lookalike(seen.id, mine, bits, same)]
                    data.add_flags(other, rules.check_lookalikes(theirs, mirrored, data.limits(other)))
            data.add_flags(seen, rules.check_lookalikes(medium.id, earlier, data.limits(seen)))

    async def _find_alike(self, seen: Observation, media: Sequence[Media]) -> list[tuple[str, str, str, int, bool]]:
        """Return every pair of similar media once. There are few pairs, also if somebody sends a picture very often.

        A pair is (id of the medium, id of the other observation, id of the other medium, number of differing bits of
        the perceptual hashes, whether the files are identical).
        """
        digests = sorted({medium.sha256 for medium in media})
        same = await self.store.checks.same_files(digests, seen.id) if digests else []
        pairs = {
            (str(mine.id), str(theirs.id)): (str(mine.id), other_id, str(theirs.id), 0, True)
            for mine in media
            for theirs in same
            if mine.sha256 == theirs.sha256 and (other_id := theirs.observation_id)
        }
        near: list[tuple[str, str, int]] = []
        likenesses = await self.store.likenesses.of([medium.id for medium in media])
        for mine_id, wanted in likenesses.items():
            similar = await self.store.likenesses.near(
                mine_id, wanted, int(MAX_VALUES[Measure.BITS]), seen.content.media_ids
            )
            near += [(mine_id, alike.media_id, alike.bits) for alike in similar]
        theirs_by_id = {
            str(medium.id): medium for medium in await self.store.media.many(sorted({id for _, id, _ in near}))
        }
        for mine_id, id, bits in near:
            theirs = theirs_by_id.get(id)
            other_id = theirs.observation_id if theirs and theirs.state is MediaState.READY else None
            if other_id and other_id != seen.id:
                pairs.setdefault((mine_id, id), (mine_id, other_id, id, bits, False))
        return list(pairs.values())


def _counters(seen: Observation, units: Sequence[Unit], enterprises: Sequence[GeoPoint]) -> list[GeoPoint]:
    """Return the positions at which the observation should have been recorded.

    Return an empty list if these positions are unknown, or if any place is allowed.
    """
    method = seen.content.method
    if method is Method.COMPLAINT or (method in rules.AT_THE_COUNTER and seen.unit_id is None):
        return []
    near = [unit for unit in units if unit.id == seen.unit_id or unit.level in _COUNTERS] if seen.unit_id else []
    nearest = next((place for unit in near if (place := usable_position(unit.position))), None)
    here = [nearest] if nearest else []
    return here if method in rules.AT_THE_COUNTER else [*here, *enterprises]


def _stop_of(seen: Observation) -> Stop | None:
    place = usable_position(seen.content.position)
    return Stop(seen.id, seen.content.captured_at, place) if place else None


def _receipt_order(seen: Observation) -> tuple[datetime, str]:
    return seen.received_at, seen.id
