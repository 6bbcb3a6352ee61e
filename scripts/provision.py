"""Makes .venv and installs one lock file into it: one process at a time, and whole even after being killed half-way.

`scripts/setup` runs it with the Python it has found, before any package is there; what is locked is left to `lock`.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
VENV = SCRIPTS.parent / ".venv"

# What pip says, and what it means for whoever started us.
CAUSES = (
    (
        ("No space left on device",),
        f"The disk of {VENV} is full: free 1 GB, then run this again.",
    ),
    (
        (
            "NewConnectionError",
            "ConnectTimeout",
            "ProxyError",
            "ReadTimeout",
            "Read timed out",
            "SSLError",
            "Max retries",
        ),
        "The package index can't be reached: check the network, or set PIP_INDEX_URL or HTTPS_PROXY, then run this again.",
    ),
    (
        ("DO NOT MATCH THE HASHES",),
        "A package isn't the one that was locked: the index or something on the way to it is not to be trusted.",
    ),
    (
        ("No matching distribution",),
        "The package index has no build of a package for this Python and system: try another Python from 3.11 on.",
    ),
)


def main(lock_name: str) -> None:
    lock, installed = SCRIPTS / lock_name, VENV / lock_name
    turn = os.open(SCRIPTS, os.O_RDONLY)
    fcntl.flock(turn, fcntl.LOCK_EX)  # released by the kernel, whatever becomes of us
    if installed.exists() and installed.read_bytes() == lock.read_bytes() and _works():
        return
    begun = VENV / "begun"
    try:
        if begun.exists() or not _works():
            shutil.rmtree(VENV, ignore_errors=True)
            venv.create(VENV, with_pip=True, symlinks=True)
        begun.touch()
        for former in VENV.glob("requirements*.txt"):
            former.unlink()
        print(f"Installing the packages of scripts/{lock_name} into .venv, a minute or two ...", file=sys.stderr)
        _install(lock)
        shutil.copyfile(lock, installed)
        begun.unlink()
    except OSError as error:
        sys.exit(f"{error.filename or VENV} can't be written: {error.strerror}.")
    except subprocess.CalledProcessError as error:  # ensurepip
        said = (error.output or b"").decode(errors="replace").strip().splitlines()
        sys.exit(f"{sys.executable} can't make {VENV}: {said[-1] if said else error}")


def _works() -> bool:
    """Whether .venv has a Python that runs and is new enough: the one it was made from may be gone."""
    check = "import sys; sys.exit(sys.version_info < (3, 11))"
    try:
        return subprocess.run([VENV / "bin" / "python", "-c", check], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def _install(lock: Path) -> None:
    # The lock is whole, and leaves out on purpose what a package names without our using it: --no-deps.
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--require-hashes", "--no-deps", "-r", str(lock)]
    quietly = ["--quiet", "--no-input", "--disable-pip-version-check", "--retries=2"]
    done = subprocess.run([*pip, *quietly], check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode == 0:
        return
    said = done.stdout.decode(errors="replace")
    for signs, sentence in CAUSES:
        if any(sign in said for sign in signs):
            sys.exit(sentence)
    sys.exit(f"The packages can't be installed. What pip said:\n{said[-2000:]}")


if __name__ == "__main__":
    main(sys.argv[1])
