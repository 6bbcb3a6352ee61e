"""Forbid this process all files but named ones, and TCP, with Landlock: landlock(7), Linux 5.13 and later."""

import ctypes
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from storage.processes.system_calls import call

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every machine
_VERSION_FLAG, _PATH_BENEATH = 1, 1
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3
# The rights that each version of the interface added. A right that is handled is forbidden wherever no rule permits it.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many rights to files there are from a version on: execute, read, write, make, remove; then refer, truncate, ioctl."""
_NETWORK_FROM, _NETWORK = 4, 0b11
"""Binding and connecting TCP sockets."""
_SCOPES_FROM, _SCOPES = 6, 0b11
"""Connecting to abstract unix sockets of other processes, and sending signals to them."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("permitted", ctypes.c_uint64), ("folder", ctypes.c_int32))


def version() -> int:
    """Return the version of Landlock that the kernel offers, or 0 if it offers none."""
    try:
        return call(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    except OSError:  # ENOSYS: an older kernel; EOPNOTSUPP: switched off at boot
        return 0


def restrict(readable: Iterable[Path]) -> None:
    """Let this process and its later children open only `readable` files and folders, and only for reading.

    Nothing can be executed, written or made. Files that are open already stay usable. The calling thread must be the
    only one, and must have given up the right to gain privileges. Raise `OSError` if the kernel refuses.
    """
    found = version()
    rights = max(count for since, count in _FILE_RIGHTS.items() if since <= found)
    handled = _Ruleset(
        (1 << rights) - 1,
        _NETWORK if found >= _NETWORK_FROM else 0,
        _SCOPES if found >= _SCOPES_FROM else 0,
    )
    # An older kernel knows fewer fields, and refuses a longer structure only if the fields that it lacks are not 0.
    ruleset = call(_CREATE_RULESET, handled, ctypes.sizeof(handled), 0)
    try:
        for path in readable:
            _permit(ruleset, path)
        call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _permit(ruleset: int, path: Path) -> None:
    opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        is_folder = stat.S_ISDIR(os.fstat(opened).st_mode)
        call(_ADD_RULE, ruleset, _PATH_BENEATH, _PathRule(_READ_FILE | (_READ_FOLDER if is_folder else 0), opened), 0)
    finally:
        os.close(opened)
