"""Choose the next media to upload. Never upload two media with equal bytes at the same time.

Once the server has the bytes, it accepts other media with these bytes without an upload (clause U10 of the protocol).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mobile_contract.phone.outbox.items import UNDELIVERED, Medium, MediumState

DELIVERED = frozenset({MediumState.CONFIRMED, MediumState.READY})
LINE = "UNREACHABLE"
"""The code of a connection error. Such an error says nothing about the medium."""


@dataclass(frozen=True)
class UploadBatch:
    """`first` are media whose bytes the server lacks. The server has the bytes of `twins` under another id."""

    first: list[Medium]
    twins: list[Medium]

    def __bool__(self) -> bool:
        return bool(self.first or self.twins)


def next_batch(media: Sequence[Medium], tried: Collection[str]) -> UploadBatch:
    """Choose the waiting media that are not in `tried`.

    Of media with equal bytes, choose one. The other media wait until the server has these bytes.
    If the chosen medium is refused or has an error of its own, the next call prefers another medium with these bytes.
    """
    by_content: dict[tuple[str, int], list[Medium]] = {}
    for medium in media:
        by_content.setdefault((medium.sha256, medium.byte_size), []).append(medium)
    first, twins = [], []
    for equal_media in by_content.values():
        undelivered = [medium for medium in equal_media if medium.state in UNDELIVERED]
        if any(medium.state in DELIVERED for medium in equal_media):
            twins += [
                medium for medium in undelivered if medium.state is MediumState.WAITING and medium.id not in tried
            ]
        elif undelivered:
            leader = min(undelivered, key=_standing)  # of equals, the first one taken
            first += [leader] if leader.state is MediumState.WAITING and leader.id not in tried else []
    return UploadBatch(first, twins)


def _standing(medium: Medium) -> tuple[bool, int, bool]:
    """Put media first that the store may have, then media with few rejections, then media without an error."""
    is_troubled = medium.trouble is not None and medium.trouble["code"] != LINE
    return medium.state is MediumState.WAITING, medium.rejections, is_troubled
