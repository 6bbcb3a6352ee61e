"""Print the PDF of a report in a confined process, which can be killed.

`python -m api.evidence.report.pdf_child PARENT` reads the report and its pictures as JSON from stdin, and writes the PDF
to stdout.
"""

import base64
import os
import resource
import sys

import orjson

from api.evidence.report.blocks import from_json
from storage.processes.confinement import confine


def main() -> None:
    confine(("api", "schema", "storage"), parent=int(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would contain evidence
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library's own output must not get into the PDF
    # The PDF library starts threads, and a process with threads can't be confined any more.
    from api.evidence.report.pdf import Printer  # noqa: PLC0415

    job = orjson.loads(sys.stdin.buffer.read())
    pictures = {id: base64.b64decode(body) for id, body in job["pictures"].items()}
    with output:
        output.write(Printer(from_json(job["report"]), pictures).pdf())


if __name__ == "__main__":
    main()
