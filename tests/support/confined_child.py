"""Confine this process on a kernel that lacks some system calls: `python -m tests.support.confined_child JOB`.

JOB is a JSON object: `lacking` names the missing system calls, `user` is the account to become first (or null), and
`targets` are what to try. The file to read comes on stdin. The process prints what it could do before and after.
"""

import json
import os
import sys
import sysconfig
import threading
from dataclasses import asdict

from storage.formats.media_sources import InheritedFile
from storage.processes import privileges, seccomp, system_calls
from storage.processes.confinement import confine
from tests.support.prowler import prowl

PR_SET_DUMPABLE = 4
NUMBERS = {"landlock": (444, 444), "unshare": (272, 97), "seccomp": (317, 277)}


def main() -> None:
    job = json.loads(sys.argv[1])
    sysconfig.get_config_vars()  # another account may not be able to read our interpreter later
    if job["user"] is not None:
        os.setgroups([])
        os.setresgid(job["user"], job["user"], job["user"])
        os.setresuid(job["user"], job["user"], job["user"])
        system_calls.control(PR_SET_DUMPABLE, 1)  # as a process is that has never been root
    before = prowl(job["targets"])
    privileges.forbid_new_privileges()
    for name in job["lacking"]:
        seccomp.install(seccomp.refusing(NUMBERS[name][0 if system_calls.machine() == "x86_64" else 1]))
    confinement = confine(["storage", "schema", "tests"], parent=os.getppid())
    after = prowl(job["targets"])
    said: list[str] = []
    thread = threading.Thread(target=lambda: said.append(InheritedFile(0).read_bytes().decode()))
    thread.start()
    thread.join()
    print(json.dumps({"confinement": asdict(confinement), "before": before, "after": after, "read": said}))


if __name__ == "__main__":
    main()
