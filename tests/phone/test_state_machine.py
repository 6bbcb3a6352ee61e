"""Test that bad networks, kills, ended sessions, wrong clocks and old contract levels lose, double or resend nothing.

`pytest tests/phone/test_state_machine.py --phone-steps 500` runs 500 steps.
"""

import itertools
import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.support.network_faults import NetworkFault
from tests.support.phone_cli import MIB, Spawner, Terminal, photo
from tests.support.phone_sessions import PASSWORD
from tests.support.running_product import RunningProduct
from tests.support.world import new_id

FAULTS = (*8 * [NetworkFault.PASS], *(fault for fault in NetworkFault if fault is not NetworkFault.PASS))
LATE_SECONDS = 0.3
CHOSEN_STEPS = 20
"""A run of up to this many steps takes the same steps each time. The steps of a longer run are random."""
STORM_SECONDS = 4.0
"""A command that meets faults at random is ended after this time."""


def weather(seed: int) -> Callable[[str], NetworkFault]:
    random = Random(seed)  # noqa: S311  dice, no secret
    return lambda _: random.choice(FAULTS)


class PhoneStateMachine(RuleBasedStateMachine):
    """One phone of a new person. The test sets `served`, `spawner` and `root`."""

    served: RunningProduct
    spawner: Spawner
    root: Path
    numbers = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.number = next(self.numbers)
        self.folder = self.root / str(self.number)
        self.folder.mkdir()
        self.served.calm()
        self.user = self.served.person()
        self.terminal = Terminal(self.spawner, self.folder / "phone")
        self.terminal.sign_in(self.served.address, self.user, PASSWORD)
        self.taken = 0
        self.photos = 0
        self.poisoned: set[int] = set()
        self.answers = 0

    @rule(kind=st.sampled_from(["words", "photo", "large"]))
    def take(self, kind: str) -> None:
        self.taken += 1
        if kind == "words":
            self.terminal.do("take", "--text", f"{self.taken}")
            return
        self.photos += 1
        size = 10 * MIB + 100_000 if kind == "large" else 0
        self.terminal.do("take", photo(self.folder, f"{self.number}-{self.taken}.jpg", size))

    @rule(seed=st.integers(0, 2**32))
    def send_through_a_storm(self, seed: int) -> None:
        self.served.server.choose_fault, self.served.objects.choose_fault = weather(seed), weather(seed + 1)
        self.served.server.delay_seconds = self.served.objects.delay_seconds = LATE_SECONDS

        def set_sender(pid: int) -> None:
            self.served.server.sender_pid = self.served.objects.sender_pid = pid

        self.terminal.started = set_sender
        self.terminal.run("send", dies_after=STORM_SECONDS)
        self._calm()

    @rule(name=st.sampled_from(["api.server.serve", "api.server.worker"]), number=st.integers(1, 4))
    def server_dies(self, name: str, number: int) -> None:
        """Kill a process of the server when the phone makes call `number`. The server then restarts the process."""
        asked = itertools.count(1)

        def choose_fault(_: str) -> NetworkFault:
            if next(asked) == number:
                self.served.kill(name)
            return NetworkFault.PASS

        self.served.server.choose_fault = choose_fault
        self._go_on()
        self._calm()

    @rule(moment=st.integers(1, 40))
    def send_and_die(self, moment: int) -> None:
        self.terminal.run("send", kill_at=moment)

    @rule(moment=st.integers(6, 24))
    def die_between_two_parts(self, moment: int) -> None:
        self.take("large")
        self.terminal.run("send", "--at-once", "1", kill_at=moment)

    @rule()
    def session_runs_out(self) -> None:
        """Invalidate the access token. The phone renews the token by itself."""
        self.terminal.set_session(replace(self.terminal.session(), access_token="old"))

    @rule()
    def session_ends(self) -> None:
        self.terminal.set_session(replace(self.terminal.session(), access_token="old", refresh_token="old"))
        assert self.terminal.run("send") == 4
        self.terminal.sign_in(self.served.address, self.user, PASSWORD)

    @rule()
    def session_is_forgotten(self) -> None:
        """Let the session expire on the server, as happens after months. The phone's tokens are then useless."""
        self.served.end_sessions(self.user)
        self.session_runs_out()  # a young access token would still work for seconds
        self._go_on()

    @rule(ahead=st.sampled_from([timedelta(hours=-5), timedelta(days=-9000), timedelta(hours=30), timedelta(days=900)]))
    def clock_is_set(self, ahead: timedelta) -> None:
        """Make the phone's clock wrong by `ahead`, for everything that the phone takes and sends from now on."""
        self.terminal.ahead = ahead
        self.take("words")
        self._go_on()

    @rule()
    def clock_is_set_right(self) -> None:
        self.terminal.ahead = timedelta()

    @rule(kind=st.sampled_from(["photo", "large"]))
    def a_phone_of_the_oldest_level_sends(self, kind: str) -> None:
        """Send with the GraphQL documents of the oldest level. Unfinished work resumes after the app is updated."""
        self.terminal.level = 1
        self.take(kind)
        self.terminal.run("send", kill_at=12)
        self._go_on()
        self.terminal.level = None

    @rule()
    def a_phone_that_is_too_old_empties_its_outbox(self) -> None:
        self.terminal.level = 0
        self.take("photo")
        self._go_on()
        assert "LEVEL_TOO_OLD" in self.terminal.output or "level 0" in self.terminal.output
        own = self.terminal.status()["observations"]
        assert {each["state"] for each in own if each["sequence"] not in self.poisoned} == {"ACCEPTED"}
        assert {medium["state"] for each in own for medium in each["media"]} <= {"CONFIRMED", "READY"}
        self.terminal.level = None

    @rule()
    def poison(self) -> None:
        """Take something that the server refuses from this person. It stays on the phone and blocks nothing."""
        self.taken += 1
        self.poisoned.add(self.taken)
        self.terminal.do("take", "--text", "poison", "--method", "MONITOR_REPORT")

    @rule()
    def answer(self) -> None:
        """Answer an assignment that the server doesn't know. The answer then waits on the server."""
        self.answers += 1
        self.terminal.run("accept", new_id("asg"), dies_after=STORM_SECONDS)

    @precondition(lambda self: self.taken)
    @rule(at=st.sampled_from(["1970-01-01T00:00:00+00:00", "2099-01-01T00:00:00+08:00"]))
    def clock_jumps(self, at: str) -> None:
        """Take something with the time of a clock that is years off."""
        self.taken += 1
        self.terminal.do("take", "--text", "clock", "--at", at)

    @rule()
    def documents_change(self) -> None:
        """Change the GraphQL documents, as an app update does. Pulled records lack fields and are pulled again."""
        self.terminal.execute("UPDATE facts SET value = 'older' WHERE name = 'pull_document'")

    @rule()
    def cursor_expires(self) -> None:
        self.terminal.execute("UPDATE facts SET value = 'none of ours' WHERE name = 'cursor'")

    def _go_on(self) -> None:
        """Send. If the session has ended, sign in and send again. Unsent items may remain."""
        if self.terminal.run("send") == 4:
            self.terminal.sign_in(self.served.address, self.user, PASSWORD)
            self.terminal.run("send")

    def _calm(self) -> None:
        """End the faults, but keep the record of what was sent."""
        self.served.server.choose_fault = self.served.objects.choose_fault = lambda _: NetworkFault.PASS

    def teardown(self) -> None:
        """Assert that everything taken has arrived once, in order and verified, with a valid receipt."""
        try:
            self._calm()
            self._go_on()
            assert self.terminal.run("sync", "--for", "60") == (1 if self.poisoned else 0), self.terminal.output
            own = self.terminal.status()
            assert [each["sequence"] for each in own["observations"]] == list(range(1, self.taken + 1))
            self._see_refused(own)
            self._see_kept(own)
            found = json.loads(self.terminal.do("receipts", "--json"))
            assert [each["holds"] for each in found] == (self.taken - len(self.poisoned)) * [True]
            assert own["lost"] == []
            assert [each["state"] for each in own["answers"]] == self.answers * ["ACCEPTED"]
            assert abs(own["clockSkewSeconds"] - self.terminal.ahead.total_seconds()) < 60
            # An acknowledged part must not be sent again; a part may be if every answer to it was lost.
            told = Counter(
                (each.key, each.name) for each in self.served.objects.requests if _was_answered(each.fault, each.status)
            )
            assert set(told.values()) <= {1}
        finally:
            shutil.rmtree(self.folder)

    def _see_refused(self, own: dict[str, Any]) -> None:
        """Assert that only refused items have stayed on the phone, each with its reason."""
        aside = {each["sequence"]: each["refusal"] for each in own["observations"] if each["state"] != "ACCEPTED"}
        assert set(aside) == self.poisoned
        assert {each["code"] for each in aside.values()} <= {"FORBIDDEN"}

    def _see_kept(self, own: dict[str, Any]) -> None:
        """Assert that the server has all other items as taken, with uncorrected times, and each photo once."""
        sent = {each["id"]: each for each in own["observations"] if each["sequence"] not in self.poisoned}
        kept = self.served.kept(self.user)
        contents = {id: each["content"] for id, each in kept["observations"].items()}
        assert {id: each["device_sequence"] for id, each in contents.items()} == {
            id: each["sequence"] for id, each in sent.items()
        }
        for id, each in contents.items():
            assert each["captured_at"] == datetime.fromisoformat(sent[id]["draft"]["capturedAt"])
        media = {medium["id"]: medium["sha256"] for each in sent.values() for medium in each["media"]}
        assert len(media) == self.photos
        assert {id: each["sha256"] for id, each in kept["media"].items()} == media
        assert {each["state"] for each in kept["media"].values()} <= {"READY"}
        assert self.served.originals(media) == dict.fromkeys(media, 1)


