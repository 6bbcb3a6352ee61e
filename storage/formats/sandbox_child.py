"""The child's side of `decoding`: caps itself, then answers each path on its input with what its functions say of it.

Run as `python -m storage.formats.sandbox_child PARENT MEMORY_BYTES MODULE:FUNCTION...`; starting and timing it is left to
`decoding`.
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
    """Write one byte when ready; then for each line `[function, path, *more]` a length of four bytes and an answer's JSON."""
    parent, memory_bytes, *names = sys.argv[1:]
    die_with_parent(int(parent))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _cap(int(memory_bytes))
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    functions: dict[str, Callable[..., Answer]] = {name: pkgutil.resolve_name(name) for name in names}
    replies.write(b"+")
    replies.flush()
    for line in sys.stdin.buffer:
        name, path, *more = orjson.loads(line)
        reply = to_json(_run(functions[name], Path(path), *more))
        replies.write(len(reply).to_bytes(4) + reply)
        replies.flush()


def _cap(memory_bytes: int) -> None:
    """Address space, and no core left behind that would hold evidence."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # elsewhere the kernel doesn't keep to it
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _run(function: Callable[..., Answer], path: Path, *more: Any) -> Answer:
    try:
        return function(path, *more)
    except MemoryError:
        return ReadResult(damage=Damage.OUT_OF_MEMORY)  # the one field that every kind of answer has
    except Exception:  # noqa: BLE001  whatever hostile bytes made a reader raise costs this one file
        return ReadResult(damage=Damage.CRASHED)


if __name__ == "__main__":
    main()
