"""Read how much memory processes use, from Linux's `/proc`."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessMemory:
    """The resident memory of a process in MiB. `highest` is the most that it has ever had."""

    name: str
    now: int
    highest: int


def memory_below(pid: int) -> dict[int, ProcessMemory]:
    """Return the memory of each process that descends from the process `pid`, keyed by process id."""
    found: dict[int, ProcessMemory] = {}
    for child in _descendants(pid):
        with contextlib.suppress(OSError, KeyError, IndexError):  # the process ended meanwhile
            found[child] = read_memory(child)
    return found


def read_memory(pid: int) -> ProcessMemory:
    """Return the memory of one process. Raise `OSError`, `KeyError` or `IndexError` if the process has ended."""
    process = Path(f"/proc/{pid}")
    fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    now, highest = (int(fields[name].split()[0]) // 1024 for name in ("VmRSS", "VmHWM"))
    return ProcessMemory(name_of(pid), now, highest)


def name_of(pid: int) -> str:
    """Return the module that Python runs, the title of a process that has one, or the name of another program.

    The name is empty for a zombie. Raise `OSError` if the process has ended.
    """
    command = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    words = command.split()
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1]
    return command if ": " in command else Path(words[0] if words else "").name


def children_of(pid: int) -> list[int]:
    """Return the children of a process. A process that has ended has none."""
    children: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += map(int, (task / "children").read_text().split())
    return children


def _descendants(pid: int) -> Iterator[int]:
    for child in children_of(pid):
        yield child
        yield from _descendants(child)
