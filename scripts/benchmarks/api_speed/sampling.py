"""Sample where the API process spends its processor time, by library: `scripts/bench api --profile`.

Started by `python -m scripts.benchmarks.api_speed.sampling --fd N` with the product's settings, it serves the product. At
the signal SIGUSR1 it prints the samples since the last signal as a line of JSON.
"""

import argparse
import json
import signal
import socket
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

INTERVAL_SECONDS = 0.001
ROOT = Path(__file__).resolve().parents[3]
INSTALLED = "/site-packages/"
NAMES = {"graphql": "graphql-core", "pymongo": "driver", "motor": "driver", "gridfs": "driver"}
OTHER = "standard library and event loop"


def library_of(file: str) -> str | None:
    """Return the library of a source file: `api`, `schema`, `storage`, or a package. Return None if it is neither.

    Generated code has no file. It counts as its caller's.
    """
    if INSTALLED in file:
        package = file.partition(INSTALLED)[2].partition("/")[0].removesuffix(".py")
        return NAMES.get(package, package)
    if file.startswith(f"{ROOT}/") and not file.startswith(f"{ROOT}/scripts/"):
        return file[len(str(ROOT)) + 1 :].partition("/")[0]
    return None


class Sampler:
    """Counts in which library the main thread is, once for each millisecond of processor time.

    The time that other threads use is counted where the main thread is. So Motor, which works in threads, is seen less
    well than PyMongo's own client.
    """

    def __init__(self) -> None:
        self.samples = Counter[str]()

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_SECONDS, INTERVAL_SECONDS)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, signal.SIG_IGN)

    def take(self) -> dict[str, int]:
        """Return the samples so far by library, and forget them."""
        taken, self.samples = self.samples, Counter()
        return dict(taken)

    def _sample(self, _: int, frame: FrameType | None) -> None:
        while frame is not None:
            if library := library_of(frame.f_code.co_filename):
                self.samples[library] += 1
                return
            frame = frame.f_back
        self.samples[OTHER] += 1


def shares_text(samples: Mapping[str, Mapping[str, int]]) -> str:
    """Return a table of the share of each library in percent, with a column for each workload."""
    totals = {workload: max(sum(counts.values()), 1) for workload, counts in samples.items()}
    shares = {
        library: [counts.get(library, 0) * 100 / totals[workload] for workload, counts in samples.items()]
        for library in {library for counts in samples.values() for library in counts}
    }
    shown = sorted((library for library in shares if max(shares[library]) >= 1), key=lambda one: -sum(shares[one]))
    head = f"{'percent':32}" + "".join(f"{workload:>8}" for workload in samples)
    return "\n".join([head, *(f"{one:32}" + "".join(f"{share:>8.0f}" for share in shares[one]) for one in shown)])


def main() -> None:
    # Only this process needs the product, so the command that prints the table starts without it.
    import uvicorn  # noqa: PLC0415

    from api.server.app import create_app  # noqa: PLC0415
    from api.settings import Settings  # noqa: PLC0415

    parser = argparse.ArgumentParser(description="Serve the product, and sample where its time goes.")
    parser.add_argument("--fd", type=int, required=True, help="descriptor of the listening socket")
    listener, sampler = socket.socket(fileno=parser.parse_args().fd), Sampler()

    def tell(_: int, __: Any) -> None:
        sys.stdout.write(json.dumps(sampler.take()) + "\n")
        sys.stdout.flush()

    signal.signal(signal.SIGUSR1, tell)
    app = create_app(Settings.from_environment())
    sampler.start()
    config = uvicorn.Config(app, loop="uvloop", http="httptools", access_log=False, log_config=None)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
