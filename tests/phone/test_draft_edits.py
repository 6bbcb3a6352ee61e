"""Test waiting drafts edited in two windows of one phone: fields merge in any order, and lost values are kept."""

import json
from itertools import permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mobile_contract.phone.outbox.draft_edits import DraftEdit, merge_edits
from tests.support.network_faults import NetworkFault
from tests.support.phone_cli import Terminal
from tests.support.running_product import RunningProduct

EARLY, LATE = "2026-11-20T09:00:00+08:00", "2026-11-20T09:05:00+08:00"


def saved(values: list[tuple[str, str, str]], seen: int = 0, after: int = 0) -> list[DraftEdit]:
    """Return an edit for each (field, value, time), saved in this order.

    Each edit comes from another window. All these windows showed the same version of the draft.
    """
    return [
        DraftEdit(number, f"evt_{number}", field, value, seen, at, None)
        for number, (field, value, at) in enumerate(values, start=after + 1)
    ]


def told(edits: list[DraftEdit]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    found = merge_edits(edits)
    standing = {field: each.value for field, each in found.standing.items()}
    return standing, [(each.field, each.value) for each in found.lost]


@given(
    st.lists(
        st.tuples(st.sampled_from(["text", "unit"]), st.sampled_from("甲乙丙"), st.sampled_from("123")),
        max_size=4,
        unique=True,
    )
)
def test_concurrent_edits_merge_the_same_in_any_order_and_a_later_edit_replaces_them(
    values: list[tuple[str, str, str]],
) -> None:
    [(standing, lost), *others] = [told(saved(list(each))) for each in permutations(values)]
    assert all(standing == each and sorted(lost) == sorted(more) for each, more in others)
    assert sorted([*standing.items(), *lost]) == sorted((field, value) for field, value, _ in values)
    first = saved(values)
    later = saved([("text", "后", "0")], seen=len(first), after=len(first))
    assert told([*first, *later])[0] == standing | {"text": "后"}


def shown(terminal: Terminal, *arguments: str, number: int = 1) -> dict[str, Any]:
    """Return the draft with this running number as the phone shows it. If arguments are given, edit the draft first."""
    found: dict[str, Any] = json.loads(terminal.do("edit", str(number), *arguments, "--json"))
    return found


def kept(terminal: Terminal) -> list[str]:
    """Return the values of draft edits in the phone's database."""
    with terminal.outbox() as outbox:
        return [json.loads(row["value"]) for row in outbox.rows("SELECT value FROM draft_edits ORDER BY number")]


def test_edits_of_two_windows_merge_in_either_order_and_a_lost_one_can_be_restored(
    terminal: Terminal, served: RunningProduct
) -> None:
    for number, turned in enumerate((False, True), start=1):
        terminal.do("take", "--text", "窗口无人", "--unit", "360703-JT-1")
        assert shown(terminal, number=number)["version"] == 0
        one = ("--text", "窗口无人，九点到", "--severity", "MINOR", "--seen", "0", "--edited-at", EARLY)
        other = ("--text", "窗口无人值守", "--category", "ABSENCE", "--seen", "0", "--edited-at", LATE)
        for window in (other, one) if turned else (one, other):
            now = shown(terminal, *window, number=number)
        draft = now["draft"]
        assert (draft["text"], draft["severity"], draft["category"]) == ("窗口无人值守", "MINOR", "ABSENCE")
        assert [(each["field"], each["value"]) for each in now["lostEdits"]] == [("text", "窗口无人，九点到")]
        assert "落选" in terminal.do("edit", str(number))

    [lost] = shown(terminal)["lostEdits"]
    again = shown(terminal, "--restore", lost["id"])
    assert (again["draft"]["text"], again["lostEdits"]) == ("窗口无人，九点到", [])
    assert shown(terminal, "--text", "定稿", "--unit", "")["lostEdits"] == []
    served.calm()
    terminal.do("send")
    [sent] = served.server.inputs("Sync")
    first, second = sent["drafts"]["drafts"]
    assert ((first["text"], first["severity"]), "unit" in first) == (("定稿", "MINOR"), False)
    assert (second["text"], second["unit"]) == ("窗口无人值守", "360703-JT-1")
    assert [state for state, _ in terminal.states()] == ["ACCEPTED", "ACCEPTED"]
    assert {"窗口无人，九点到", "窗口无人值守", "定稿"} <= set(kept(terminal))
    terminal.do("forget")
    assert kept(terminal) == []


def test_an_invalid_edit_or_an_edit_of_a_sent_draft_changes_nothing(terminal: Terminal, served: RunningProduct) -> None:
    terminal.do("take", "--text", "原文")
    for arguments in (
        ("2", "--text", "改"),
        ("1", "--text", "改", "--seen", "1"),
        ("1", "--text", "改", "--edited-at", "2999-01-01T00:00:00+08:00"),
        ("1", "--restore", "evt_0198f00d-7000-7000-8000-000000000000"),
        ("1", "--text", "改", "--restore", "evt_0198f00d-7000-7000-8000-000000000000"),
    ):
        assert terminal.run("edit", *arguments) == 2, arguments
    assert (shown(terminal)["draft"]["text"], shown(terminal)["version"]) == ("原文", 0)
    served.server.choose_fault = lambda _: NetworkFault.LOSE_REPLY
    assert terminal.run("send") == 3
    served.calm()
    assert terminal.run("edit", "1", "--text", "改") == 2
    assert "never sent" in terminal.output
    terminal.do("send")
    assert terminal.status()["observations"][0]["draft"]["text"] == "原文"
    assert [state for state, _ in terminal.states()] == ["ACCEPTED"]
