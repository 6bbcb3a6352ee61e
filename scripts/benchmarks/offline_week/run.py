"""Run the week: fill a phone offline, then sync it through a bad network while phone and server processes are killed."""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import httpx

from api.graphql.context import clock
from schema.core.ids import compose
from schema.core.times import BEIJING
from scripts.benchmarks.day_traffic import ASSIGN, INSPECTOR, MeasuredDevice
from scripts.benchmarks.faulty_network import BadNetwork, NetworkFault
from scripts.benchmarks.offline_week.confirmed_parts import Confirmed
from scripts.benchmarks.offline_week.plan import WeekPhotos, WeekPlan
from scripts.benchmarks.offline_week.server import County, Product, StuckError
from scripts.benchmarks.phone_processes import Spawner

DELIVERY_SECONDS = 3600.0
PASS_SECONDS = 300
LATE_SECONDS = 0.4
KILLED = -9
THROUGH, LATER, SIGN_IN = 0, 3, 4
BAD = (
    NetworkFault.LOSE,
    NetworkFault.HALVE,
    NetworkFault.LOSE_REPLY,
    NetworkFault.TWICE,
    NetworkFault.CUT_REPLY,
    NetworkFault.LATE,
    NetworkFault.ECHO,
    NetworkFault.FAIL,
)
BADNESS = 0.16
"""Share of requests with a fault."""
HOLE, HOLES = 6, 0.004
"""Length of an outage in lost requests, and the share of requests that start an outage."""


@dataclass
class RunLog:
    """Events that the networks don't record; `taking` and `delivering` are seconds."""

    taking: float = 0.0
    delivering: float = 0.0
    phone_deaths: int = 0
    runs: int = 0
    sign_ins: int = 0
    assignments: list[str] = field(default_factory=list)
    rated: int = 0
    receipts: str = ""


class FaultPlan:
    """Picks random faults; at given request counts a mishap kills the phone or a server process."""

    def __init__(self, seed: int, mishaps: dict[int, Callable[[], NetworkFault]]) -> None:
        self._random = Random(seed)  # noqa: S311  repeatable chance, no secret
        self._mishaps = mishaps
        self._count = 0
        self._hole = 0

    def __call__(self, name: str) -> NetworkFault:
        self._count += 1
        if mishap := self._mishaps.pop(self._count, None):
            return mishap()
        if self._hole or self._random.random() < HOLES:
            self._hole = (self._hole or HOLE) - 1
            return NetworkFault.LOSE
        return self._random.choice(BAD) if self._random.random() < BADNESS else NetworkFault.PASS


