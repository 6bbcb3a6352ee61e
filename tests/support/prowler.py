"""Try in this process what a process that hostile bytes have taken over would try."""

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

FILES = frozenset({"read a file", "list a folder", "write a file", "read its parent's environment"})
NETWORK = frozenset({"connect by TCP", "send by UDP"})
PROGRAMS = frozenset({"fork", "execute", "signal its parent", "connect to a unix socket"})


class Targets(TypedDict):
    file: str
    folder: str
    port: int
    socket: str
    parent: int


def prowl(targets: Targets) -> list[str]:
    """Return what succeeded."""
    deeds: dict[str, Callable[[], object]] = {
        "read a file": lambda: Path(targets["file"]).read_bytes(),
        "list a folder": lambda: list(Path(targets["folder"]).iterdir()),
        "write a file": lambda: _write(Path(targets["folder"], "new")),
        "read its parent's environment": lambda: Path(f"/proc/{targets['parent']}/environ").read_bytes(),
        "connect by TCP": lambda: _connect(socket.AF_INET, ("127.0.0.1", targets["port"])),
        "send by UDP": lambda: _send(targets["port"]),
        "connect to a unix socket": lambda: _connect(socket.AF_UNIX, targets["socket"]),
        "fork": _fork,
        "execute": lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0),
        "signal its parent": lambda: os.kill(targets["parent"], 0),
    }
    done = []
    for name, deed in deeds.items():
        with contextlib.suppress(OSError):
            deed()
            done.append(name)
    return done


def _write(path: Path) -> None:
    path.write_bytes(b"stolen")
    path.unlink()


def _send(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"stolen", ("127.0.0.1", port))


def _connect(family: socket.AddressFamily, address: str | tuple[str, int]) -> None:
    with socket.socket(family) as client:
        client.connect(address)


def _fork() -> None:
    if not (child := os.fork()):
        os._exit(0)
    os.waitpid(child, 0)
