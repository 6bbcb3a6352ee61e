"""Keep the metrics of a process in files that all processes of a machine share.

Prometheus's client maps these files into memory. If a process writes to a mapped page for which the file system has no
space, the kernel ends the process by SIGBUS. So the space is taken before the files are mapped.
"""

import functools
import os
from pathlib import Path

from prometheus_client import values

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
NAME = "MINGCHA_PROCESS_NAME"
"""The environment variable with a name for this process that no other running process has.

A process that is started again goes on with the counts of the ended process of this name, so that sums never shrink.
"""
FILE_BYTES = 512 * 1024
"""More than all metrics with all their labels take (some 200 KiB), so that the client never enlarges a file."""
_COUNTS, _GAUGES = ("counter", "histogram"), ("gauge_livesum",)


@functools.cache
def share_metrics() -> bool:
    """Let the metrics that are made from now on be shared, if `FOLDER` names a folder. Return whether they are.

    If there is no space for the files, this process keeps its metrics to itself.
    """
    if not os.environ.get(FOLDER):
        return False
    folder, name = Path(os.environ[FOLDER]), os.environ.get(NAME) or str(os.getpid())
    try:
        for kind in _GAUGES:
            (folder / f"{kind}_{name}.db").unlink(missing_ok=True)  # what the ended process had under way has ended
        for kind in (*_COUNTS, *_GAUGES):
            _take_space(folder / f"{kind}_{name}.db")
    except OSError:
        values.ValueClass = values.MutexValue
        return False
    values.ValueClass = values.MultiProcessValue(lambda: name)  # type: ignore[no-untyped-call]
    return True


def _take_space(path: Path) -> None:
    """Enlarge a file to `FILE_BYTES`, by bytes that are written: a file without holes has all its space."""
    with open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(bytes(max(FILE_BYTES - file.tell(), 0)))
