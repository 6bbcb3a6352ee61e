"""Test notes of assignments on two phones of one person: offline edits merge, and a value that lost can be restored."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.network_faults import NetworkFault
from tests.support.phone_assignments import assign_window, pull_assignment
from tests.support.phone_cli import Spawner, Terminal
from tests.support.phone_sessions import PASSWORD
from tests.support.running_product import RunningProduct
from tests.support.world import new_id


@pytest.fixture
def other(spawner: Spawner, served: RunningProduct, inspector: str, tmp_path: Path) -> Terminal:
    """Return the same person's second phone, signed in."""
    made = Terminal(spawner, tmp_path / "other")
    made.sign_in(served.address, inspector, PASSWORD)
    return made


def noted(terminal: Terminal, id: str) -> dict[str, Any]:
    """Return the notes of an assignment as a phone shows them, keyed by field.

    Each value is a tuple of the current text, whether it waits to be sent, and the texts that lost.
    """
    fields = json.loads(terminal.do("notes", "--json")).get(id, [])
    return {each["field"]: (each["value"], each["waits"], [lost["value"] for lost in each["lost"]]) for each in fields}


def lost(terminal: Terminal, id: str) -> list[str]:
    return [lost["id"] for each in json.loads(terminal.do("notes", "--json"))[id] for lost in each["lost"]]


def known(served: RunningProduct, inspector: str, *terminals: Terminal) -> str:
    """Assign a case, have all phones pull it, and return the assignment's id."""
    id = new_id("asg")
    assign_window(served, inspector, id)
    for each in terminals:
        pull_assignment(each, id)
    return id


def test_offline_edits_of_two_phones_merge_and_a_lost_value_can_be_restored(
    terminal: Terminal, other: Terminal, served: RunningProduct, inspector: str
) -> None:
    id = known(served, inspector, terminal, other)
    served.server.choose_fault = lambda _: NetworkFault.LOSE
    terminal.do("note", id, "--text", "先到大厅", "--contact", "王主任")
    other.do("note", id, "--text", "直接到后台", "--planned-on", "2026-12-01")
    assert noted(terminal, id) == {
        "WORKING_NOTE": ("先到大厅", True, []),
        "CONTACT": ("王主任", True, []),
    }
    served.calm()
    # The later edit is sent first and still wins.
    for each in (other, terminal, other):
        each.do("send")
    assert served.server.names() == ["Sync"] * 3
    merged = {
        "WORKING_NOTE": ("直接到后台", False, ["先到大厅"]),
        "PLANNED_ON": ("2026-12-01", False, []),
        "CONTACT": ("王主任", False, []),
    }
    assert noted(terminal, id) == noted(other, id) == merged

    [edit] = lost(other, id)
    other.do("note", id, "--restore", edit)
    assert noted(other, id)["WORKING_NOTE"] == ("先到大厅", True, [])
    for each in (other, terminal):
        each.do("send")
    for each in (terminal, other):
        assert noted(each, id)["WORKING_NOTE"] == ("先到大厅", False, [])
    assert "先到大厅" in terminal.do("notes")
    assert [each["state"] for each in terminal.status()["noteEdits"]] == ["ACCEPTED"] * 2
    terminal.do("forget")
    assert terminal.status()["noteEdits"] == []
    assert noted(terminal, id)["CONTACT"] == ("王主任", False, [])


def test_a_later_edit_on_one_phone_replaces_the_earlier_and_empty_text_clears(
    terminal: Terminal, served: RunningProduct, inspector: str
) -> None:
    id = known(served, inspector, terminal)
    for text in ("一", "二", ""):
        terminal.do("note", id, "--text", text)
    terminal.do("send")
    assert noted(terminal, id) == {"WORKING_NOTE": (None, False, [])}
    terminal.do("note", id, "--text", "三")
    terminal.do("send")
    assert noted(terminal, id) == {"WORKING_NOTE": ("三", False, [])}


def test_an_edit_that_arrives_twice_counts_once_and_carries_the_device_clock(
    terminal: Terminal, served: RunningProduct, inspector: str
) -> None:
    id = known(served, inspector, terminal)
    terminal.do("note", id, "--contact", "李科长")
    served.calm()
    served.server.choose_fault = lambda _: NetworkFault.TWICE
    terminal.do("send")
    assert all("deviceClock" in each["edits"] for each in served.server.inputs("Sync"))
    assert noted(terminal, id) == {"CONTACT": ("李科长", False, [])}
    [kept] = terminal.status()["noteEdits"]
    assert (kept["state"], kept["receipt"]) == ("ACCEPTED", {"outcome": "DUPLICATE"})


def test_a_refused_edit_is_set_aside_and_an_invalid_command_stores_nothing(
    terminal: Terminal, served: RunningProduct, inspector: str
) -> None:
    id = known(served, inspector, terminal)
    for arguments in (
        (new_id("asg"), "--text", "甲"),
        (id, "--planned-on", "明天"),
        (id, "--restore", new_id("evt")),
        (id,),
    ):
        assert terminal.run("note", *arguments) == 2
    assert terminal.status()["noteEdits"] == []
    terminal.do("note", id, "--text", "长" * 2001, "--contact", "王主任")
    assert terminal.run("send") == 1
    assert "2000 characters" in terminal.output
    assert [each["state"] for each in terminal.status()["noteEdits"]] == ["REFUSED", "ACCEPTED"]
    assert noted(terminal, id) == {"CONTACT": ("王主任", False, [])}
    terminal.do("discard", "N1")
    assert len(terminal.status()["noteEdits"]) == 1
