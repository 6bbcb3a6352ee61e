"""Test when a disk counts as full."""

from pathlib import Path

import pytest

from storage.processes import free_space
from storage.processes.free_space import FreeSpace, RecentShortage


def test_the_full_disk_is_named(tmp_path: Path) -> None:
    assert FreeSpace([tmp_path], 1).find_full() is None
    assert FreeSpace([tmp_path / "missing", tmp_path], 2**62).find_full() == tmp_path
    assert not FreeSpace([], 2**62).is_low
    assert FreeSpace([], 2**62).describe() == "No data lies on this machine's disks."


def test_a_shortage_is_remembered_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that dies of a full disk frees what it had open."""
    clock = [1000.0]
    monkeypatch.setattr("storage.processes.free_space.time.monotonic", lambda: clock[0])
    need = [2**62]
    monkeypatch.setattr(FreeSpace, "describe_full", lambda _: f"{need[0]} needed" if need[0] else None)
    shortage = RecentShortage(FreeSpace([tmp_path], 1))
    assert shortage.look() == f"{2**62} needed"
    need[0] = 0
    clock[0] += free_space.SHORTAGE_SECONDS - 1
    assert shortage.look() == f"{2**62} needed"
    clock[0] += 1
    assert shortage.look() is None
