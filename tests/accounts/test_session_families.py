"""Test refresh token families: the state machine against a model, and its guarantees against a real database."""

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from schema.accounts.sessions import RefreshToken, compose_refresh_token, read_refresh_token
from schema.core.refusals import Refusal, RefusalCode
from storage.accounts.sessions import MAX_CURRENT, RefreshOutcome, Sessions
from storage.embedded.engines import Addresses
from storage.mongodb.client import Mongo
from tests.support.world import new_id

pytestmark = pytest.mark.both_drivers

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
GRACE, LIFE = timedelta(seconds=120), timedelta(days=60)
SECRET = b"server"


def a_token(session_id: str) -> RefreshToken:
    return compose_refresh_token(session_id, uuid.uuid4().bytes * 2, SECRET)


@dataclass
class Family:
    """A refresh token family driven from synchronous code; the test moves `now`."""

    runner: asyncio.Runner
    sessions: Sessions
    now: datetime = START

    def begin(self) -> RefreshToken:
        self.user_id, self.device_id = new_id("usr"), new_id("dev")
        token = a_token(new_id("ses"))
        self.runner.run(self.sessions.begin(token, self.user_id, self.device_id, self.now, self.now + LIFE))
        return token

    def use(self, token: RefreshToken, device_id: str | None = None) -> tuple[RefreshOutcome, RefreshToken]:
        successor = a_token(token.session_id)
        used = self.runner.run(
            self.sessions.use(
                token, device_id or self.device_id, successor, self.now, grace=GRACE, expires_at=self.now + LIFE
            )
        )
        assert used.user_id == self.user_id
        return used.use, successor


@pytest.fixture(scope="module", params=["motor", "pymongo"])
def family(engines: Addresses, request: pytest.FixtureRequest) -> Iterator[Family]:
    """Share a database and an event loop between the examples; each example begins its own family."""
    with asyncio.Runner() as runner:

        async def connect() -> Mongo:
            return Mongo(engines.mongo_url, f"test_{uuid.uuid4().hex}", driver=request.param)

        mongo = runner.run(connect())
        yield Family(runner, Sessions(mongo))
        runner.run(mongo.drop())
        runner.run(mongo.close())


class Model(RuleBasedStateMachine):
    """The rules of refresh token families, written for a tree of tokens. Storage keeps one document instead."""

    family: Family
    tokens = Bundle("tokens")

    @initialize(target=tokens)
    def begin(self) -> RefreshToken:
        self.family.now = START
        token = self.family.begin()
        self.parents: dict[str, str | None] = {token.text: None}
        self.used_at: dict[str, datetime] = {}
        self.last_used: str | None = None
        self.expires_at = START + LIFE
        self.ended = False
        return token

    @rule(seconds=st.sampled_from([0, 1, 60, 119, 120, 121, 600]))
    def wait(self, seconds: int) -> None:
        self.family.now += timedelta(seconds=seconds)

    @rule(days=st.sampled_from([30, 59, 60]))
    def be_away(self, days: int) -> None:
        self.family.now += timedelta(days=days)

    @rule(target=tokens, token=tokens)
    def show(self, token: RefreshToken) -> RefreshToken:
        expected = self._expected(token)
        use, successor = self.family.use(token)
        assert use is expected
        if use is RefreshOutcome.ROTATED:
            self.parents[successor.text] = token.text
            self.used_at.setdefault(token.text, self.family.now)
            self.last_used, self.expires_at = token.text, self.family.now + LIFE
            return successor
        self.ended = True
        return token

    @rule(token=tokens)
    def show_from_another_device(self, token: RefreshToken) -> None:
        expected = RefreshOutcome.ENDED if self._is_over() else RefreshOutcome.REUSED
        assert self.family.use(token, new_id("dev"))[0] is expected
        self.ended = True

    def _is_over(self) -> bool:
        return self.ended or self.family.now >= self.expires_at

    def _expected(self, token: RefreshToken) -> RefreshOutcome:
        if self._is_over():
            return RefreshOutcome.ENDED
        if token.text not in self.used_at:
            return RefreshOutcome.ROTATED if self._is_current(token) else RefreshOutcome.REUSED
        in_time = self.family.now - self.used_at[token.text] <= GRACE
        return RefreshOutcome.ROTATED if token.text == self.last_used and in_time else RefreshOutcome.REUSED

    def _is_current(self, token: RefreshToken) -> bool:
        siblings = [text for text, parent in self.parents.items() if parent == self.last_used]
        return token.text in siblings[-MAX_CURRENT:]


