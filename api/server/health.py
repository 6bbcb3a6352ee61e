"""Report health: `/healthz` says that the process is alive, `/readyz` which parts of the service are up or down."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response

from api.http import responses
from api.http.operator_access import is_operator
from schema.casework.working_years import missing_years
from schema.core.times import beijing_day
from storage.mongodb.database_clock import MAX_SECONDS, DatabaseClock
from storage.processes.free_space import FreeSpace
from storage.s3.bucket_rules import BucketFinding as Feature

PROBE_SECONDS = 2.0
CACHE_SECONDS = 1.0
"""How long the results are reused. Everybody may ask, so asking often must not put load on the database."""

log = structlog.get_logger(__name__)


class PartDownError(Exception):
    """A part of the service doesn't work. The message contains no addresses and no credentials."""


@dataclass(frozen=True)
class Probe:
    """A check of one part of the service.

    `ask` returns a sentence for operators if the part is up, and raises if it is down. The service is unready only if a
    `needed` part is down.
    """

    part: str
    ask: Callable[[], Awaitable[str]]
    needed: bool = True


@dataclass(frozen=True)
class ProbeResult:
    part: str
    up: bool
    needed: bool
    says: str


class Readiness:
    """Check all parts at once, each for at most `seconds`. Reuse the results for `cache_seconds`.

    `store` returns the findings about the bucket. These findings never make the service unready.
    """

    def __init__(
        self,
        probes: Sequence[Probe],
        *,
        store: Callable[[], Sequence[Feature]] | None = None,
        seconds: float = PROBE_SECONDS,
        cache_seconds: float = CACHE_SECONDS,
    ) -> None:
        self.probes = probes
        self.store = store
        self.seconds = seconds
        self.cache_seconds = cache_seconds
        self._checking = asyncio.Lock()
        self._results: list[ProbeResult] = []
        self._until = 0.0
        self._pending: dict[str, asyncio.Future[str]] = {}

    async def results(self) -> list[ProbeResult]:
        async with self._checking:
            if time.monotonic() >= self._until:
                self._results = list(await asyncio.gather(*map(self._check, self.probes)))
                self._until = time.monotonic() + self.cache_seconds
            return self._results

    async def _check(self, probe: Probe) -> ProbeResult:
        # A check is never cancelled, because its caller would then wait until the call has ended. A check that
        # is still running is awaited again.
        task = self._pending.pop(probe.part, None) or asyncio.ensure_future(probe.ask())
        done, _ = await asyncio.wait({task}, timeout=self.seconds)
        if not done:
            self._pending[probe.part] = task
            return ProbeResult(probe.part, up=False, needed=probe.needed, says=f"No answer within {self.seconds:g} s.")
        error = task.exception()
        if error is None:
            return ProbeResult(probe.part, up=True, needed=probe.needed, says=task.result())
        if isinstance(error, PartDownError):
            return ProbeResult(probe.part, up=False, needed=probe.needed, says=str(error))
        log.warning("probe failed", part=probe.part, exc_info=error)
        says = "It refused, or can't be reached; the log has the kind of error."
        return ProbeResult(probe.part, up=False, needed=probe.needed, says=says)


async def alive(_: Request) -> Response:
    """Answer `/healthz`. Any answer shows that the process takes requests."""
    return responses.json_response({"alive": True})


class ReadyEndpoint:
    """Answer `/readyz`, with status 503 while a needed part is down.

    Strangers see only which parts are up. Operators also see the details.
    """

    def __init__(self, readiness: Readiness, token: str | None) -> None:
        self.readiness = readiness
        self.token = token

    async def respond(self, request: Request) -> Response:
        results = await self.readiness.results()
        ready = all(result.up for result in results if result.needed)
        is_detailed = is_operator(request, self.token)
        parts = [
            {"part": result.part, "up": result.up, "needed": result.needed}
            | ({"says": result.says} if is_detailed else {"says": "Up." if result.up else "Down."})
            for result in results
        ]
        answer: dict[str, Any] = {"ready": ready, "parts": parts}
        if is_detailed and self.readiness.store is not None:
            features = self.readiness.store()
            answer["store"] = [
                {"feature": feature.feature, "state": feature.state.value, "says": feature.says} for feature in features
            ]
        headers = {} if ready else {"Retry-After": str(responses.RETRY_AFTER_SECONDS)}
        return responses.json_response(answer, status=200 if ready else 503, headers=headers)


