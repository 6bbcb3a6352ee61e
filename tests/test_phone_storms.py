"""The phone in a storm: whatever line, kill, session, clock or level it meets, nothing is lost, doubled or sent again.

`pytest tests/test_phone_storms.py --phone-steps 500` goes on for so many steps.
"""

import itertools
import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.bad_network import Fate
from tests.phones import PASSWORD
from tests.served import Served
from tests.terminals import MIB, Spawner, Terminal, photo

FATES = (*8 * [Fate.PASS], *(fate for fate in Fate if fate is not Fate.PASS))
LATE_SECONDS = 0.3
STORM_SECONDS = 4.0
"""After which a command of the storm is ended."""


def weather(seed: int) -> Callable[[str], Fate]:
    random = Random(seed)  # noqa: S311  dice, no secret
    return lambda _: random.choice(FATES)


class Storm(RuleBasedStateMachine):
    """One phone of a new person; `served`, `spawner` and `root` are given by the test."""

    served: Served
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
        self.served.server.fate, self.served.objects.fate = weather(seed), weather(seed + 1)
        self.served.server.seconds = self.served.objects.seconds = LATE_SECONDS

        def victim(pid: int) -> None:
            self.served.server.victim = self.served.objects.victim = pid

        self.terminal.started = victim
        self.terminal.run("send", dies_after=STORM_SECONDS)
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
        """The access token has: the phone renews it by itself."""
        self.terminal.set_session(replace(self.terminal.session(), access_token="old"))

    @rule()
    def session_ends(self) -> None:
        self.terminal.set_session(replace(self.terminal.session(), access_token="old", refresh_token="old"))
        assert self.terminal.run("send") == 4
        self.terminal.sign_in(self.served.address, self.user, PASSWORD)

    @precondition(lambda self: self.taken)
    @rule(at=st.sampled_from(["1970-01-01T00:00:00+00:00", "2099-01-01T00:00:00+08:00"]))
    def clock_jumps(self, at: str) -> None:
        """What is taken now bears the time of a clock that is years off."""
        self.taken += 1
        self.terminal.do("take", "--text", "clock", "--at", at)

    @rule()
    def documents_change(self) -> None:
        """As after an update of the app: what was pulled lacks fields, and is pulled anew."""
        self.terminal.execute("UPDATE facts SET value = 'older' WHERE name = 'pull_document'")

    @rule()
    def cursor_expires(self) -> None:
        self.terminal.execute("UPDATE facts SET value = 'none of ours' WHERE name = 'cursor'")

    def _calm(self) -> None:
        """The weather alone: what was sent stays on record."""
        self.served.server.fate = self.served.objects.fate = lambda _: Fate.PASS

    def teardown(self) -> None:
        """In the end all that was taken is there, once, verified, with a receipt that holds."""
        try:
            self._calm()
            self.terminal.do("sync", "--for", "60")
            own = self.terminal.status()
            kept = self.served.kept(self.user)
            assert [each["sequence"] for each in own["observations"]] == list(range(1, self.taken + 1))
            assert set(kept["observations"]) == {each["id"] for each in own["observations"]}
            assert len(kept["media"]) == self.photos
            assert {each["state"] for each in kept["media"].values()} <= {"READY"}
            found = json.loads(self.terminal.do("receipts", "--json"))
            assert [each["holds"] for each in found] == self.taken * [True]
            assert own["lost"] == []
            # A part that an answer told to be there may not come again; one whose every answer was lost may.
            told = Counter(
                (each.key, each.name) for each in self.served.objects.requests if _was_told(each.fate, each.status)
            )
            assert set(told.values()) <= {1}
        finally:
            shutil.rmtree(self.folder)


def _was_told(fate: Fate, status: int | None) -> bool:
    return fate is Fate.PASS and status == 200


def test_nothing_is_lost_doubled_or_sent_again(
    served: Served, spawner: Spawner, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    steps = int(request.config.getoption("--phone-steps"))
    made = type("StormHere", (Storm,), {"served": served, "spawner": spawner, "root": tmp_path})
    per_run = min(steps, 20)
    run_state_machine_as_test(
        made,
        settings=settings(
            max_examples=max(1, steps // per_run),
            stateful_step_count=per_run,
            deadline=None,
            phases=[Phase.generate],
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
