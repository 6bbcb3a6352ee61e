"""Call Linux by number or through libc, for what Python's standard library lacks."""

import ctypes
import os
import platform
import sys

_LIBC = ctypes.CDLL(None, use_errno=True)
_GENERIC = frozenset({"aarch64", "riscv64", "loongarch64"})
"""Machines that share one table of system calls (asm-generic/unistd.h)."""


def machine() -> str | None:
    """Return the table of system calls of this process: `x86_64` or `generic`. Return None for any other."""
    if sys.platform != "linux" or sys.maxsize < 2**32 or sys.byteorder != "little":
        return None
    name = platform.machine()
    return name if name == "x86_64" else "generic" if name in _GENERIC else None


Argument = int | bytes | ctypes.Structure | None


def call(number: int, *arguments: Argument) -> int:
    """Make the system call with this number. Structures and bytes are passed by reference. Raise `OSError` on failure."""
    return _checked(_LIBC.syscall(ctypes.c_long(number), *(_word(argument) for argument in arguments)))


def unshare(flags: int) -> None:
    """Leave namespaces that are shared with the parent: unshare(2). Raise `OSError` if it is not permitted."""
    _checked(_LIBC.unshare(ctypes.c_int(flags)))


def control(option: int, value: int) -> None:
    """Change an attribute of this process: prctl(2). Raise `OSError` if it can't be changed."""
    _checked(_LIBC.prctl(ctypes.c_int(option), *(ctypes.c_ulong(word) for word in (value, 0, 0, 0))))


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """Mount a file system, or change a mount: mount(2). Raise `OSError` if it fails."""
    source_path, kind_name, data = (None if text is None else os.fsencode(text) for text in (source, kind, options))
    _checked(_LIBC.mount(source_path, os.fsencode(target), kind_name, ctypes.c_ulong(flags), data))


def unmount(target: str, flags: int) -> None:
    """Remove a mount: umount2(2). Raise `OSError` if it fails."""
    _checked(_LIBC.umount2(os.fsencode(target), ctypes.c_int(flags)))


def _word(argument: Argument) -> object:
    if isinstance(argument, ctypes.Structure):
        return ctypes.byref(argument)
    if isinstance(argument, bytes):
        return ctypes.c_char_p(argument)
    return ctypes.c_void_p(None) if argument is None else ctypes.c_long(argument)


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
