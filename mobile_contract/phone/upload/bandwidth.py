"""Estimate the connection's speed and losses, and derive the size and number of upload parts from them."""

from dataclasses import dataclass, replace

MIB = 2**20
CUTS = tuple(size * MIB for size in (5, 8, 16, 32, 64))
"""Part sizes, from the contract's minimum to its maximum. They are few, so that small changes don't split an upload again."""
SECONDS_A_PART = 20.0
"""The most upload time that a break can waste, once parts are sized by the bandwidth."""
SECONDS_A_LEAST_PART = 30.0
"""If a smallest part takes longer than this, two uploads don't share the connection."""
MIN_PARTS = 4
"""A fast connection alone never leads to fewer parts: several go at once, and connections get worse."""
UNKNOWN_AT_ONCE = 2
TELLING_SECONDS = 5.0
"""A PUT that took this long counts fully, even if it was small."""
LOSSES = ((0.5, 1), (0.25, 2), (0.125, 3))
"""The share of recent bytes that were lost, and the number of parallel uploads that it allows."""


@dataclass(frozen=True)
class Bandwidth:
    """The recent speed of the whole connection, None before the first PUT, and the share of PUTs that broke."""

    bytes_per_second: float | None = None
    losses: float = 0.0

    def after_put(self, byte_size: int, seconds: float, beside: float) -> "Bandwidth":
        """Update after a PUT succeeded with `beside` others in parallel. Each of them carried as many bytes."""
        measured = byte_size / max(seconds, 0.001) * (1 + beside)
        # A small and fast PUT says little about the bandwidth: it mostly measures the round trip.
        weight = 0.5 * min(1.0, max(byte_size / CUTS[0], seconds / TELLING_SECONDS))
        known = measured if self.bytes_per_second is None else self.bytes_per_second
        # Bandwidths differ by orders of magnitude, as between Wi-Fi and a far mast, so use the geometric mean.
        return replace(self.after_small_put(), bytes_per_second=known ** (1 - weight) * measured**weight)

    def after_small_put(self) -> "Bandwidth":
        """Update after a PUT that succeeded but was too small to measure."""
        return replace(self, losses=0.75 * self.losses)

    def after_break(self) -> "Bandwidth":
        """Update after a PUT broke: its bytes are lost."""
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
        """Return the part size for a file of that size: the smallest if the bandwidth is unknown."""
        share = (self.bytes_per_second or 0.0) / self.parallel_puts(most)
        wished = min(share * SECONDS_A_PART, byte_size / MIN_PARTS)
        return max((cut for cut in CUTS if cut <= wished), default=CUTS[0])
