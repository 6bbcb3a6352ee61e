"""Confine this process before it reads hostile bytes: no files but its libraries, no network, no other process.

What holds depends on the kernel and on who runs the process. Nothing that is missing is an error: see `Confinement`.
"""

import contextlib
import os
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from storage.processes import landlock, namespaces, privileges, seccomp
from storage.processes.parent_death_signal import die_with_parent

_ROOT = Path(__file__).resolve().parents[2]
_SYSTEM = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo"),
    *("/usr/share/fonts", "/usr/share/X11/fonts", "/usr/local/share/fonts"),  # for documents that lack theirs
    *("/dev/null", "/dev/zero", "/dev/urandom", "/proc/cpuinfo", "/sys/devices/system/cpu", "/sys/bus/pci/devices"),
)


@dataclass(frozen=True)
class Confinement:
    """What confines a process. Each field names the means, or is None if this machine lacks one.

    `files`: it can open only named files. `network`: it can reach nobody. `programs`: it can start none, and can neither
    signal nor inspect another process.
    """

    files: str | None = None
    network: str | None = None
    programs: str | None = None


def confine(packages: Iterable[str], *, readable: Iterable[Path] = (), parent: int | None = None) -> Confinement:
    """Confine this process for good, and let it die with its parent.

    It keeps what it has open, and can read its libraries, our `packages` and the `readable` files. `parent` is the id of
    the parent. Raise `RuntimeError` if this process has started threads, because they would not be confined.
    """
    if sys.platform != "linux":
        return Confinement()
    with contextlib.suppress(FileNotFoundError):  # some containers have no /proc
        if len(list(Path("/proc/self/task").iterdir())) > 1:
            raise RuntimeError("A process that has started threads can't be confined.")
    wanted = [*_interpreter_files(), *(_ROOT / name for name in packages), *readable]
    known = [path for path in dict.fromkeys(wanted) if _exists(path)]
    privileges.forbid_new_privileges()
    networks = ["network namespace"] if namespaces.enter_empty_network() else []
    files = _confine_files(known)
    privileges.drop_capabilities()
    if parent is not None:
        die_with_parent(parent)  # becoming another user has cleared an earlier request
    programs = None
    with contextlib.suppress(OSError):
        if seccomp.is_offered():
            seccomp.restrict()
            programs = "seccomp"
            networks.append(programs)
    return Confinement(files, " and ".join(networks) or None, programs)


def _confine_files(readable: list[Path]) -> str | None:
    if version := landlock.version():
        with contextlib.suppress(OSError):
            landlock.restrict(readable)
            return f"Landlock {version}"
    if namespaces.enter_files(readable):
        return "mount namespace"
    return "another user" if privileges.become_nobody(readable) else None


def _interpreter_files() -> list[Path]:
    """Return the files of Python, of the installed packages and of the C libraries that are loaded now or later."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix, "installed_base": sys.base_prefix}
    found = [sysconfig.get_path(name) for name in names]
    found += [sysconfig.get_path(name, vars=base) for name in names[:2]]
    found += [f"{sys.base_prefix}/lib", *_SYSTEM, *os.environ.get("LD_LIBRARY_PATH", "").split(":")]
    found += [entry for entry in sys.path if not _ROOT.is_relative_to(Path(entry).absolute())]
    return [Path(path) for path in found if path and Path(path) != Path("/")] + _loaded_libraries()


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # in a folder that this account can't enter
        return False


def _loaded_libraries() -> list[Path]:
    """Return the folders of the C libraries that this process has loaded: their neighbours are loaded later."""
    with contextlib.suppress(OSError):
        rows = (line.split(None, 5) for line in Path("/proc/self/maps").read_text().splitlines())
        mapped = {Path(row[5]) for row in rows if len(row) == 6 and row[5].startswith("/")}
        return sorted({path.parent for path in mapped if ".so" in path.name})
    return []
