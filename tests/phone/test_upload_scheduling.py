"""Test how the phone measures its connection, and how it then chooses part sizes and the number of parallel uploads."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from mobile_contract.phone.outbox.outbox import Outbox
from mobile_contract.phone.upload.bandwidth import CUTS, Bandwidth
from mobile_contract.phone.upload.concurrency import UploadConcurrency
from schema.media.uploads import MAX_PART_BYTES, MIN_PART_BYTES
from tests.support.network_faults import NetworkFault
from tests.support.phone_cli import KIB, MIB, Terminal, photo
from tests.support.running_product import RunningProduct

GIB = 1024 * MIB


def test_part_sizes_span_the_limits_of_the_contract() -> None:
    assert (CUTS[0], CUTS[-1]) == (MIN_PART_BYTES, MAX_PART_BYTES)
    assert list(CUTS) == sorted(CUTS)


@pytest.mark.parametrize(
    ("rate", "losses", "size", "at_once", "part"),
    [
        (None, 0.0, GIB, 2, 5 * MIB),
        (20 * KIB, 0.0, GIB, 1, 5 * MIB),
        (170 * KIB, 0.0, GIB, 1, 5 * MIB),
        (350 * KIB, 0.0, GIB, 2, 5 * MIB),
        (1 * MIB, 0.0, GIB, 4, 5 * MIB),
        (2 * MIB, 0.0, GIB, 4, 8 * MIB),
        (4 * MIB, 0.0, GIB, 4, 16 * MIB),
        (100 * MIB, 0.0, GIB, 4, 64 * MIB),
        (100 * MIB, 0.0, 40 * MIB, 4, 8 * MIB),
        (100 * MIB, 0.0, 9 * MIB, 4, 5 * MIB),
        (2 * MIB, 0.2, GIB, 3, 8 * MIB),
        (2 * MIB, 0.3, GIB, 2, 16 * MIB),
        (2 * MIB, 0.6, GIB, 1, 32 * MIB),
    ],
)
def test_part_size_and_parallel_uploads_follow_bandwidth_and_losses(
    rate: float | None, losses: float, size: int, at_once: int, part: int
) -> None:
    bandwidth = Bandwidth(rate, losses)
    assert (bandwidth.parallel_puts(4), bandwidth.part_bytes(size, 4)) == (at_once, part)
    assert bandwidth.parallel_puts(1) == 1
    assert bandwidth.part_bytes(size, 1) >= part


def test_the_bandwidth_estimate_soon_follows_a_changed_connection() -> None:
    bandwidth = Bandwidth().after_put(5 * MIB, 1.0, 0)
    assert bandwidth.bytes_per_second == pytest.approx(5 * MIB)
    for _ in range(3):
        bandwidth = bandwidth.after_put(5 * MIB, 100.0, 0)
    assert (bandwidth.bytes_per_second or 0) < MIB
    for _ in range(4):
        bandwidth = bandwidth.after_put(5 * MIB, 1.0, 0)
    assert (bandwidth.bytes_per_second or 0) > 3 * MIB
    assert bandwidth.after_put(20 * KIB, 0.1, 0).bytes_per_second == pytest.approx(bandwidth.bytes_per_second, rel=0.05)
    assert Bandwidth().after_put(5 * MIB, 2.0, 3).bytes_per_second == pytest.approx(10 * MIB), (
        "it carried those beside it, too"
    )
    large = Bandwidth(100.0 * MIB).part_bytes(GIB, 4)
    breaking = Bandwidth(100.0 * MIB)
    for _ in range(8):
        breaking = breaking.after_break()
    assert (large, breaking.part_bytes(GIB, 4), breaking.parallel_puts(4)) == (64 * MIB, 5 * MIB, 1)
    for _ in range(8):
        breaking = breaking.after_small_put()
    assert breaking.parallel_puts(4) == 2, "what came through takes the losses back, and says nothing of the speed"
    assert Bandwidth().after_break().bytes_per_second is None


async def test_the_number_of_parallel_uploads_follows_the_connection(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", bytes(32))

    async def most_at_once(concurrency: UploadConcurrency) -> int:
        under_way: list[int] = []
        seen = []

        async def go() -> None:
            async with concurrency.acquire():
                under_way.append(1)
                seen.append(len(under_way))
                await asyncio.sleep(0)
                under_way.pop()

        await asyncio.gather(*(go() for _ in range(9)))
        return max(seen)

    concurrency = UploadConcurrency(outbox, 4)
    assert await most_at_once(concurrency) == 2
    async with concurrency.acquire():
        concurrency.record_success(5 * MIB, concurrency.start_put())
    assert await most_at_once(concurrency) == 4
    concurrency.save()
    assert UploadConcurrency(outbox, 4).bandwidth == concurrency.bandwidth
    assert await most_at_once(UploadConcurrency(outbox, 3)) == 3
    for _ in range(6):
        concurrency.record_break()
    assert await most_at_once(concurrency) == 1
    outbox.close()


def sizes(served: RunningProduct) -> list[int]:
    """Return the sizes of the stored parts, in the order of their numbers."""
    found = {each.name: each.body_bytes for each in served.objects.requests if each.was_stored}
    return [found[f"PUT {number}"] for number in range(1, len(found) + 1)]


def test_a_slow_connection_gets_small_parts_and_a_fast_one_large_parts(
    terminal: Terminal, served: RunningProduct, tmp_path: Path
) -> None:
    """After a restart, the phone still knows that the connection was slow. Later the connection becomes fast."""
    served.objects.delay_seconds, served.objects.choose_fault = 4.0, lambda _: NetworkFault.LATE
    terminal.do("take", photo(tmp_path, "slow.jpg", MIB))
    terminal.do("send", "--at-once", "1")
    served.calm()
    terminal.do("take", photo(tmp_path, "large.jpg", 33 * MIB))
    served.objects.choose_fault = lambda name: NetworkFault.LOSE if name == "PUT 4" else NetworkFault.PASS
    assert terminal.run("send", "--at-once", "1") == 3
    served.objects.choose_fault = lambda _: NetworkFault.PASS
    terminal.do("send", "--at-once", "1")
    asked = [each["input"]["media"] for each in served.server.inputs("RequestUploads")]
    assert [medium["partBytes"] for [medium] in asked] == [5 * MIB, 5 * MIB, None]
    assert sizes(served)[:6] == 6 * [5 * MIB], "begun so, it goes on so, though the line is good by now"
    assert set(Counter(each.name for each in served.objects.requests if each.was_stored).values()) == {1}
    served.calm()
    terminal.do("take", photo(tmp_path, "large too.jpg", 33 * MIB))
    terminal.do("send", "--at-once", "1", "--wait")
    assert sizes(served)[:4] == 4 * [8 * MIB]
    assert terminal.states() == 3 * [("ACCEPTED", ["READY"])]
