"""Compare the metadata that the server read from photos with `truth.json`, which independent programs produced."""

import json
import math
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from mobile_contract.phone.errors import UsageError

DEGREES, METRES = 1e-6, 0.01


def read_expected(path: Path) -> dict[str, dict[str, Any]]:
    """Read the expected values of each file, by SHA-256. Raise `UsageError` if `truth.json` has another format."""
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        return {str(file["sha256"]): file for file in files}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UsageError(f"{path} is not a valid truth.json ({error}).", f"{path} 不是可用的对照文件。") from None


def differences(facts: dict[str, Any] | None, truth: dict[str, Any]) -> list[str]:
    """List the differences between found and expected values, such as `width: 640, not 480`.

    Compare nothing if `truth.json` expects no values, because the file's metadata is damaged.
    """
    if facts is None:
        return ["not verified yet"]
    if truth["expect"] != "values":
        return []
    pairs = (*_plain_pairs(facts, truth), *_time_pairs(facts, truth), *_place_pairs(facts, truth))
    return [f"{name}: {actual}, not {expected}" for name, actual, expected, is_same in pairs if not is_same]


_Pair = tuple[str, Any, Any, bool]


def _compare(name: str, actual: Any, expected: Any, tolerance: float = 0.0) -> _Pair:
    if tolerance and actual is not None and expected is not None:
        return name, actual, expected, math.isclose(actual, expected, rel_tol=0, abs_tol=tolerance)
    return name, actual, expected, actual == expected


def _plain_pairs(facts: dict[str, Any], truth: dict[str, Any]) -> Iterator[_Pair]:
    yield _compare("type", facts["contentType"], truth["mime"])
    for name, key in (
        ("width", "width"),
        ("height", "height"),
        ("displayWidth", "display_width"),
        ("displayHeight", "display_height"),
        ("orientation", "orientation"),
    ):
        yield _compare(name, facts[name], truth[key])
    if truth.get("decodes") is not None:
        yield _compare("whole", facts["damage"] is None, truth["decodes"])
    if truth.get("duration_s") is not None:
        yield _compare("durationMs", facts["durationMs"], round(truth["duration_s"] * 1000))
        yield _compare("rotation", facts["rotation"], truth["rotation"])


def _time_pairs(facts: dict[str, Any], truth: dict[str, Any]) -> Iterator[_Pair]:
    local, offset = truth["datetime_original"], truth["offset_time_original"]
    zoned = truth.get("creation_date_with_zone")
    if zoned:
        local, offset = zoned[:19], zoned[19:]
    expected = f"{local[:10].replace(':', '-')}T{local[11:]}" if local else None
    actual = facts["takenAtLocal"]
    yield _compare("takenAtLocal", actual[:19] if actual else None, expected)
    if truth.get("subsec_time_original") is not None:
        yield _compare("milliseconds", (actual or "")[20:], str(truth["subsec_time_original"]).ljust(3, "0")[:3])
    minutes = int(offset[:3]) * 60 + int(offset[4:]) * (-1 if offset[0] == "-" else 1) if offset else None
    yield _compare("takenOffsetMinutes", facts["takenOffsetMinutes"], minutes)
    created = facts["createdAt"]
    stamp = f"{datetime.fromisoformat(created):%Y:%m:%d %H:%M:%S}" if created else None
    yield _compare("createdAt", stamp, truth.get("quicktime_create_date_utc"))


def _place_pairs(facts: dict[str, Any], truth: dict[str, Any]) -> Iterator[_Pair]:
    gps, position = truth["gps"], facts["position"] or {}
    if not gps["valid"]:
        yield _compare("position", position.get("latitude"), None)
        yield _compare("reason given", facts["positionAbsent"] is not None, expected=True)
        return
    yield _compare("latitude", position.get("latitude"), gps["lat"], DEGREES)
    yield _compare("longitude", position.get("longitude"), gps["lon"], DEGREES)
    yield _compare("altitude", position.get("altitudeMetres"), gps["alt"], METRES)
