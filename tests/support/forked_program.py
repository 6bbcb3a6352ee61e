"""A program that says what kind of process it is. The tests of the fork server fork it, and execute it."""

import json
import os
import signal
import sys
from pathlib import Path


def main() -> None:
    """Run as `python -P -m tests.support.forked_program COMMAND`."""
    command = sys.argv[1]
    if command == "exit":
        sys.exit(3)
    if command == "fail":
        raise ValueError("it failed")
    if command == "wait":
        print("waiting", flush=True)
        signal.pause()
    descriptor = int(command)
    umask = os.umask(0)
    said = {
        "arguments": sys.argv[1:],
        "environment": {name: value for name, value in os.environ.items() if name.startswith("SAMPLE_")},
        "folder": str(Path.cwd()),
        "passed": os.read(descriptor, 100).decode(),
        "descriptors": sorted(int(each.name) for each in Path("/proc/self/fd").iterdir() if each.exists()),
        "input": str(Path("/proc/self/fd/0").readlink()),
        "umask": umask,
        "leads": os.getsid(0) == os.getpid() == os.getpgid(0),
        "handlers": [str(signal.getsignal(number)).partition(" at ")[0] for number in (1, 2, 13, 15, 17)],
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "encoding": sys.stdout.encoding,
        "command": Path("/proc/self/cmdline").read_text().replace("\0", " ").split(),
        "letters": "明察",
    }
    print(json.dumps(said, ensure_ascii=False))


if __name__ == "__main__":
    main()
