"""Ties a child process to its parent: when the parent dies, however it dies, the kernel kills the child.

Run as a program it does so and becomes the command it is given; starting and watching is left to `supervision`.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask for SIGKILL at the death of `parent` (a process id); die at once where it is dead already.

    Linux only; elsewhere a child notices a dead parent by other means or not at all. The kernel watches the *thread*
    that forked, so a parent must start its children from a thread that lives as long as it does. The wish does not
    pass on to grandchildren: a process that starts children of its own calls this in each of them.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the wish was heard
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """`leash.py PARENT COMMAND...`: what the command creates is for its owner only."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    os.umask(0o077)
    die_with_parent(parent)
    try:
        os.execvp(command[0], command)  # noqa: S606  no shell is wanted
    except OSError as error:
        sys.exit(f"{command[0]} can't be started: {error.strerror}")


if __name__ == "__main__":
    main()
