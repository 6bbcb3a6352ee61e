"""Estimate the connection's speed and losses, and derive the part size and the number of parallel uploads."""

from dataclasses import dataclass, replace

MIB = 2**20
CUTS = tuple(size * MIB for size in (5, 8, 16, 32, 64))
"""Part sizes in bytes, from the contract's minimum to its maximum.

There are only a few sizes, so that a slightly different estimate doesn't change the division of an upload.
"""
SECONDS_A_PART = 20.0
"""Target upload time of one part. A broken connection loses about this much upload time at most."""
SECONDS_A_LEAST_PART = 30.0
"""Parallel uploads must each send a part of the smallest size within this time. Otherwise fewer run in parallel."""
MIN_PARTS = 4
"""However fast the connection is, a file has this many parts if they are large enough for the contract.

Parts upload in parallel, and the connection may get worse.
"""
UNKNOWN_AT_ONCE = 2
TELLING_SECONDS = 5.0
"""A PUT that took at least this long has full weight in the estimate, even if it was small."""
LOSSES = ((0.5, 1), (0.25, 2), (0.125, 3))
"""Pairs of a share of broken PUTs, and the maximum number of parallel uploads at this share or above."""


@dataclass(frozen=True)
class Bandwidth:
    """The recent speed of the whole connection, and the share of recent PUTs that broke (`losses`).

    `bytes_per_second` is None before the first PUT that was large enough to measure.
    """

    bytes_per_second: float | None = None
    losses: float = 0.0

    def after_put(self, byte_size: int, seconds: float, beside: float) -> "Bandwidth":
        """Return the estimate after a successful PUT. Assume that `beside` parallel PUTs were as fast as this PUT."""
        measured = byte_size / max(seconds, 0.001) * (1 + beside)
        # A small and fast PUT says little about the bandwidth: it mostly measures the round trip.
        weight = 0.5 * min(1.0, max(byte_size / CUTS[0], seconds / TELLING_SECONDS))
        known = measured if self.bytes_per_second is None else self.bytes_per_second
        # Bandwidths differ by orders of magnitude, as between Wi-Fi and a far mast, so use the geometric mean.
        return replace(self.after_small_put(), bytes_per_second=known ** (1 - weight) * measured**weight)

    def after_small_put(self) -> "Bandwidth":
        """Return the estimate after a PUT that succeeded but was too small to measure."""
        return replace(self, losses=0.75 * self.losses)

    def after_break(self) -> "Bandwidth":
        """Return the estimate after a PUT broke and its bytes were lost."""
        known = None if self.bytes_per_second is None else self.bytes_per_second / 2
        return replace(self, bytes_per_second=known, losses=0.75 * self.losses + 0.25)

    def parallel_puts(self, most: int) -> int:
        """Return how many parts to upload at once, from 1 to `most`."""
        borne = next((count for share, count in LOSSES if self.losses >= share), most)
        lanes = UNKNOWN_AT_ONCE
        if self.bytes_per_second is not None:
            lanes = int(self.bytes_per_second * SECONDS_A_LEAST_PART / CUTS[0])
        return max(1, min(lanes, borne, most))

    def part_bytes(self, byte_size: int, most: int) -> int:
        """Return the part size for a file of `byte_size` bytes, or the smallest size if the bandwidth is unknown."""
        share = (self.bytes_per_second or 0.0) / self.parallel_puts(most)
        wished = min(share * SECONDS_A_PART, byte_size / MIN_PARTS)
        return max((cut for cut in CUTS if cut <= wished), default=CUTS[0])
