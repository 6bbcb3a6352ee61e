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
    return ProcessMemory(_program((process / "cmdline").read_text().replace("\0", " ").split()), now, highest)


def _program(command: list[str]) -> str:
    """Return the module that Python runs, or the name of another program."""
    return command[command.index("-m") + 1] if "-m" in command else Path(command[0]).name


def _descendants(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from _descendants(int(child))
