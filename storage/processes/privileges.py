"""Give up what makes this process mightier than another account: capabilities(7), and being root."""

import ctypes
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from storage.processes.system_calls import call, control, machine

NOBODY = 65534
"""The user and group that own nothing (the kernel's overflow id, `nobody` on all distributions)."""
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
_CAPSET = {"x86_64": 126, "generic": 91}
_VERSION_3 = 0x20080522
_MAX_CAPABILITIES = 64


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("words", ctypes.c_uint32 * 6),)


def forbid_new_privileges() -> None:
    """Let no program that this process executes gain privileges. The kernel demands this before it takes a filter."""
    control(_PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Give up all capabilities for good. Root is then an account like others, which still owns root's files."""
    table = machine()
    if table is None:
        return
    for number in range(_MAX_CAPABILITIES):
        try:
            control(_PR_CAPBSET_DROP, number)
        except OSError:  # the kernel has no more, or this process may not change the set, and thus has no capability
            break
    call(_CAPSET[table], _Header(_VERSION_3, 0), _Sets())


def become_nobody(readable: Iterable[Path]) -> bool:
    """As root, become `nobody`. Return whether this was done.

    It is not done if this process isn't root, or if `nobody` can't read the files and folders that it needs.
    """
    if os.geteuid() != 0 or not all(_is_open_to_all(path) for path in readable):
        return False
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError:  # a container may have taken this right from root
        return False
    return True


def _is_open_to_all(path: Path) -> bool:
    resolved = path.resolve()
    mode = resolved.stat().st_mode
    wanted = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(mode) else 0)
    return mode & wanted == wanted and all(parent.stat().st_mode & stat.S_IXOTH for parent in resolved.parents)
