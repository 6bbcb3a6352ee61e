"""Leave the machine's network and files for empty ones: namespaces(7).

Root may do this. Others may if the kernel lets them make user namespaces.
"""

import contextlib
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from storage.processes.system_calls import call, machine, mount, unmount, unshare

_NEW_MOUNTS, _NEW_HOST_NAME, _NEW_IPC, _NEW_USERS, _NEW_NETWORK = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x40000000
_READ_ONLY, _NO_SUID, _NO_DEVICES = 0x1, 0x2, 0x4
_REMOUNT, _BIND, _RECURSIVE, _PRIVATE, _DETACH = 0x20, 0x1000, 0x4000, 0x40000, 0x2
_KEPT = ((0x2, 0x2), (0x4, 0x4), (0x8, 0x8), (0x400, 0x400), (0x800, 0x800), (0x1000, 0x200000))
"""Flags of statvfs(3) and of mount(2): no set-user-id, no devices, no execution, and three ways to note access times.

A user namespace may not remove them from a mount.
"""
_PIVOT_ROOT = {"x86_64": 155, "generic": 41}
_MAX_LINKS = 40
_BUILD_AT = "/tmp"  # noqa: S108  any folder that exists everywhere; the new root is mounted on it


def enter_empty_network() -> bool:
    """Enter a network without any interface, and System V IPC without any queue. Return whether this was permitted."""
    return _leave(_NEW_NETWORK | _NEW_IPC | _NEW_HOST_NAME)


def enter_files(readable: Iterable[Path]) -> bool:
    """Enter a file system that has only `readable` files and folders, read-only. Return whether this was permitted.

    Paths stay the same. Files that are open already stay usable.
    """
    table = machine()
    links, real = _trace_all(readable)
    if table is None or not _leave(_NEW_MOUNTS):
        return False
    with contextlib.ExitStack() as opened:
        sources = {path: _open(path, opened) for path in real}  # the new root may hide some of them
        try:
            mount(None, "/", None, _RECURSIVE | _PRIVATE)
            mount("none", _BUILD_AT, "tmpfs", _NO_SUID | _NO_DEVICES, "size=1m,mode=755")
        except OSError:
            return False
        try:
            _build(sources, links)
            os.chdir(_BUILD_AT)
            call(_PIVOT_ROOT[table], b".", b".")  # as pivot_root(2) shows under "NOTES"
        except OSError:
            unmount(_BUILD_AT, _DETACH)
            return False
        unmount(".", _DETACH)
        os.chdir("/")
        mount(None, "/", None, _REMOUNT | _BIND | _READ_ONLY | _NO_SUID | _NO_DEVICES)
    return True


def _leave(flags: int) -> bool:
    """Leave these namespaces: by one's own right, or else by the rights that a new user namespace gives."""
    user, group = os.geteuid(), os.getegid()
    with contextlib.suppress(OSError):
        unshare(flags)
        return True
    try:
        unshare(flags | _NEW_USERS)
    except OSError:
        return False
    with contextlib.suppress(OSError):  # without a map this process only loses its name
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return True


def _trace_all(paths: Iterable[Path]) -> tuple[dict[Path, str], list[Path]]:
    """Return the symbolic links on the way to `paths`, and the real paths. Leave out what lies in another's folder."""
    links: dict[Path, str] = {}
    real = {_trace(path, links) for path in paths}
    real = {path for path in real if not real & set(path.parents)}
    return {link: target for link, target in links.items() if not real & set(link.parents)}, sorted(real)


def _trace(path: Path, links: dict[Path, str]) -> Path:
    """Return the path without symbolic links. Add the links that were followed to `links`."""
    at, pending, followed = Path("/"), list(path.absolute().parts[1:]), 0
    while pending:
        name = pending.pop(0)
        step = at.parent if name == ".." else at / name
        if step.is_symlink() and followed < _MAX_LINKS:
            target = Path(links.setdefault(step, str(step.readlink())))
            followed += 1
            pending[:0] = target.parts[1:] if target.is_absolute() else target.parts
            step = Path("/") if target.is_absolute() else at
        at = step
    return at


def _open(path: Path, opened: contextlib.ExitStack) -> int:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    opened.callback(os.close, descriptor)
    return descriptor


def _build(sources: Mapping[Path, int], links: Mapping[Path, str]) -> None:
    for path, descriptor in sources.items():
        target = Path(f"{_BUILD_AT}{path}")
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        mount(f"/proc/self/fd/{descriptor}", str(target), None, _BIND | _RECURSIVE)
        held = os.statvfs(target).f_flag
        kept = sum(flag for shown, flag in _KEPT if held & shown)
        mount(None, str(target), None, _REMOUNT | _BIND | _READ_ONLY | kept)
    for link, pointed in links.items():
        made = Path(f"{_BUILD_AT}{link}")
        made.parent.mkdir(parents=True, exist_ok=True)
        made.symlink_to(pointed)
