"""Lines: how fast this phone's line has been and how often it broke, and what follows for the size and number of parts.

Nothing is measured here, and nothing kept: that is `traffic`'s.
"""

from dataclasses import dataclass, replace

MIB = 2**20
CUTS = tuple(size * MIB for size in (5, 8, 16, 32, 64))
"""Sizes of parts, the least and the largest by the contract; few, so that an upload is not cut anew for a trifle."""
SECONDS_A_PART = 20.0
"""What a break costs at most, once parts are cut by the line."""
SECONDS_A_LEAST_PART = 30.0
"""A line that takes longer than this for a least part is not shared between two."""
MIN_PARTS = 4
"""Into fewer parts no upload is cut because of a good line alone: several go at once, and lines turn bad."""
UNKNOWN_AT_ONCE = 2
TELLING_SECONDS = 5.0
"""A PUT that took so long counts in full, however small it was."""
LOSSES = ((0.5, 1), (0.25, 2), (0.125, 3))
"""Where so much of what was put lately broke, no more than so many go at once."""


@dataclass(frozen=True)
class Bandwidth:
    """`bytes_per_second` is what the whole line bore lately, None before anything was put; `losses` the share that broke."""

    bytes_per_second: float | None = None
    losses: float = 0.0

    def after_put(self, byte_size: int, seconds: float, beside: float) -> "Bandwidth":
        """After a PUT that got through, with so many others under way beside it: as much again crossed the line for each."""
        found = byte_size / max(seconds, 0.001) * (1 + beside)
        # A small one that was soon done tells little of the line: its time is that of the way there and back.
        weight = 0.5 * min(1.0, max(byte_size / CUTS[0], seconds / TELLING_SECONDS))
        known = found if self.bytes_per_second is None else self.bytes_per_second
        # Lines differ by orders of magnitude: between Wi-Fi and a far mast the mean is the geometric one.
        return replace(self.after_small_put(), bytes_per_second=known ** (1 - weight) * found**weight)

    def after_small_put(self) -> "Bandwidth":
        """After a PUT that got through and told no more than that."""
        return replace(self, losses=0.75 * self.losses)

    def after_break(self) -> "Bandwidth":
        """After a PUT that broke on its way: what it sent came to nothing."""
        known = None if self.bytes_per_second is None else self.bytes_per_second / 2
        return replace(self, bytes_per_second=known, losses=0.75 * self.losses + 0.25)

    def parallel_puts(self, most: int) -> int:
        """How many parts go up at once, 1 to `most`."""
        borne = next((count for share, count in LOSSES if self.losses >= share), most)
        lanes = UNKNOWN_AT_ONCE
        if self.bytes_per_second is not None:
            lanes = int(self.bytes_per_second * SECONDS_A_LEAST_PART / CUTS[0])
        return max(1, min(lanes, borne, most))

    def part_bytes(self, byte_size: int, most: int) -> int:
        """Into parts of how many bytes a file of that size is cut: the least on a line that is not known."""
        each = (self.bytes_per_second or 0.0) / self.parallel_puts(most)
        wished = min(each * SECONDS_A_PART, byte_size / MIN_PARTS)
        return max((cut for cut in CUTS if cut <= wished), default=CUTS[0])
