"""Define the outbox's items: observations and media with their states."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mobile_contract.phone.storage.database import DatabaseRow


class ObservationState(StrEnum):
    QUEUED = "QUEUED"  # 待提交
    ACCEPTED = "ACCEPTED"  # 已接收: the phone has the server's receipt
    REFUSED = "REFUSED"  # 被退回: not sent again until a person has looked at it


class MediumState(StrEnum):
    WAITING = "WAITING"  # 待上传
    SENDING = "SENDING"  # 上传中: its bytes may be in the store already
    SENT = "SENT"  # 已上传: its bytes are in the store, but not confirmed to the server
    CONFIRMED = "CONFIRMED"  # 已确认: confirmed to the server, which now verifies the bytes
    READY = "READY"  # 已核验
    REFUSED = "REFUSED"  # 被退回: not sent again until a person has looked at it
    BROKEN = "BROKEN"  # 文件损坏: the copy on the phone was changed


ASIDE = frozenset({MediumState.REFUSED, MediumState.BROKEN})
UNDELIVERED = frozenset({MediumState.WAITING, MediumState.SENDING, MediumState.SENT})


@dataclass(frozen=True)
class Medium:
    """A medium of an observation. `name` is the source file's name, and `file` the name of the encrypted copy.

    `parts`, `parts_arrived` and `bytes_arrived` are 0 unless the upload is divided into parts.
    """

    id: str
    observation_id: str
    file: str
    name: str
    sha256: str
    byte_size: int
    content_type: str
    state: MediumState
    attempts: int
    rejections: int
    refusal: dict[str, Any] | None
    trouble: dict[str, Any] | None
    parts: int
    parts_arrived: int
    bytes_arrived: int

    @classmethod
    def read(cls, row: DatabaseRow) -> "Medium":
        values = {name: row[name] for name in row.keys() if name in cls.__dataclass_fields__}  # noqa: SIM118
        said = {name: _load_json(values[name]) for name in ("refusal", "trouble")}
        return cls(**values | said | {"state": MediumState(row["state"])})

    @property
    def bytes_sent(self) -> int:
        """Return the number of bytes that the store has, as far as the phone knows."""
        is_whole = self.state in {MediumState.SENT, MediumState.CONFIRMED, MediumState.READY}
        return self.byte_size if is_whole else self.bytes_arrived

    @property
    def bytes_verified(self) -> int:
        """Return the number of bytes that the server has read and found correct."""
        return self.byte_size if self.state is MediumState.READY else 0

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state.value,
            "byteSize": self.byte_size,
            "bytesSent": self.bytes_sent,
            "bytesVerified": self.bytes_verified,
            "contentType": self.content_type,
            "sha256": self.sha256,
            "parts": {"total": self.parts, "arrived": self.parts_arrived} if self.parts else None,
            "attempts": self.attempts,
            "refusal": self.refusal,
            "trouble": self.trouble,
        }


@dataclass(frozen=True)
class OutboxObservation:
    """An observation in the outbox. `draft` is sent exactly as it is. `receipt` is None until the server accepts it.

    `refusal` is an error that a person must look at. `trouble` is an error after which the phone tries again.
    """

    id: str
    sequence: int
    state: ObservationState
    draft: dict[str, Any]
    attempts: int
    receipt: dict[str, Any] | None
    refusal: dict[str, Any] | None
    trouble: dict[str, Any] | None
    media: tuple[Medium, ...]

    @classmethod
    def read(cls, row: DatabaseRow, media: tuple[Medium, ...]) -> "OutboxObservation":
        return cls(
            id=row["id"],
            sequence=row["sequence"],
            state=ObservationState(row["state"]),
            draft=json.loads(row["draft"]),
            attempts=row["attempts"],
            receipt=_load_json(row["receipt"]),
            refusal=_load_json(row["refusal"]),
            trouble=_load_json(row["trouble"]),
            media=media,
        )

    @property
    def is_through(self) -> bool:
        """Return whether the server has the observation and has verified its media. The phone may then delete it."""
        return self.state is ObservationState.ACCEPTED and all(
            medium.state is MediumState.READY for medium in self.media
        )

    @property
    def is_aside(self) -> bool:
        """Return whether a person must look at the observation or one of its media. The phone sends everything else."""
        return self.state is ObservationState.REFUSED or any(medium.state in ASIDE for medium in self.media)

    @property
    def is_undelivered(self) -> bool:
        """Return whether the phone still has to send the observation, or to upload or confirm one of its media."""
        if self.state is ObservationState.ACCEPTED:
            return any(medium.state in UNDELIVERED for medium in self.media)
        return self.state is ObservationState.QUEUED

    @property
    def is_moving(self) -> bool:
        """Return whether something of the observation will still be sent or verified without a person's help."""
        return self.is_undelivered or any(medium.state is MediumState.CONFIRMED for medium in self.media)

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "sequence": self.sequence,
            "state": self.state.value,
            "draft": {name: value for name, value in self.draft.items() if name != "media"},
            "attempts": self.attempts,
            "receipt": self.receipt,
            "refusal": self.refusal,
            "trouble": self.trouble,
            "media": [medium.as_json() for medium in self.media],
        }


def _load_json(text: str | None) -> dict[str, Any] | None:
    value: dict[str, Any] | None = json.loads(text) if text else None
    return value
