"""Make .venv and install the packages of one lock file into it.

Only one process installs at a time. If an installation was killed, the next run starts it again from the beginning.
`scripts/setup` runs this file with the Python that it has found, before any package is installed. So this file imports
only the standard library.
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

# Parts of pip's output, and what to tell the user.
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
        "A package is not the one that was locked: don't trust the index, or the way to it.",
    ),
    (
        ("No matching distribution",),
        "The package index has no build of a package for this Python and system: try another Python from 3.11 on.",
    ),
)


def main(lock_name: str) -> None:
    lock, installed = SCRIPTS / lock_name, VENV / lock_name
    lock_file = os.open(SCRIPTS, os.O_RDONLY)
    fcntl.flock(lock_file, fcntl.LOCK_EX)  # the kernel releases it, even if this process is killed
    if installed.exists() and installed.read_bytes() == lock.read_bytes() and _works():
        return
    started = VENV / "begun"
    try:
        if started.exists() or not _works():
            shutil.rmtree(VENV, ignore_errors=True)
            venv.create(VENV, with_pip=True, symlinks=True)
        started.touch()
        for former in VENV.glob("requirements*.txt"):
            former.unlink()
        print(f"Installing the packages of scripts/{lock_name} into .venv, a minute or two ...", file=sys.stderr)
        _install(lock)
        shutil.copyfile(lock, installed)
        started.unlink()
    except OSError as error:
        sys.exit(f"{error.filename or VENV} can't be written: {error.strerror}.")
    except subprocess.CalledProcessError as error:  # ensurepip
        output = (error.output or b"").decode(errors="replace").strip().splitlines()
        sys.exit(f"{sys.executable} can't make {VENV}: {output[-1] if output else error}")


def _works() -> bool:
    """Whether .venv has a Python that runs and is new enough.

    The Python that .venv was made from may have been removed.
    """
    check = "import sys; sys.exit(sys.version_info < (3, 11))"
    try:
        return subprocess.run([VENV / "bin" / "python", "-c", check], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def _install(lock: Path) -> None:
    # --no-deps: the lock is complete, and omits on purpose dependencies that we don't use.
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--require-hashes", "--no-deps", "-r", str(lock)]
    quietly = ["--quiet", "--no-input", "--disable-pip-version-check", "--retries=2"]
    done = subprocess.run([*pip, *quietly], check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode == 0:
        return
    output = done.stdout.decode(errors="replace")
    for phrases, sentence in CAUSES:
        if any(phrase in output for phrase in phrases):
            sys.exit(sentence)
    sys.exit(f"The packages can't be installed. What pip said:\n{output[-2000:]}")


if __name__ == "__main__":
    main(sys.argv[1])
