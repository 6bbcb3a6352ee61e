"""Test the phone's ratings.

They wait on the phone while it is offline, and are stored once despite kills and lost replies. The phone keeps refused
ratings with the reason, and sends the others.
"""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schema.core.ids import milliseconds_of
from schema.core.times import BEIJING
from tests.support.network_faults import NetworkFault, nth
from tests.support.phone_cli import Spawner, Terminal
from tests.support.phone_sessions import PASSWORD
from tests.support.running_product import RunningProduct
from tests.support.world import World, new_id

KILLED = -9


@pytest.fixture
def monitor(served: RunningProduct) -> str:
    """Create a monitor and a monitoring point of theirs. Return the user name, which is also the point's code."""
    name = served.person("monitor")

    async def settle(world: World) -> None:
        [point] = await world.store.monitoring_points.named(["GZ-001"])
        user = await world.store.users.by_user_name(name)
        assert user
        own = {"id": new_id("pnt"), "code": name, "monitor_ids": (user.id,)}
        await world.store.monitoring_points.put_all([type(point)(**vars(point) | own)])

    served.within(settle)
    return name


@pytest.fixture
def terminal(spawner: Spawner, served: RunningProduct, monitor: str, tmp_path: Path) -> Terminal:
    made = Terminal(spawner, tmp_path / "phone")
    made.sign_in(served.address, monitor, PASSWORD)
    served.calm()
    return made


def kept(served: RunningProduct, user: str) -> list[dict[str, Any]]:
    """Return a person's ratings from the database."""

    async def read(world: World) -> list[dict[str, Any]]:
        found = await world.store.users.by_user_name(user)
        assert found
        return await world.store.mongo.collection("ratings").find({"rater_id": found.id}, sort=[("revision", 1)])

    return served.within(read)


def states(terminal: Terminal) -> list[str]:
    return [each["state"] for each in terminal.status()["ratings"]]


def test_a_rating_waits_offline_and_is_sent_once(terminal: Terminal, served: RunningProduct, monitor: str) -> None:
    terminal.do("rate", "360703-JT", "--point", monitor, "--grade", "良", "--reason", "办事快")
    terminal.do("rate", "360703-JT-1", "--point", monitor, "--score", "55")
    assert states(terminal) == ["QUEUED", "QUEUED"]
    assert served.server.names() == []
    this_month = datetime.now(BEIJING).date().replace(day=1)
    for each in terminal.status()["ratings"]:
        assert each["draft"]["month"] == this_month.isoformat()
        first = datetime(this_month.year, this_month.month, 1, tzinfo=UTC)
        assert milliseconds_of(each["id"]) == first.timestamp() * 1000
    terminal.do("send")
    assert states(terminal) == ["ACCEPTED", "ACCEPTED"]
    stored = {each["_id"]: each for each in kept(served, monitor)}
    for each in terminal.status()["ratings"]:
        assert each["receipt"]["contentSha256"] == stored[each["id"]]["sent_sha256"]
    assert sorted(each["score"] for each in stored.values()) == [55, 75]
    served.calm()
    terminal.do("sync")
    assert [set(each) for each in served.server.inputs("Sync")] == [{"input"}]
    terminal.do("forget")
    assert terminal.status()["ratings"] == []


def test_a_refused_rating_blocks_nothing_and_can_be_discarded(
    terminal: Terminal, served: RunningProduct, monitor: str
) -> None:
    terminal.do("rate", "nowhere", "--point", monitor, "--score", "1")
    terminal.do("rate", "360703-JT", "--point", monitor, "--score", "2")
    terminal.do("take", "--text", "乱收费", "--unit", "360703-JT")
    assert terminal.run("send") == 1
    assert states(terminal) == ["REFUSED", "ACCEPTED"]
    assert terminal.states() == [("ACCEPTED", [])]
    assert "discard R1" in terminal.output or "discard R1" in terminal.do("status")
    terminal.do("discard", "R1")
    terminal.do("sync")
    assert states(terminal) == ["ACCEPTED"]
    assert terminal.run("discard", "R2") == 2
    assert [each["score"] for each in kept(served, monitor)] == [2]


def test_an_invalid_rating_is_rejected_and_not_kept(terminal: Terminal, monitor: str) -> None:
    for arguments in (
        ("--score", "101"),
        ("--score", "1", "--grade", "优"),
        (),
        ("--score", "1", "--month", "2026-13"),
    ):
        assert terminal.run("rate", "360703-JT", "--point", monitor, *arguments) == 2
    assert terminal.status()["ratings"] == []


def test_a_kill_at_any_step_loses_and_doubles_no_rating(
    terminal: Terminal, served: RunningProduct, monitor: str
) -> None:
    moment, survived = 0, False
    while not survived:
        moment += 1
        terminal.do("rate", "360703-JT", "--point", monitor, "--score", str(moment))
        survived = terminal.run("send", kill_at=moment) != KILLED
        terminal.do("send")
    assert moment > 2
    assert [(each["score"], each["revision"]) for each in kept(served, monitor)] == [
        (number, number) for number in range(1, moment + 1)
    ]


@pytest.mark.parametrize("fault", [NetworkFault.LOSE, NetworkFault.LOSE_REPLY], ids=lambda fault: fault.name)
def test_a_rating_is_stored_once_when_a_call_or_its_reply_is_lost(
    terminal: Terminal, served: RunningProduct, monitor: str, fault: NetworkFault
) -> None:
    terminal.do("rate", "360703-JT", "--point", monitor, "--score", "40")
    served.server.choose_fault = nth(1, fault)
    terminal.do("send")
    assert served.server.names() == ["Sync", "Sync"]
    assert states(terminal) == ["ACCEPTED"]
    assert [each["score"] for each in kept(served, monitor)] == [40]


def test_another_account_does_not_send_waiting_ratings(
    terminal: Terminal, served: RunningProduct, monitor: str, inspector: str
) -> None:
    terminal.do("rate", "360703-JT", "--point", monitor, "--score", "40")
    rater = terminal.session().user_name
    terminal.sign_in(served.address, inspector, PASSWORD)
    terminal.do("send")
    assert states(terminal) == []
    assert kept(served, monitor) == []
    assert [
        each["state"]
        for each in json.loads(terminal.do("--as", rater, "status", "--json", password=PASSWORD))["ratings"]
    ] == ["QUEUED"]


def test_a_rating_of_an_old_month_is_refused_and_kept_on_the_phone(
    terminal: Terminal, served: RunningProduct, monitor: str
) -> None:
    old = (datetime.now(BEIJING).date().replace(day=1) - timedelta(days=1)).replace(day=1) - timedelta(days=1)
    terminal.do(
        "rate", "360703-JT", "--point", monitor, "--score", "40", "--month", f"{date(old.year, old.month, 1):%Y-%m}"
    )
    assert terminal.run("send") == 1
    [refused] = terminal.status()["ratings"]
    assert refused["refusal"]["code"] == "WRONG_STATE"
    assert json.dumps(refused["draft"])
    assert kept(served, monitor) == []