def test_the_database_matches_the_model(family: Family) -> None:
    machine = type("Machine", (Model,), {"family": family})
    checked = settings(max_examples=60, stateful_step_count=20, deadline=None)
    run_state_machine_as_test(machine, settings=checked)


LOSSY = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@LOSSY
@given(st.lists(st.tuples(st.sampled_from(["sent", "lost", "late"]), st.integers(0, 119)), max_size=12))
def test_lost_and_late_replies_do_not_end_the_session(family: Family, renewals: list[tuple[str, int]]) -> None:
    """A phone that retries within the grace period until a reply comes never has to sign in again."""
    family.now, held = START, family.begin()
    for what, seconds in renewals:
        family.now += timedelta(minutes=10)
        if what != "sent":
            assert family.use(held)[0] is RefreshOutcome.ROTATED, "whose reply is lost"
            family.now += timedelta(seconds=seconds)
        use, answer = family.use(held)
        assert use is RefreshOutcome.ROTATED
        if what == "late":
            assert family.use(held)[0] is RefreshOutcome.ROTATED, (
                "a duplicate on the wire, served after the reply that was kept"
            )
        held = answer


@LOSSY
@given(st.integers(0, 3), st.booleans(), st.integers(0, 300), st.lists(st.booleans(), min_size=4, max_size=8))
def test_a_stolen_token_ends_the_session_once_both_holders_have_used_it(
    family: Family, before: int, owner_first: bool, seconds: int, turns: list[bool]
) -> None:
    """The session ends in whatever order they use the token, and within the grace period too."""
    family.now, held = START, family.begin()
    for _ in range(before):
        family.now += timedelta(minutes=10)
        held = family.use(held)[1]
    hands = {"owner": held, "thief": held}
    order = ["owner", "thief"] if owner_first else ["thief", "owner"]
    order += ["owner" if turn else "thief" for turn in turns] + ["owner", "thief"]
    for who in order:
        family.now += timedelta(seconds=seconds)
        use, answer = family.use(hands[who])
        if use is not RefreshOutcome.ROTATED:
            break
        hands[who] = answer
    else:
        pytest.fail("both went on")
    for token in hands.values():
        assert family.use(token)[0] is RefreshOutcome.ENDED


def test_the_grace_period_runs_from_the_first_use(family: Family) -> None:
    family.now, held = START, family.begin()
    for _ in range(3):
        assert family.use(held)[0] is RefreshOutcome.ROTATED
        family.now += GRACE / 2
    assert family.use(held)[0] is RefreshOutcome.REUSED, "or a copy could be used for ever"


def test_after_too_many_retries_the_oldest_reply_is_refused(family: Family) -> None:
    family.now, held = START, family.begin()
    answers = [family.use(held)[1] for _ in range(MAX_CURRENT + 1)]
    family.now += GRACE * 5
    assert family.use(answers[1])[0] is RefreshOutcome.ROTATED
    family.now, held = START, family.begin()
    answers = [family.use(held)[1] for _ in range(MAX_CURRENT + 1)]
    assert family.use(answers[0])[0] is RefreshOutcome.REUSED


