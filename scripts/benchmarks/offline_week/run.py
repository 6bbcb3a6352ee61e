"""Run the week: fill a phone offline, then sync the phone through a bad network.

Meanwhile, the phone and the server's processes are killed several times.
"""

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
from scripts.benchmarks.faulty_network import FaultyNetwork, NetworkFault
from scripts.benchmarks.offline_week.confirmed_parts import ConfirmedParts
from scripts.benchmarks.offline_week.plan import WeekPhotos, WeekPlan
from scripts.benchmarks.offline_week.server import County, Product, StuckError
from scripts.benchmarks.phone_processes import Spawner

MAX_DELIVERY_SECONDS = 3600.0
SYNC_SECONDS = 300
LATE_SECONDS = 0.4
KILLED = -9
DELIVERED, TRY_LATER, SIGN_IN = 0, 3, 4
"""Exit codes of the phone's commands. If a signal kills a command, its exit code is `KILLED`."""
FAULTS = (
    NetworkFault.LOSE,
    NetworkFault.HALVE,
    NetworkFault.LOSE_REPLY,
    NetworkFault.TWICE,
    NetworkFault.CUT_REPLY,
    NetworkFault.LATE,
    NetworkFault.ECHO,
    NetworkFault.FAIL,
)
FAULT_SHARE = 0.16
"""Share of requests with a fault."""
OUTAGE_REQUESTS, OUTAGE_SHARE = 6, 0.004
"""Length of an outage in lost requests, and the share of requests that start an outage."""


@dataclass
class RunLog:
    """Events that the networks don't record. `rated` is the number of ratings, and `receipts` is JSON."""

    taking_seconds: float = 0.0
    delivery_seconds: float = 0.0
    phone_deaths: int = 0
    runs: int = 0
    sign_ins: int = 0
    assignments: list[str] = field(default_factory=list)
    rated: int = 0
    receipts: str = ""


class FaultPlan:
    """Chooses a fault for each request: usually at random, but at given request counts a planned kill.

    A planned kill kills the phone or a server process.
    """

    def __init__(self, seed: int, kills: dict[int, Callable[[], NetworkFault]]) -> None:
        self._random = Random(seed)  # noqa: S311  repeatable values, no secret
        self._kills = kills
        self._count = 0
        self._outage = 0

    def __call__(self, name: str) -> NetworkFault:
        self._count += 1
        if kill := self._kills.pop(self._count, None):
            return kill()
        if self._outage or self._random.random() < OUTAGE_SHARE:
            self._outage = (self._outage or OUTAGE_REQUESTS) - 1
            return NetworkFault.LOSE
        return self._random.choice(FAULTS) if self._random.random() < FAULT_SHARE else NetworkFault.PASS


