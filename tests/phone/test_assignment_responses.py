"""Test the phone's answers to assignments: each is sent once, even if given offline or before the assignment exists."""

from typing import Any

from tests.support.network_faults import NetworkFault
from tests.support.phone_assignments import assign_window, know_officer
from tests.support.phone_cli import Terminal
from tests.support.running_product import RunningProduct
from tests.support.world import WITHDRAW, World, new_id


def stored(served: RunningProduct, id: str) -> dict[str, Any]:
    async def read(world: World) -> dict[str, Any]:
        [found] = await world.store.mongo.collection("assignments").find({"_id": id})
        return found

    return served.within(read)


def outcomes(terminal: Terminal) -> list[tuple[str, str | None]]:
    return [(each["state"], (each["receipt"] or {}).get("outcome")) for each in terminal.status()["answers"]]


def test_an_answer_given_online_is_settled_at_once(terminal: Terminal, served: RunningProduct, inspector: str) -> None:
    id = new_id("asg")
    assign_window(served, inspector, id)
    assert "已签收" in terminal.do("accept", id)
    assert "已完成" in terminal.do("finish", id, "--result", "已复查")
    assert outcomes(terminal) == [("ACCEPTED", "SETTLED"), ("ACCEPTED", "SETTLED")]
    assert (stored(served, id)["state"], stored(served, id)["result"]) == ("FINISHED", "已复查")
    terminal.do("forget")
    assert outcomes(terminal) == []


def test_answers_given_offline_wait_and_are_sent_with_the_next_sync(
    terminal: Terminal, served: RunningProduct, inspector: str
) -> None:
    id = new_id("asg")
    assign_window(served, inspector, id)
    served.server.choose_fault = lambda _: NetworkFault.LOSE
    assert "Saved" in terminal.do("accept", id)
    assert "Saved" in terminal.do("finish", id, "--result", "已复查")
    assert outcomes(terminal) == [("QUEUED", None), ("QUEUED", None)]
    assert stored(served, id)["state"] == "OFFERED"
    served.calm()
    terminal.do("send")
    assert served.server.names() == ["Sync"]
    assert outcomes(terminal) == [("ACCEPTED", "SETTLED"), ("ACCEPTED", "SETTLED")]
    assert stored(served, id)["state"] == "FINISHED"


def test_a_held_answer_is_settled_once_its_assignment_exists(
    terminal: Terminal, served: RunningProduct, inspector: str
) -> None:
    id = new_id("asg")
    assert "held 暂存" in terminal.do("accept", id)
    terminal.do("forget")
    assert outcomes(terminal) == [("ACCEPTED", "HELD")]
    assign_window(served, inspector, id)
    terminal.do("send")
    assert outcomes(terminal) == [("ACCEPTED", "SETTLED")]
    assert stored(served, id)["state"] == "ACCEPTED"


def test_an_answer_to_a_withdrawn_assignment_is_set_aside(
    terminal: Terminal, served: RunningProduct, inspector: str
) -> None:
    id = new_id("asg")
    assign_window(served, inspector, id)

    async def take_back(world: World) -> None:
        await know_officer(world)
        await world.ask("officer", WITHDRAW, input={"id": id})

    served.within(take_back)
    assert terminal.run("accept", id) == 1
    assert "WRONG_STATE" in terminal.output
    assert outcomes(terminal) == [("REFUSED", None)]
    terminal.do("discard", "A1")
    assert outcomes(terminal) == []
