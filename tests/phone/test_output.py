"""Test how the phone shows reports: readable at 80 columns, and as a table on a wide terminal."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from mobile_contract.phone.cli import output, pulled_tables
from tests.support.world import new_id

REPORT: dict[str, Any] = {
    "id": new_id("obs"),
    "receivedAt": "2026-11-20T01:05:00.000Z",
    "content": {"category": "SLOW", "text": "窗口前排队两小时，只开了一个窗口办理，其余三个无人值守"},
    "unit": {"name": "交通运输局政务服务窗口"},
    "monitoringPoint": None,
    "mediaArrived": 2,
    "mediaExpected": 3,
    "followUps": [{"caseNumber": "360703-2026-0007", "state": "CLOSED", "outcome": "SUBSTANTIATED", "reply": "已整改"}],
}


def shown(monkeypatch: pytest.MonkeyPatch, width: int) -> list[str]:
    console = Console(file=StringIO(), width=width, highlight=False)
    monkeypatch.setattr(output, "console", console)
    pulled_tables.reports([REPORT, REPORT | {"followUps": []}])
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


def test_reports_can_be_read_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, 80)
    for whole in (REPORT["id"], "交通运输局政务服务窗口", "360703-2026-0007 CLOSED SUBSTANTIATED 已整改", "2/3"):
        assert any(line.endswith(whole) for line in lines), whole
    assert sum("follow-up" in line for line in lines) == 1, "what there is none of takes no line"


def test_reports_are_a_table_on_a_wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line for line in shown(monkeypatch, 260) if line.strip()]
    assert len(lines) == 4, "names, a rule, and a line each"
    assert lines[2].rstrip().endswith(REPORT["id"])
