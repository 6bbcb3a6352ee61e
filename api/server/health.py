"""Health: `/healthz` says that the process lives, `/readyz` which part of the service is up and which is down.

What is asked of each part is written here; the connections themselves are `storage`'s.
"""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread
import structlog
from starlette.requests import Request
from starlette.responses import Response

from api.http import responses
from api.http.operator_access import is_operator
from storage.s3.bucket_rules import BucketFinding as Feature

PROBE_SECONDS = 2.0
KEPT_SECONDS = 1.0
"""An answer is given again for so long: probes are open to all, and must not become load on the database."""
MIN_FREE_BYTES = 1024**3
MIB = 1024 * 1024

log = structlog.get_logger(__name__)


class PartDownError(Exception):
    """A part does not do its work; the sentence says so without addresses or credentials."""


@dataclass(frozen=True)
class Probe:
    """A part of the service; `ask` returns a sentence for operators, or raises. Only a `needed` part makes unready."""

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
    """Asks all parts at once, each for at most `seconds`, and keeps the answer for a moment.

    `store` tells what was found of the object store at the start; nothing of it makes unready.
    """

    def __init__(
        self,
        probes: Sequence[Probe],
        *,
        store: Callable[[], Sequence[Feature]] | None = None,
        seconds: float = PROBE_SECONDS,
        kept: float = KEPT_SECONDS,
    ) -> None:
        self.probes = probes
        self.store = store
        self.seconds = seconds
        self.kept = kept
        self._asking = asyncio.Lock()
        self._found: list[ProbeResult] = []
        self._until = 0.0
        self._open: dict[str, asyncio.Future[str]] = {}

    async def findings(self) -> list[ProbeResult]:
        async with self._asking:
            if time.monotonic() >= self._until:
                self._found = list(await asyncio.gather(*map(self._ask, self.probes)))
                self._until = time.monotonic() + self.kept
            return self._found

    async def _ask(self, probe: Probe) -> ProbeResult:
        # A question is never cancelled, for PyMongo's sake (see `admission.Turnstile`): one that is still open is
        # waited for again.
        question = self._open.pop(probe.part, None) or asyncio.ensure_future(probe.ask())
        done, _ = await asyncio.wait({question}, timeout=self.seconds)
        if not done:
            self._open[probe.part] = question
            return ProbeResult(probe.part, up=False, needed=probe.needed, says=f"No answer within {self.seconds:g} s.")
        error = question.exception()
        if error is None:
            return ProbeResult(probe.part, up=True, needed=probe.needed, says=question.result())
        if isinstance(error, PartDownError):
            return ProbeResult(probe.part, up=False, needed=probe.needed, says=str(error))
        log.warning("probe failed", part=probe.part, exc_info=error)
        says = "It refused or could not be reached; the log has the kind of error."
        return ProbeResult(probe.part, up=False, needed=probe.needed, says=says)


async def alive(_: Request) -> Response:
    """Answer `/healthz`: the process takes requests."""
    return responses.json_response({"alive": True})


class ReadyEndpoint:
    """Answers `/readyz`: 503 while a needed part is down. Strangers see which parts are up, operators what they say."""

    def __init__(self, readiness: Readiness, token: str | None) -> None:
        self.readiness = readiness
        self.token = token

    async def respond(self, request: Request) -> Response:
        findings = await self.readiness.findings()
        ready = all(found.up for found in findings if found.needed)
        told = is_operator(request, self.token)
        parts = [
            {"part": found.part, "up": found.up, "needed": found.needed}
            | ({"says": found.says} if told else {"says": "Up." if found.up else "Down."})
            for found in findings
        ]
        answer: dict[str, Any] = {"ready": ready, "parts": parts}
        if told and self.readiness.store is not None:
            features = self.readiness.store()
            answer["store"] = [
                {"feature": each.feature, "state": each.state.value, "says": each.says} for each in features
            ]
        headers = {} if ready else {"Retry-After": str(responses.RETRY_AFTER_SECONDS)}
        return responses.json_response(answer, status=200 if ready else 503, headers=headers)


def database(command: Callable[..., Awaitable[Mapping[str, Any]]]) -> Probe:
    """Ask MongoDB, through its `command`, for its role and version: writes need the primary of a replica set."""

    async def ask() -> str:
        hello, build = await asyncio.gather(command("hello"), command("buildInfo"))
        if "setName" not in hello:
            raise PartDownError("MongoDB runs without a replica set: transactions and change streams need one.")
        if not hello.get("primary") and not hello.get("isWritablePrimary"):
            raise PartDownError("The replica set has no primary: it can't take writes.")
        return f"MongoDB {build['version']}, replica set {hello['setName']} with a primary.{_advice(build)}"

    return Probe("database", ask)


def _advice(build: Mapping[str, Any]) -> str:
    version = tuple(build.get("versionArray", ()))[:3]
    if version == (6, 0, 5):
        return " This is the embedded one, which lacks later security fixes: fine on loopback only."
    return ""


def object_store(reach: Callable[[], Awaitable[object]]) -> Probe:
    """Ask the object store by `reach`, a signed request to its bucket that raises where the store refuses it."""

    async def ask() -> str:
        await reach()
        return "The bucket answers signed requests."

    return Probe("objectStore", ask)


def free_space(folder: Path, least_bytes: int = MIN_FREE_BYTES, *, needed: bool = True) -> Probe:
    """Look at the free space where `folder` lies, in bytes; where only keys lie there, it is not `needed`."""

    async def ask() -> str:
        free = (await anyio.to_thread.run_sync(shutil.disk_usage, folder)).free
        if free < least_bytes:
            raise PartDownError(
                f"{free // MIB} MiB free where the data lies; at least {least_bytes // MIB} MiB are needed."
            )
        return f"{free // MIB} MiB free where the data lies."

    return Probe("disk", ask, needed)


def signing_key(check: Callable[[], object]) -> Probe:
    """Ask whether tokens can be signed: `check` raises where they can't."""

    async def ask() -> str:
        check()
        return "Tokens can be signed."

    return Probe("signingKey", ask)
