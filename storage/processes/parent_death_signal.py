"""Have the kernel kill a child process when its parent dies, however it dies.

Run as a program, this module sets the signal and then becomes the given command.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask for SIGKILL at the death of `parent` (a process id). Die at once if it is dead already.

    Linux only. Elsewhere a child notices a dead parent by other means or not at all.
    The kernel watches the *thread* that forked, so a parent must start its children from a thread that lives as long as
    it does. Grandchildren do not inherit the request: a process that starts children must call this in each of them.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the request took effect
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Run as `parent_death_signal.py PARENT COMMAND...`. Files that the command creates are for their owner only."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    os.umask(0o077)
    die_with_parent(parent)
    try:
        os.execvp(command[0], command)  # noqa: S606  no shell is wanted
    except OSError as error:
        sys.exit(f"{command[0]} can't be started: {error.strerror}")


if __name__ == "__main__":
    main()
