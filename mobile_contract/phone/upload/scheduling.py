"""Rounds: which media go next, so that the same bytes are under way once, whatever number of media they belong to.

Sending them is left to `uploads`; that the server asks no more for what it has is clause U10 of the protocol.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mobile_contract.phone.outbox.items import UNDELIVERED, Medium, MediumState

DELIVERED = frozenset({MediumState.CONFIRMED, MediumState.READY})
LINE = "UNREACHABLE"
"""Trouble that says nothing of the medium."""


@dataclass(frozen=True)
class UploadBatch:
    """`first` are of bytes that the server has not; `twins` of such as it has under another id: they need only ask."""

    first: list[Medium]
    twins: list[Medium]

    def __bool__(self) -> bool:
        return bool(self.first or self.twins)


def next_batch(media: Sequence[Medium], tried: Collection[str]) -> UploadBatch:
    """What may go now of media that wait and were not tried; of the same bytes one, until the server has them.

    The others are held back while it is under way. Where it is rejected, set aside or in trouble of its own, the next of
    them goes before it.
    """
    alike: dict[tuple[str, int], list[Medium]] = {}
    for each in media:
        alike.setdefault((each.sha256, each.byte_size), []).append(each)
    first, twins = [], []
    for same in alike.values():
        left = [each for each in same if each.state in UNDELIVERED]
        if any(each.state in DELIVERED for each in same):
            twins += [each for each in left if each.state is MediumState.WAITING and each.id not in tried]
        elif left:
            leader = min(left, key=_standing)  # of equals the one that was taken first
            first += [leader] if leader.state is MediumState.WAITING and leader.id not in tried else []
    return UploadBatch(first, twins)


def _standing(medium: Medium) -> tuple[bool, int, bool]:
    """What may be in the store already goes first, then what has failed least."""
    is_troubled = medium.trouble is not None and medium.trouble["code"] != LINE
    return medium.state is MediumState.WAITING, medium.rejections, is_troubled
