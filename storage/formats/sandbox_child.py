"""Run as the child of a sandbox: limit the process's memory, then run functions on the paths from standard input.

Usage: `python -m storage.formats.sandbox_child PARENT MEMORY_BYTES MODULE:FUNCTION...`
"""

import os
import pkgutil
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from storage.formats.results import Covered, Damage, Faces, ReadResult, to_json
from storage.processes.parent_death_signal import die_with_parent

Answer = ReadResult | Faces | Covered


def main() -> None:
    """Write one byte when ready. Answer each line `[function, path, *more]` with four bytes of length, then JSON."""
    parent, memory_bytes, *names = sys.argv[1:]
    die_with_parent(int(parent))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _cap(int(memory_bytes))
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library's output must not be taken for an answer
    functions: dict[str, Callable[..., Answer]] = {name: pkgutil.resolve_name(name) for name in names}
    replies.write(b"+")
    replies.flush()
    for line in sys.stdin.buffer:
        name, path, *more = orjson.loads(line)
        reply = to_json(_run(functions[name], Path(path), *more))
        replies.write(len(reply).to_bytes(4) + reply)
        replies.flush()


def _cap(memory_bytes: int) -> None:
    """Limit the address space. Forbid core dumps, because they would contain evidence."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # other kernels don't enforce it
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _run(function: Callable[..., Answer], path: Path, *more: Any) -> Answer:
    try:
        return function(path, *more)
    except MemoryError:
        return ReadResult(damage=Damage.OUT_OF_MEMORY)  # every kind of answer has this field
    except Exception:  # noqa: BLE001  any error that hostile bytes cause must affect only this file
        return ReadResult(damage=Damage.CRASHED)


if __name__ == "__main__":
    main()
