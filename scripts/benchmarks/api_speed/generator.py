"""Send requests in a closed loop, from a process of its own: `python -m scripts.benchmarks.api_speed.generator`.

Each connection sends its next request as soon as the reply to the previous one is there. Requests are sent as bytes
that were encoded before, and replies are searched but not parsed, so that this process is no bottleneck.
It reads a job as a line of JSON, and writes the result as a line of JSON.
"""

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvloop

ROOT = Path(__file__).resolve().parents[3]
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Job:
    """A run: send the requests of `file` in turn to `path`, until `seconds` or `requests` are over, if not 0.

    Requests contain `counter` where a number of its length belongs that differs in each request. Every right reply has
    status 200 and contains `proof`.
    """

    host: str
    port: int
    path: str
    file: str
    connections: int
    seconds: float
    requests: int
    counter: str
    proof: str


@dataclass(frozen=True)
class Result:
    """What a run did: the requests with right replies, how long it took, and the milliseconds of each request.

    `fault` is the beginning of the first wrong reply, or None.
    """

    count: int
    seconds: float
    milliseconds: Sequence[float]
    reply_bytes: int
    fault: str | None


class _Run:
    def __init__(self, job: Job) -> None:
        self.job = job
        self._requests = read_requests(Path(job.file))
        self._line = f"POST {job.path} HTTP/1.1\r\n".encode()
        self._counter, self.proof = job.counter.encode(), job.proof.encode()
        # Numbers of other runs are never used again: a thousandth of a millisecond has passed for each.
        self._number = time.time_ns() // 1_000_000 * 100
        self._taken = 0
        self.milliseconds: list[float] = []
        self.reply_bytes = 0
        self.fault: str | None = None
        self.began = time.perf_counter()

    def next_request(self) -> bytes | None:
        """Return the next request, or None at the end of the run."""
        job = self.job
        if self.fault or (job.requests and self._taken >= job.requests):
            return None
        if job.seconds and time.perf_counter() - self.began >= job.seconds:
            return None
        request = self._requests[self._taken % len(self._requests)]
        self._taken += 1
        if self._counter in request:
            self._number += 1
            request = request.replace(self._counter, b"%012x" % self._number)
        return self._line + request


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run, done: "asyncio.Future[None]") -> None:
        self._run, self._done = run, done
        self._reply, self._wanted, self._sent_at = b"", 0, 0.0
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        request = self._run.next_request()
        if request is None:
            self._end()
            return
        self._reply, self._wanted = b"", 0
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._reply = reply = self._reply + data if self._reply else data
        if not self._wanted:
            head = reply.find(b"\r\n\r\n")
            if head < 0:
                return
            length = LENGTH.search(reply, 0, head + 2)
            self._wanted = head + 4 + (int(length[1]) if length else 0)
        if len(reply) < self._wanted:
            return
        self._run.milliseconds.append((time.perf_counter() - self._sent_at) * 1000)
        self._run.reply_bytes += len(reply)
        if not reply.startswith(b"HTTP/1.1 200") or self._run.proof not in reply or b'"errors":' in reply:
            self._run.fault = self._run.fault or reply[:2_000].decode(errors="replace")
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._run.fault = self._run.fault or f"The connection was lost: {error}"
            self._end()

    def _end(self) -> None:
        if not self._done.done():
            self._done.set_result(None)
        self._transport.close()


async def send(job: Job) -> Result:
    """Run the job."""
    run, loop = _Run(job), asyncio.get_running_loop()
    ends = [loop.create_future() for _ in range(job.connections)]
    run.began = time.perf_counter()
    for end in ends:
        await loop.create_connection(lambda end=end: _Connection(run, end), job.host, job.port)  # type: ignore[misc]
    limit = None if job.requests else job.seconds + PATIENCE_SECONDS
    _, late = await asyncio.wait(ends, timeout=limit)
    fault = run.fault or (f"{len(late)} connections got no reply." if late else None)
    seconds = time.perf_counter() - run.began
    return Result(len(run.milliseconds), seconds, run.milliseconds, run.reply_bytes, fault)


def write_requests(file: Path, requests: Sequence[bytes]) -> None:
    """Write requests to a file, each after its length in 4 bytes."""
    file.write_bytes(b"".join(len(request).to_bytes(4, "big") + request for request in requests))


def read_requests(file: Path) -> list[bytes]:
    content, at, found = file.read_bytes(), 0, []
    while at < len(content):
        end = at + 4 + int.from_bytes(content[at : at + 4], "big")
        found.append(content[at + 4 : end])
        at = end
    return found


class Generator:
    """The process that sends requests."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "scripts.benchmarks.api_speed.generator"],
            env={"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, job: Job) -> Result:
        assert self._process.stdin  # noqa: S101  both are pipes
        assert self._process.stdout  # noqa: S101
        self._process.stdin.write(json.dumps(asdict(job)) + "\n")
        self._process.stdin.flush()
        return Result(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate(timeout=10)


@contextlib.contextmanager
def generator() -> Iterator[Generator]:
    made = Generator()
    try:
        yield made
    finally:
        made.close()


def _serve() -> None:
    for line in sys.stdin:
        print(json.dumps(asdict(uvloop.run(send(Job(**json.loads(line)))))), flush=True)


if __name__ == "__main__":
    _serve()
