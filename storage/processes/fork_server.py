"""Start Python programs by forking a process that has imported their modules already.

Importing takes seconds, and a fork takes milliseconds. So a program that died serves again at once, and programs share
the memory of what they import.

A fork copies only the thread that forks, so a process with threads must not fork. A process forks its fork server before
it has other threads, and the fork server never has any. The two speak over a socket. A request is a line of JSON, with
descriptors beside it. The fork server answers each request in turn, and also tells when a process has ended.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from setproctitle import setproctitle

from storage.processes.parent_death_signal import die_with_parent

TITLE = "mingcha: fork server"
"""What a list of processes shows for the fork server. A forked process shows its command."""
MODULE_COMMAND = (sys.executable, "-P", "-m")
"""The beginning of the command of a program that can be forked. The module and the arguments follow."""
MAX_DESCRIPTORS = 16
_MAX_BYTES = 64 * 1024
_BLOCKED = signal.SIGHUP, signal.SIGINT, signal.SIGTERM


@dataclass(frozen=True)
class ForkServer:
    """A fork server, as its parent knows it. `connection` is the parent's end of the connection to it."""

    pid: int
    connection: socket.socket


def start_fork_server(modules: Sequence[str]) -> ForkServer | Callable[[], None]:
    """Import `modules`, each of which has a function `main`, and fork a fork server. Call this before anything else.

    The function also returns in each process that is forked later: it then returns the `main` to run there, and nothing
    else may be done in that process.
    """
    for module in modules:
        importlib.import_module(module)
    ours, theirs = socket.socketpair()
    parent = os.getpid()
    if pid := os.fork():
        theirs.close()
        return ForkServer(pid, ours)
    ours.close()
    die_with_parent(parent)
    os.setsid()
    setproctitle(TITLE)
    return serve_forks(theirs)


def serve_forks(connection: socket.socket) -> Callable[[], None]:
    """Fork the programs that the other end asks for. In each forked process, return the `main` to run there.

    The process ends with the connection.
    """
    # A service manager may send these to each process, but it is the parent that ends the programs, in order. They are
    # blocked rather than ignored, so that one that comes right after a fork waits until the new process can get it.
    signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
    gc.freeze()  # a collection would write to pages that the processes share
    with _wakeup_pipe() as deaths:
        request = _serve(connection, deaths)
    if request is None:
        os._exit(0)
    return _become(*request)


@contextmanager
def _wakeup_pipe() -> Iterator[int]:
    """Give a descriptor from which something can be read when a child has died."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(write)
    yield read
    signal.set_wakeup_fd(-1)
    os.close(read)
    os.close(write)


def _serve(connection: socket.socket, deaths: int) -> tuple[dict[str, Any], list[int]] | None:
    """Serve until the connection ends. In a forked process, return the request and its descriptors."""
    received, descriptors = b"", list[int]()
    while True:
        ready, _, _ = select.select([connection.fileno(), deaths], [], [])
        if deaths in ready:
            os.read(deaths, _MAX_BYTES)
            for pid, status in _reap():
                _tell(connection, pid=pid, code=os.waitstatus_to_exitcode(status))
        if connection.fileno() not in ready:
            continue
        data, more, _, _ = socket.recv_fds(connection, _MAX_BYTES, MAX_DESCRIPTORS)
        received, descriptors = received + data, [*descriptors, *more]
        if not data:
            return None
        if received.endswith(b"\n"):
            if _fork(connection):
                return json.loads(received), descriptors
            for descriptor in descriptors:
                os.close(descriptor)
            received, descriptors = b"", []


def _fork(connection: socket.socket) -> bool:
    """Fork, and tell the parent. Return true in the forked process."""
    server = os.getpid()
    try:
        pid = os.fork()
    except OSError as error:
        _tell(connection, error=str(error))
        return False
    if pid == 0:
        connection.close()
        die_with_parent(server)
        return True
    _tell(connection, started=pid)
    return False


def _tell(connection: socket.socket, **message: int | str) -> None:
    try:
        connection.sendall(json.dumps(message).encode() + b"\n")
    except OSError:
        os._exit(0)  # the parent died


def _reap() -> Iterator[tuple[int, int]]:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def _become(request: dict[str, Any], descriptors: list[int]) -> Callable[[], None]:
    """Make this forked process what the request's command would be. Return the `main` to run."""
    os.setsid()
    os.umask(0o077)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _place([os.open(os.devnull, os.O_RDONLY), *descriptors], [0, *request["descriptors"]])
    os.chdir(request["folder"])
    command = request["command"]
    setproctitle(" ".join(command))  # its first call finds the place by the environment that the process began with
    os.environ.clear()
    os.environ.update(request["environment"])
    if os.environ.get("PYTHONUTF8") == "1":
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    module = importlib.import_module(command[3])
    sys.argv = [str(module.__file__), *command[4:]]
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _BLOCKED)
    return module.main  # type: ignore[no-any-return]


def _place(given: list[int], wanted: list[int]) -> None:
    """Give each descriptor its wanted number, and close it under its present one."""
    free = max((*given, *wanted, 2)) + 1
    for step, descriptor in enumerate(given):
        os.dup2(descriptor, free + step)
        os.close(descriptor)
    for step, number in enumerate(wanted):
        os.dup2(free + step, number)
        os.close(free + step)
