"""Print what was measured as a table, with ratios to the limit and to other servers, and as JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from scripts.benchmarks.api_speed.measurement import Extent, Figures
from scripts.benchmarks.api_speed.processes import LIMIT, PRODUCT
from scripts.benchmarks.api_speed.workloads import Workload

PARSE_SERVER: Mapping[str, float] = {"W1": 232, "W2": 90, "W3": 86, "W4": 242}
MERCURIUS: Mapping[str, float] = {"W1": 641, "W2": 246, "W3": 222, "W4": 565}
"""Requests a second of Parse Server (tuned) and of Mercurius with MongoDB's driver and DataLoader.

They were measured once, at scale 1, on two quiet cores of 2026 with the same fields and the same mongod: issue 10 of
2026-11-30 has the table. On another machine they only tell the order of magnitude.
"""
HEAD = (
    f"{'':8}{'req/s':>8}{'p50 ms':>8}{'p99 ms':>8}{'CPU ms':>8}{'mongod':>8}{'MiB':>6}{'commands':>9}{'keys':>8}"
    f"{'docs':>7}{'KiB':>6}{'x limit':>9}{'x Merc.':>9}{'x Parse':>9}"
)


def text(figures: Sequence[Figures], workloads: Sequence[Workload]) -> str:
    """Return a table for each driver.

    CPU is milliseconds of the server's processor for a request, and `mongod` the database's. `keys` and `docs` are what
    the database examines for each record that the list returns. `x limit` is the server's CPU by that of the limit, and
    the last two are requests a second by those of other servers.
    """
    lines = []
    for driver in dict.fromkeys(each.driver for each in figures):
        lines += [f"driver {driver}", HEAD]
        for workload in workloads:
            own = [each for each in figures if (each.driver, each.workload) == (driver, workload.name)]
            lines += [_line(each, workload, _of(own, LIMIT)) for each in own]
    lines += [f"{workload.name} is: {workload.title}" for workload in workloads]
    return "\n".join(lines)


def _of(figures: Iterable[Figures], target: str) -> Figures | None:
    return next((each for each in figures if each.target == target), None)


def _line(own: Figures, workload: Workload, limit: Figures | None) -> str:
    is_product = own.target == PRODUCT
    examined = own.examined(workload.collection)
    ratios = [
        own.cpu_ms / limit.cpu_ms if limit and limit.cpu_ms and is_product else None,
        *(
            own.rate / peer[own.workload] if is_product and own.workload in peer else None
            for peer in (MERCURIUS, PARSE_SERVER)
        ),
    ]
    return (
        f"{own.workload if is_product else '  limit':8}{own.rate:>8.0f}{own.percentile(0.5):>8.1f}"
        f"{own.percentile(0.99):>8.1f}{own.cpu_ms:>8.2f}{own.database_cpu_ms:>8.2f}{own.resident_mib:>6}"
        f"{own.command_count:>9.1f}{_number(examined and examined[0], 8, 1)}{_number(examined and examined[1], 7, 1)}"
        f"{own.reply_bytes / 1024:>6.1f}" + "".join(_number(ratio, 9, 2) for ratio in ratios)
    )


def _number(value: float | None, width: int, decimals: int) -> str:
    return f"{'' if value is None else f'{value:.{decimals}f}':>{width}}"


def commands_text(figures: Sequence[Figures]) -> str:
    """Return the commands of each request of the product, with what they examine and the indexes that they use."""
    lines = []
    for own in figures:
        if own.target == PRODUCT:
            lines.append(f"{own.workload}, {own.driver}: {own.command_count:.1f} commands a request")
            lines += [cost.line() for cost in own.commands]
    return "\n".join(lines)


def as_json(figures: Sequence[Figures], observations: int, extent: Extent) -> dict[str, Any]:
    """Return all figures, without the time of each request."""
    return {
        "observations": observations,
        "extent": asdict(extent),
        "peers": {"parseServer": dict(PARSE_SERVER), "mercurius": dict(MERCURIUS)},
        "figures": [
            {
                "workload": own.workload,
                "target": own.target,
                "driver": own.driver,
                "requests": own.requests,
                "requestsASecond": round(own.rate, 1),
                "p50Milliseconds": round(own.percentile(0.5), 2),
                "p99Milliseconds": round(own.percentile(0.99), 2),
                "cpuMilliseconds": round(own.cpu_ms, 3),
                "databaseCpuMilliseconds": round(own.database_cpu_ms, 3),
                "residentMib": own.resident_mib,
                "replyBytes": own.reply_bytes,
                "commands": [asdict(cost) for cost in own.commands],
            }
            for own in figures
        ],
    }


def soak_text(driver: str, requests: int, sizes: Sequence[int]) -> str:
    """Return how the memory of the API process grew over that many requests."""
    half = sizes[len(sizes) // 2 :]
    return (
        f"driver {driver}: resident MiB over {requests:,} requests: {', '.join(map(str, sizes))}\n"
        f"over the second half: {half[-1] - half[0]:+} MiB"
    )