async def test_a_retry_extends_the_stored_expiry(mongo: Mongo) -> None:
    sessions, device_id, token = Sessions(mongo), new_id("dev"), a_token(new_id("ses"))
    await sessions.begin(token, new_id("usr"), device_id, START, START + LIFE)
    for seconds in (1, 2):
        now = START + timedelta(seconds=seconds)
        await sessions.use(token, device_id, a_token(token.session_id), now, grace=GRACE, expires_at=now + LIFE)
    [kept] = await mongo.collection("sessions").find({})
    assert kept["expires_at"] == START + timedelta(seconds=2) + LIFE


async def test_concurrent_uses_of_a_token_do_not_end_the_family(mongo: Mongo) -> None:
    sessions, user_id, device_id = Sessions(mongo), new_id("usr"), new_id("dev")
    token = a_token(new_id("ses"))
    await sessions.begin(token, user_id, device_id, START, START + LIFE)
    uses: list[RefreshOutcome] = []

    async def use(shown: RefreshToken) -> None:
        successor = a_token(shown.session_id)
        used = await sessions.use(shown, device_id, successor, START, grace=GRACE, expires_at=START + LIFE)
        uses.append(used.use)

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(use, token)
    assert uses == [RefreshOutcome.ROTATED] * 10
    [kept] = await mongo.collection("sessions").find({})
    assert kept["previous"] == token.digest
    assert len(kept["current"]) == 10


async def test_a_token_that_was_never_issued_ends_no_session(mongo: Mongo) -> None:
    sessions, device_id = Sessions(mongo), new_id("dev")
    token = a_token(new_id("ses"))
    await sessions.begin(token, new_id("usr"), device_id, START, START + LIFE)
    other = a_token(new_id("ses"))
    id, randomness, tag = token.text.split(".")
    for text in (
        "",
        id,
        f"{id}..",
        f"{id}.{randomness}",
        f"{id}.{randomness}.{'A' * len(tag)}",
        f"{id}.{'A' * len(randomness)}.{tag}",
        f"{other.session_id}.{randomness}.{tag}",
        f"{token.text}.",
        f"{token.text} ",
        f"{id}.{randomness}=.{tag}",
        compose_refresh_token(id, b"x" * 32, b"another server").text,
        "密" * 40,
        "x" * 10_000,
    ):
        with pytest.raises(Refusal) as caught:
            read_refresh_token(text, SECRET)
        assert caught.value.code is RefusalCode.SESSION_ENDED
    assert read_refresh_token(token.text, SECRET) == token
    used = await sessions.use(other, device_id, a_token(other.session_id), START, grace=GRACE, expires_at=START + LIFE)
    assert (used.use, used.user_id) == (RefreshOutcome.ENDED, None)
    [kept] = await mongo.collection("sessions").find({})
    assert kept["ended_at"] is None


async def test_stored_data_contains_no_usable_refresh_token(mongo: Mongo) -> None:
    token = a_token(new_id("ses"))
    await Sessions(mongo).begin(token, new_id("usr"), new_id("dev"), START, START + LIFE)
    stored = repr(await mongo.collection("sessions").find({}))
    _, randomness, tag = token.text.split(".")
    assert randomness not in stored
    assert tag not in stored
    assert randomness not in repr(token)


async def test_ending_one_devices_families_leaves_other_devices_alone(mongo: Mongo) -> None:
    sessions, user_id = Sessions(mongo), new_id("usr")
    phone, tablet = new_id("dev"), new_id("dev")
    tokens = {device: a_token(new_id("ses")) for device in (phone, tablet)}
    for device, token in tokens.items():
        await sessions.begin(token, user_id, device, START, START + LIFE)
    await sessions.end(user_id, [phone], START)
    uses = {}
    for device, token in tokens.items():
        used = await sessions.use(token, device, a_token(token.session_id), START, grace=GRACE, expires_at=START + LIFE)
        uses[device] = used.use
    assert uses == {phone: RefreshOutcome.ENDED, tablet: RefreshOutcome.ROTATED}
