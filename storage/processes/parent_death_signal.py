"""Let the kernel kill a child process when its parent dies, even if the parent is killed.

Run as a program, this module asks the kernel for this and then executes the given command in the same process.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Let the kernel send SIGKILL to this process when the process with the id `parent` dies.

    If `parent` is dead already, this process kills itself. This works on Linux only and does nothing elsewhere. The
    kernel watches the *thread* that forked this process, so the parent must start its children from a thread that lives
    as long as the parent. Children of this process do not inherit the request: each of them must call this function
    itself.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # the parent died before the request took effect
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Run as `parent_death_signal.py PARENT COMMAND...`. Only the owner can read files that the command creates."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    os.umask(0o077)
    die_with_parent(parent)
    try:
        os.execvp(command[0], command)  # noqa: S606  no shell is wanted
    except OSError as error:
        sys.exit(f"{command[0]} can't be started: {error.strerror}")


if __name__ == "__main__":
    main()
