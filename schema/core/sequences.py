"""Remember which sequence numbers of a device are stored, so that only the others are looked for (流水号)."""

from dataclasses import dataclass

WINDOW = 1_000
"""How many of a device's last sequence numbers are searched for gaps."""
MAX_MISSING = 100
"""How many missing numbers are remembered. The account holds them, and every request reads the account."""


@dataclass(frozen=True)
class KnownSequences:
    """The last `WINDOW` numbers up to `last` are stored, except those in `missing`.

    An observation is never deleted, so this stays true, but for numbers of `missing` that are stored later.
    """

    last: int
    missing: tuple[int, ...] = ()

    def unknown(self, last: int) -> list[int]:
        """Return those of the last `WINDOW` numbers up to `last` that may be missing, sorted."""
        first, known_from = first_of(last), self.last - WINDOW + 1
        return [
            *range(first, min(known_from, last + 1)),
            *(number for number in self.missing if first <= number <= last),
            *range(max(self.last + 1, first), last + 1),
        ]

    def successor(self, last: int, missing: tuple[int, ...]) -> "KnownSequences | None":
        """Return what to remember after a search up to `last`, or None if it says no more or is too long."""
        found = KnownSequences(last, missing)
        return found if last >= self.last and len(missing) <= MAX_MISSING and found != self else None


NO_SEQUENCES = KnownSequences(0)


def first_of(last: int) -> int:
    """Return the first of the last `WINDOW` numbers up to `last`."""
    return max(last - WINDOW + 1, 1)