class WeekRun:
    """The run of a week with one phone, its networks and its user."""

    def __init__(
        self, plan: WeekPlan, product: Product, county: County, folder: Path, say: Callable[[str], None]
    ) -> None:
        self._plan, self._product, self._county, self._folder, self._say = plan, product, county, folder, say
        parts = urlsplit(product.addresses.s3_endpoint)
        self.server, self.objects = FaultyNetwork(), FaultyNetwork((str(parts.hostname), parts.port or 80))
        self.server.delay_seconds = self.objects.delay_seconds = LATE_SECONDS
        self.confirmed = ConfirmedParts()
        self.server.on_reply = self.confirmed.record
        self.photos = WeekPhotos(plan, folder / "photos")
        self.photos.folder.mkdir()
        self.log = RunLog()
        self._spawner = Spawner()
        self._output = folder / "phone.log"

    def close(self) -> None:
        self._spawner.close()
        self.server.close()
        self.objects.close()

    def run(self) -> None:
        """Run the whole week. Raise `StuckError` if a command of the phone fails, or if delivery takes too long."""
        seconds = self._plan.token_seconds
        address = self._product.start(
            MINGCHA_S3_PUBLIC_ENDPOINT=self.objects.address, MINGCHA_ACCESS_TOKEN_SECONDS=str(seconds)
        )
        parts = urlsplit(address)
        self.server.upstream = str(parts.hostname), parts.port or 80
        self._sign_in()
        self.log.assignments = asyncio.run(self._assign(address))
        self._do("pull")
        self.server.calm()
        self.server.choose_fault = self.objects.choose_fault = lambda _: NetworkFault.KILL
        began = time.perf_counter()
        self._take_all()
        self.log.taking_seconds = time.perf_counter() - began
        self.server.calm()
        self.objects.calm()
        began = time.perf_counter()
        self._deliver()
        self.log.delivery_seconds = time.perf_counter() - began
        self.log.receipts = self._do("receipts", "--json")

    async def _assign(self, address: str) -> list[str]:
        """Assign windows (service counters) to inspect again.

        The phone pulls the assignments before it goes offline.
        """
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
        """Store all observations, ratings and answers on the phone."""
        windows, plan = self._county.windows, self._plan
        operations, queued = self._other_operations(), 0
        for observation in plan.make_observations():
            files = self.photos.write(observation)
            ahead = -observation.ago
            unit = windows[observation.number % len(windows)].code
            options = ["--text", observation.text, "--unit", unit, "--method", "PATROL", "--category", "SLOW"]
            arguments = ["take", *map(str, files), *options, "--together"]
            if observation.has_copy:
                arguments.append("--again")
            elif observation.is_killed:
                self._kill_while(arguments, ahead, moment=1 + observation.number // 2 % 2)
            self._do(*arguments, ahead=ahead)
            for file in files:
                file.unlink()
            for arguments in operations[queued : len(operations) * observation.number // plan.observations]:
                self._queue(arguments, ahead)
                queued += 1
            if observation.number % 100 == 0:
                self._say(f"{observation.number} of {plan.observations} observations are on the phone.")

    def _other_operations(self) -> list[list[str]]:
        """Return the commands for ratings and answers, which are spread over the week."""
        month = f"{clock().astimezone(BEIJING):%Y-%m}"
        answers = [["accept", id] for id in self.log.assignments]
        answers += [["finish", id, "--result", "已复查，窗口在岗。"] for id in self.log.assignments]
        windows = self._county.windows[: self._plan.ratings]
        self.log.rated = len(windows)
        options = ["--point", self._county.point, "--month", month]
        return answers + [["rate", window.code, "--score", str(60 + n), *options] for n, window in enumerate(windows)]

    def _queue(self, arguments: list[str], ahead: timedelta) -> None:
        """Run a command that queues an operation.

        A command that queues an answer also tries to sync after it has stored the answer. The network kills the phone
        at this attempt.
        """
        if arguments[0] == "rate":
            self._do(*arguments, ahead=ahead)
        elif self._run(*arguments, ahead=ahead) == KILLED:
            self.log.phone_deaths += 1

    def _kill_while(self, arguments: list[str], ahead: timedelta, moment: int) -> None:
        """Run a command and kill it. The caller runs it again, and the phone skips what it has stored already."""
        if self._run(*arguments, ahead=ahead, kill_at=moment) == KILLED:
            self.log.phone_deaths += 1

    # Through the bad network

    def _deliver(self) -> None:
        """Sync until everything is delivered. When the phone is killed for the second time, its session ends too."""
        deadline = time.monotonic() + MAX_DELIVERY_SECONDS
        session_ends = iter([False, True, *(False for _ in range(self._plan.kills))])
        self.objects.choose_fault = FaultPlan(self._plan.seed, self._plan_kills())
        self.server.choose_fault = FaultPlan(self._plan.seed + 1, {3: lambda: NetworkFault.KILL_AFTER})
        code = None
        while code != DELIVERED:
            if time.monotonic() > deadline:
                raise StuckError(
                    f"The phone did not finish in {MAX_DELIVERY_SECONDS:.0f} s: {self._output.read_text()[-2000:]}"
                )
            code = self._run("sync", "--for", str(SYNC_SECONDS))
            self.log.runs += 1
            if code == KILLED:
                self.log.phone_deaths += 1
                if next(session_ends, False):
                    self._product.end_sessions(self._county.inspector_id)
            elif code == SIGN_IN:
                self._sign_in()
            elif code not in {DELIVERED, TRY_LATER}:
                raise StuckError(f"The phone ended with {code}: {self._output.read_text()[-2000:]}")

    def _plan_kills(self) -> dict[int, Callable[[], NetworkFault]]:
        """Return the planned kills, keyed by request count.

        Kills of server processes come between kills of the phone.
        """
        photos = self._plan.photos
        kills: dict[int, Callable[[], NetworkFault]] = {}
        for number in range(1, self._plan.kills + 1):
            fault = NetworkFault.KILL if number % 2 else NetworkFault.KILL_AFTER
            kills[photos * number // (self._plan.kills + 1)] = lambda fault=fault: fault  # type: ignore[misc]
        for share, module in ((0.3, "api.server.worker"), (0.55, "api.server.serve"), (0.8, "api.server.worker")):
            kills[int(photos * share) + 1] = lambda module=module: self._kill_server(module)  # type: ignore[misc]
        return kills

    def _kill_server(self, module: str) -> NetworkFault:
        """Kill a server process. The request itself passes."""
        self._product.kill(module)
        return NetworkFault.PASS

    # The phone's commands

    def _sign_in(self) -> None:
        """Sign in through the bad network, with retries."""
        for _ in range(20):
            code = self._run("sign-in", self.server.address, "--user", INSPECTOR)
            if code == 0:
                self.log.sign_ins += 1
                return
            if code not in {TRY_LATER, KILLED}:
                break
        raise StuckError(f"The phone can't sign in: {self._output.read_text()[-2000:]}")

    def _do(self, *arguments: str, ahead: timedelta = timedelta()) -> str:
        """Run a command of the phone that must succeed, and return its output."""
        code = self._run(*arguments, ahead=ahead)
        printed = self._output.read_text(encoding="utf-8")
        if code != 0:
            raise StuckError(f"`phone {arguments[0]}` ended with {code}: {printed[-2000:]}")
        return printed

    def _run(self, *arguments: str, ahead: timedelta = timedelta(), kill_at: int = 0) -> int:
        def started(pid: int) -> None:
            self.server.sender_pid = self.objects.sender_pid = pid

        folder, password = str(self._folder / "phone"), self._product.password
        return self._spawner.run(
            started,
            arguments=arguments,
            environment={"MINGCHA_PHONE_FOLDER": folder, "MINGCHA_PHONE_PASSWORD": password},
            output=str(self._output),
            ahead=ahead,
            kill_at=kill_at,
        )
