"""Compose an observation in the form of the contract's `ObservationDraft`, once, when the observation is taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from mobile_contract.phone.errors import UsageError
from mobile_contract.phone.storage.photo_copies import Original


class Method(StrEnum):
    PATROL = "PATROL"
    TRACKED_SERVICE = "TRACKED_SERVICE"
    SIMULATED_SERVICE = "SIMULATED_SERVICE"
    SPECIAL_CHECK = "SPECIAL_CHECK"
    MONITOR_REPORT = "MONITOR_REPORT"
    COMPLAINT = "COMPLAINT"


class Category(StrEnum):
    ABSENCE = "ABSENCE"
    GAMES = "GAMES"
    STOCK_TRADING = "STOCK_TRADING"
    CHATTING = "CHATTING"
    INACTION = "INACTION"
    MISCONDUCT = "MISCONDUCT"
    SLOW = "SLOW"
    RUDE = "RUDE"
    SOLICITING = "SOLICITING"
    ARBITRARY_FEES = "ARBITRARY_FEES"
    ARBITRARY_FINES = "ARBITRARY_FINES"
    ARBITRARY_INSPECTION = "ARBITRARY_INSPECTION"
    FORCED_CONTRIBUTIONS = "FORCED_CONTRIBUTIONS"
    BROKEN_PROMISE = "BROKEN_PROMISE"
    WITHHELD_FUNDS = "WITHHELD_FUNDS"
    GOOD_PRACTICE = "GOOD_PRACTICE"
    OTHER = "OTHER"


class Severity(StrEnum):
    NOTE = "NOTE"
    MINOR = "MINOR"
    SERIOUS = "SERIOUS"
    GRAVE = "GRAVE"


class Datum(StrEnum):
    WGS84 = "WGS84"
    GCJ02 = "GCJ02"
    BD09 = "BD09"


@dataclass(frozen=True)
class Content:
    """The fields of an observation that a person can set. None leaves a field out, or leaves it unchanged."""

    method: Method | None = None
    category: Category | None = None
    severity: Severity | None = None
    text: str | None = None
    unit: str | None = None
    monitoring_point: str | None = None
    captured_at: str | None = None
    position: dict[str, Any] | None = None

    def fields(self) -> dict[str, Any]:
        """Return the fields that are not None, under the names of `ObservationDraft`."""
        named = {
            "method": self.method and self.method.value,
            "category": self.category and self.category.value,
            "severity": self.severity and self.severity.value,
            "text": self.text,
            "unit": self.unit,
            "monitoringPoint": self.monitoring_point,
            "capturedAt": self.captured_at,
            "position": self.position,
        }
        return {name: value for name, value in named.items() if value is not None}


def compose(
    id: str, sequence: int, content: Content, originals: Sequence[Original], *, method: Method, now: str
) -> dict[str, Any]:
    """Compose a complete draft. Use `method` and `now` if `content` has no method or time.

    The media were made when the observation was: the phone knows no other time of theirs.
    """
    defaults = {"method": method.value, "category": Category.OTHER.value, "severity": Severity.NOTE.value, "text": ""}
    media = [
        {
            "id": original.id,
            "sha256": original.sha256,
            "md5": original.md5,
            "byteSize": original.byte_size,
            "contentType": original.content_type,
            "capturedAt": content.captured_at or now,
        }
        for original in originals
    ]
    own = {"id": id, "deviceSequence": sequence, "capturedAt": now, "media": media}
    return own | defaults | content.fields()


def change(draft: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a draft with other values. A field whose value is None is dropped.

    Media that were made when the observation was keep in step with its time.
    """
    former, changed = draft["capturedAt"], {**draft, **fields}
    changed["media"] = [
        medium | {"capturedAt": changed["capturedAt"]} if medium.get("capturedAt") == former else medium
        for medium in draft["media"]
    ]
    return {name: value for name, value in changed.items() if value is not None}


def read_instant(text: str | None) -> str | None:
    """Parse an ISO 8601 time. If it has no UTC offset, add this device's offset.

    Raise `UsageError` if the text has another form.
    """
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is not a time such as 2026-11-20T09:05:00+08:00.", "时间应写成 2026-11-20T09:05:00+08:00。"
        ) from None
    return (at if at.tzinfo else at.astimezone()).isoformat(timespec="milliseconds")


def read_position(text: str | None, datum: Datum) -> dict[str, Any] | None:
    """Parse LAT,LON or LAT,LON,ACCURACY. LAT and LON are degrees in `datum`, and ACCURACY is in metres.

    Raise `UsageError` if the text has another form.
    """
    if text is None:
        return None
    try:
        latitude, longitude, *rest = (float(part) for part in text.split(","))
        (accuracy,) = rest or (None,)
    except ValueError:
        raise UsageError(
            f"{text!r} is not a position such as 25.8292,114.9347 or 25.8292,114.9347,12 (accuracy in metres).",
            "位置应写成 25.8292,114.9347 或 25.8292,114.9347,12（精度，米）。",
        ) from None
    position = {"latitude": latitude, "longitude": longitude, "datum": datum.value, "source": "MANUAL"}
    return position if accuracy is None else position | {"accuracyMetres": accuracy}