def _was_answered(fault: NetworkFault, status: int | None) -> bool:
    return fault is NetworkFault.PASS and status == 200


def storm(served: RunningProduct, spawner: Spawner, root: Path) -> type[PhoneStateMachine]:
    return type("StormHere", (PhoneStateMachine,), {"served": served, "spawner": spawner, "root": root})


def test_a_fixed_course_of_events_loses_and_doubles_nothing(
    served: RunningProduct, spawner: Spawner, tmp_path: Path
) -> None:
    """The outbox is not empty when an event happens."""
    course = storm(served, spawner, tmp_path)()
    course.take("photo")
    course.answer()
    course.poison()
    course.clock_is_set(timedelta(days=-9000))
    course.take("large")
    course.server_dies("api.server.serve", 1)
    course.clock_is_set(timedelta(hours=30))
    course.a_phone_of_the_oldest_level_sends("large")
    course.take("photo")
    course.session_is_forgotten()
    course.a_phone_that_is_too_old_empties_its_outbox()
    course.take("photo")
    course.server_dies("api.server.worker", 2)
    course.teardown()


@pytest.mark.long
def test_nothing_is_lost_doubled_or_sent_again(
    served: RunningProduct, spawner: Spawner, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    steps = int(request.config.getoption("--phone-steps"))
    per_run = min(steps, 20)
    run_state_machine_as_test(
        storm(served, spawner, tmp_path),
        settings=settings(
            max_examples=max(1, steps // per_run),
            stateful_step_count=per_run,
            deadline=None,
            phases=[Phase.generate],
            database=None,
            derandomize=steps <= CHOSEN_STEPS,
            suppress_health_check=list(HealthCheck),
        ),
    )
