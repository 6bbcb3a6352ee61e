"""Run as the child of a sandbox: confine the process, then run functions on the files that the parent opens.

Usage: `python -m storage.formats.sandbox_child PARENT MEMORY_BYTES CHANNEL READABLE MODULE:FUNCTION...`

CHANNEL is the descriptor of a unix socket, READABLE a JSON list of further files that the functions open by themselves.
"""

import compileall
import contextlib
import os
import pkgutil
import resource
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson

from storage.formats.media_sources import InheritedFile
from storage.formats.results import Covered, Damage, Faces, ReadResult, to_json
from storage.processes.confinement import confine

Answer = ReadResult | Faces | Covered
_STORAGE, _COMPILED = Path(__file__).parents[1], ("formats", "publication", "similarity")
_WRITTEN_BYTES = 256 * 2**20
"""A covered copy is smaller than this, and so is the log, which is set aside at 16 MiB."""


def main() -> None:
    """Write one byte when ready. Answer each line `[function, *more]` with four bytes of length, then JSON.

    With each line, one or two descriptors come through the channel: of the file to read, and of the file to write.
    """
    parent, memory_bytes, channel, readable, *names = sys.argv[1:]
    packages = {"storage", "schema", *(name.split(".")[0] for name in names)}
    _compile()
    confine(packages, readable=[Path(path) for path in orjson.loads(readable)], parent=int(parent))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _cap(int(memory_bytes))
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library's output must not be taken for an answer
    functions: dict[str, Callable[..., Answer]] = {name: pkgutil.resolve_name(name) for name in names}
    replies.write(b"+")
    replies.flush()
    descriptors = socket.socket(fileno=int(channel))
    for line in sys.stdin.buffer:
        name, *more = orjson.loads(line)
        _, opened, _, _ = socket.recv_fds(descriptors, 1, 2)
        reply = to_json(_run(functions[name], opened, more))
        replies.write(len(reply).to_bytes(4) + reply)
        replies.flush()


def _compile() -> None:
    """Keep our modules compiled: a confined process can't, and every child would compile them again."""
    for folder in _COMPILED:
        if os.access(_STORAGE / folder, os.W_OK):
            compileall.compile_dir(_STORAGE / folder, maxlevels=0, quiet=2)


def _cap(memory_bytes: int) -> None:
    """Limit the address space and what is written. Forbid core dumps, because they would contain evidence."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_WRITTEN_BYTES, _WRITTEN_BYTES))
    if sys.platform == "linux":  # other kernels don't enforce it
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _run(function: Callable[..., Answer], descriptors: Sequence[int], more: Sequence[Any]) -> Answer:
    """Run a function on the first descriptor. The second one, which is open for writing, is its last argument."""
    try:
        with contextlib.ExitStack() as files:
            sinks = [files.enter_context(open(descriptor, "wb", closefd=False)) for descriptor in descriptors[1:]]
            return function(InheritedFile(descriptors[0]), *more, *sinks)
    except MemoryError:
        return ReadResult(damage=Damage.OUT_OF_MEMORY)  # every kind of answer has this field
    except Exception:  # noqa: BLE001  any error that hostile bytes cause must affect only this file
        return ReadResult(damage=Damage.CRASHED)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


if __name__ == "__main__":
    main()