def database(command: Callable[..., Awaitable[Mapping[str, Any]]]) -> Probe:
    """Return the probe of MongoDB. `command` runs a database command.

    MongoDB must be a replica set with a primary, because writes need one.
    """

    async def ask() -> str:
        hello, build = await asyncio.gather(command("hello"), command("buildInfo"))
        if "setName" not in hello:
            raise PartDownError("MongoDB runs without a replica set: transactions and change streams need one.")
        if not hello.get("primary") and not hello.get("isWritablePrimary"):
            raise PartDownError("The replica set has no primary: it can't take writes.")
        return f"MongoDB {build['version']}, replica set {hello['setName']} with a primary.{_version_warning(build)}"

    return Probe("database", ask)


def _version_warning(build: Mapping[str, Any]) -> str:
    version = tuple(build.get("versionArray", ()))[:3]
    if version == (6, 0, 5):
        return " This is the embedded one, which lacks later security fixes: fine on loopback only."
    return ""


def object_store(reach: Callable[[], Awaitable[object]]) -> Probe:
    """Return the probe of the object store.

    `reach` sends a signed request to the bucket. It raises an error if the store refuses the request.
    """

    async def ask() -> str:
        await reach()
        return "The bucket answers signed requests."

    return Probe("objectStore", ask)


def free_space(space: FreeSpace) -> Probe:
    """Return the probe of the free bytes on the disks that hold the data.

    It is not `needed`: while a disk is full, the service refuses writes and goes on answering reads.
    """

    async def ask() -> str:
        if full := space.describe_full():
            raise PartDownError(f"{full[0].upper()}{full[1:]}: writes are refused until there is space.")
        return space.describe()

    return Probe("disk", ask, needed=False)


def server_clock(compared: DatabaseClock) -> Probe:
    """Return the probe of this machine's clock, which is compared with the database's by the driver's heartbeats."""

    async def ask() -> str:
        if not compared.is_right:
            raise PartDownError(
                f"The clock is {compared.describe()}. Beyond {MAX_SECONDS:g} s nothing is signed or stored."
            )
        advice = "" if compared.is_near else " Set it right: this machine should keep time by NTP."
        return f"The clock is {compared.describe()}.{advice}"

    return Probe("clock", ask)


def working_calendar(
    loaded: Callable[[Iterable[int], datetime], Awaitable[list[int]]], now: Callable[[], datetime]
) -> Probe:
    """Return the probe of the calendar of working days. `loaded` returns those of the given years that have a record.

    It is not `needed`, because limits that run into a missing year are provisional and nothing stops. The part is down
    only if this year is missing. From October on, it is up and says that the next year is.
    """

    async def ask() -> str:
        at = now()
        today = beijing_day(at)
        missing = missing_years(await loaded(missing_years((), today), at), today)
        if not missing:
            return f"The working days of {today.year} are known."
        years = " and ".join(map(str, missing))
        advice = f"Load {years} with `scripts/load working-days`. Until then, limits that run into it are provisional."
        if today.year in missing:
            raise PartDownError(advice)
        return advice

    return Probe("workingDays", ask, needed=False)


def signing_key(check: Callable[[], object]) -> Probe:
    """Return the probe of the signing key. `check` raises an error if tokens can't be signed."""

    async def ask() -> str:
        check()
        return "Tokens can be signed."

    return Probe("signingKey", ask)
