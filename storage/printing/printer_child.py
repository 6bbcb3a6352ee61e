"""Print one document in a confined process, which can be killed.

`python -m storage.printing.printer_child PARENT` reads the template's name and its data as JSON from stdin, and writes
the PDF to stdout.
"""

import os
import resource
import sys
from datetime import datetime

import orjson

from storage.processes.confinement import confine

MEMORY_BYTES = 4 * 2**30
"""Most address space. The report of 500 records with 1,000 pictures takes 0.8 GB, of which it uses 0.6."""


def main() -> None:
    confine(("storage",), parent=int(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would contain evidence
    if sys.platform == "linux":  # other kernels don't enforce it
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library's own output must not get into the PDF
    # The typesetter starts threads, and a process with threads can't be confined any more.
    from storage.printing.typesetting import typeset  # noqa: PLC0415

    job = orjson.loads(sys.stdin.buffer.read())
    with output:
        output.write(typeset(job["template"], job["data"], datetime.fromisoformat(job["made_at"])))


if __name__ == "__main__":
    main()