class Traveller:
    """One phone with its networks and its user."""

    def __init__(
        self, plan: WeekPlan, product: Product, county: County, folder: Path, say: Callable[[str], None]
    ) -> None:
        self._plan, self._product, self._county, self._folder, self._say = plan, product, county, folder, say
        parts = urlsplit(product.addresses.s3_endpoint)
        self.server, self.objects = BadNetwork(), BadNetwork((str(parts.hostname), parts.port or 80))
        self.server.seconds = self.objects.seconds = LATE_SECONDS
        self.confirmed = Confirmed()
        self.server.hears = self.confirmed.hear
        self.room = WeekPhotos(plan, folder / "photos")
        self.room.folder.mkdir()
        self.journey = RunLog()
        self._spawner = Spawner()
        self._log = folder / "phone.log"

    def close(self) -> None:
        self._spawner.close()
        self.server.close()
        self.objects.close()

    def travel(self) -> None:
        """Run the whole week. Raise `StuckError` if anything goes wrong that must not."""
        seconds = self._plan.token_seconds
        address = self._product.start(
            MINGCHA_S3_PUBLIC_ENDPOINT=self.objects.address, MINGCHA_ACCESS_TOKEN_SECONDS=str(seconds)
        )
        parts = urlsplit(address)
        self.server.upstream = str(parts.hostname), parts.port or 80
        self._sign_in()
        self.journey.assignments = asyncio.run(self._assign(address))
        self._do("pull")
        self.server.calm()
        self.server.fate = self.objects.fate = lambda _: NetworkFault.KILL
        began = time.perf_counter()
        self._take_all()
        self.journey.taking = time.perf_counter() - began
        self.server.calm()
        self.objects.calm()
        began = time.perf_counter()
        self._deliver()
        self.journey.delivering = time.perf_counter() - began
        self.journey.receipts = self._do("receipts", "--json")

    async def _assign(self, address: str) -> list[str]:
        """Assign windows to inspect again. The phone pulls the assignments before it goes offline."""
        ids: list[str] = []
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            officer = MeasuredDevice(client)
            await officer.sign_in(self._county.officer, self._product.password)
            for window in self._county.windows[: self._plan.assignments]:
                ids.append(compose("asg", clock(), secrets.token_bytes(10)))
                assignment = {"id": ids[-1], "assigneeId": self._county.inspector_id, "unitId": window.id}
                variables = {"input": assignment | {"note": "请复查窗口在岗情况"}}
                await officer.post({"query": ASSIGN, "variables": variables})
        return ids

    # Offline

    def _take_all(self) -> None:
        windows, plan = self._county.windows, self._plan
        operations, queued = self._other_operations(), 0
        for sight in plan.sights():
            files = self.room.develop(sight)
            ahead = -sight.ago
            unit = windows[sight.number % len(windows)].code
            words = ["--text", sight.text, "--unit", unit, "--method", "PATROL", "--category", "SLOW"]
            arguments = ["take", *map(str, files), *words, "--together", *(["--again"] if sight.has_copy else [])]
            if sight.is_killed and not sight.has_copy:
                self._kill_while(arguments, ahead, moment=1 + sight.number // 2 % 2)
            self._do(*arguments, ahead=ahead)
            for file in files:
                file.unlink()
            for arguments in operations[queued : len(operations) * sight.number // plan.observations]:
                self._queue(arguments, ahead)
                queued += 1
            if sight.number % 100 == 0:
                self._say(f"{sight.number} of {plan.observations} observations are on the phone.")

    def _other_operations(self) -> list[list[str]]:
        """Return the commands for ratings and answers, to spread over the week."""
        month = f"{clock().astimezone(BEIJING):%Y-%m}"
        answers = [["accept", id] for id in self.journey.assignments]
        answers += [["finish", id, "--result", "已复查，窗口在岗。"] for id in self.journey.assignments]
        windows = self._county.windows[: self._plan.ratings]
        self.journey.rated = len(windows)
        options = ["--point", self._county.point, "--month", month]
        return answers + [["rate", window.code, "--score", str(60 + n), *options] for n, window in enumerate(windows)]

    def _queue(self, arguments: list[str], ahead: timedelta) -> None:
        """Run a command that queues an operation. An answer tries to sync after it is stored, which kills the phone."""
        if arguments[0] == "rate":
            self._do(*arguments, ahead=ahead)
        elif self._run(*arguments, ahead=ahead) == KILLED:
            self.journey.phone_deaths += 1

    def _kill_while(self, arguments: list[str], ahead: timedelta, moment: int) -> None:
        """Run a command that is killed. The caller repeats it, and the phone skips what it has stored already."""
        if self._run(*arguments, ahead=ahead, kill_at=moment) == KILLED:
            self.journey.phone_deaths += 1

    # Through the bad network

    def _deliver(self) -> None:
        deadline = time.monotonic() + DELIVERY_SECONDS
        session_ends = iter([False, True, *(False for _ in range(self._plan.kills))])
        self.objects.fate = FaultPlan(self._plan.seed, self._mishaps())
        self.server.fate = FaultPlan(self._plan.seed + 1, {3: lambda: NetworkFault.KILL_AFTER})
        code = None
        while code != THROUGH:
            if time.monotonic() > deadline:
                raise StuckError(
                    f"The phone did not finish in {DELIVERY_SECONDS:.0f} s: {self._log.read_text()[-2000:]}"
                )
            code = self._run("sync", "--for", str(PASS_SECONDS))
            self.journey.runs += 1
            if code == KILLED:
                self.journey.phone_deaths += 1
                if next(session_ends, False):
                    self._product.end_sessions(self._county.inspector_id)
            elif code == SIGN_IN:
                self._sign_in()
            elif code not in {THROUGH, LATER}:
                raise StuckError(f"The phone ended with {code}: {self._log.read_text()[-2000:]}")

    def _mishaps(self) -> dict[int, Callable[[], NetworkFault]]:
        """Return the mishaps by request count: kills of the phone, and between them kills of server processes."""
        photos = self._plan.photos
        mishaps: dict[int, Callable[[], NetworkFault]] = {}
        for number in range(1, self._plan.kills + 1):
            fate = NetworkFault.KILL if number % 2 else NetworkFault.KILL_AFTER
            mishaps[photos * number // (self._plan.kills + 1)] = lambda fate=fate: fate  # type: ignore[misc]
        for share, module in ((0.3, "api.server.worker"), (0.55, "api.server.serve"), (0.8, "api.server.worker")):
            mishaps[int(photos * share) + 1] = lambda module=module: self._kill(module)  # type: ignore[misc]
        return mishaps

    def _kill(self, module: str) -> NetworkFault:
        self._product.kill(module)
        return NetworkFault.PASS

    # The phone's commands

    def _sign_in(self) -> None:
        """Sign in through the bad network, with retries."""
        for _ in range(20):
            code = self._run("sign-in", self.server.address, "--user", INSPECTOR)
            if code == 0:
                self.journey.sign_ins += 1
                return
            if code not in {LATER, KILLED}:
                break
        raise StuckError(f"The phone can't sign in: {self._log.read_text()[-2000:]}")

    def _do(self, *arguments: str, ahead: timedelta = timedelta()) -> str:
        code = self._run(*arguments, ahead=ahead)
        printed = self._log.read_text(encoding="utf-8")
        if code != 0:
            raise StuckError(f"`phone {arguments[0]}` ended with {code}: {printed[-2000:]}")
        return printed

    def _run(self, *arguments: str, ahead: timedelta = timedelta(), kill_at: int = 0) -> int:
        def started(pid: int) -> None:
            self.server.victim = self.objects.victim = pid

        folder, password = str(self._folder / "phone"), self._product.password
        return self._spawner.run(
            started,
            arguments=arguments,
            environment={"MINGCHA_PHONE_FOLDER": folder, "MINGCHA_PHONE_PASSWORD": password},
            output=str(self._log),
            ahead=ahead,
            kill_at=kill_at,
        )
