"""Compare the server's findings in photos with `truth.json`, which independent readers produced."""

import json
import math
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from mobile_contract.phone.errors import UsageError

DEGREES, METRES = 1e-6, 0.01


def read_expected(path: Path) -> dict[str, dict[str, Any]]:
    """Read the expected values by digest. Raise `UsageError` if the file has another format."""
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        return {str(file["sha256"]): file for file in files}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UsageError(f"{path} is not a valid truth.json ({error}).", f"{path} 不是可用的对照文件。") from None


def differences(found: dict[str, Any] | None, known: dict[str, Any]) -> list[str]:
    """List the differences as `name: found, not expected`.

    If a file's metadata is damaged, only a position would be wrong.
    """
    if found is None:
        return ["not verified yet"]
    if known["expect"] != "values":
        return []
    pairs = (*_plain_pairs(found, known), *_time_pairs(found, known), *_place_pairs(found, known))
    return [f"{name}: {seen}, not {wanted}" for name, seen, wanted, is_same in pairs if not is_same]


_Pair = tuple[str, Any, Any, bool]


def _compare(name: str, seen: Any, wanted: Any, tolerance: float = 0.0) -> _Pair:
    if tolerance and seen is not None and wanted is not None:
        return name, seen, wanted, math.isclose(seen, wanted, rel_tol=0, abs_tol=tolerance)
    return name, seen, wanted, seen == wanted


def _plain_pairs(found: dict[str, Any], known: dict[str, Any]) -> Iterator[_Pair]:
    yield _compare("type", found["contentType"], known["mime"])
    for name, wanted in (
        ("width", "width"),
        ("height", "height"),
        ("displayWidth", "display_width"),
        ("displayHeight", "display_height"),
        ("orientation", "orientation"),
    ):
        yield _compare(name, found[name], known[wanted])
    if known.get("decodes") is not None:
        yield _compare("whole", found["damage"] is None, known["decodes"])
    if known.get("duration_s") is not None:
        yield _compare("durationMs", found["durationMs"], round(known["duration_s"] * 1000))
        yield _compare("rotation", found["rotation"], known["rotation"])


def _time_pairs(found: dict[str, Any], known: dict[str, Any]) -> Iterator[_Pair]:
    local, offset = known["datetime_original"], known["offset_time_original"]
    zoned = known.get("creation_date_with_zone")
    if zoned:
        local, offset = zoned[:19], zoned[19:]
    wanted = f"{local[:10].replace(':', '-')}T{local[11:]}" if local else None
    seen = found["takenAtLocal"]
    yield _compare("takenAtLocal", seen[:19] if seen else None, wanted)
    if known.get("subsec_time_original") is not None:
        yield _compare("milliseconds", (seen or "")[20:], str(known["subsec_time_original"]).ljust(3, "0")[:3])
    minutes = int(offset[:3]) * 60 + int(offset[4:]) * (-1 if offset[0] == "-" else 1) if offset else None
    yield _compare("takenOffsetMinutes", found["takenOffsetMinutes"], minutes)
    created = found["createdAt"]
    stamp = f"{datetime.fromisoformat(created):%Y:%m:%d %H:%M:%S}" if created else None
    yield _compare("createdAt", stamp, known.get("quicktime_create_date_utc"))


def _place_pairs(found: dict[str, Any], known: dict[str, Any]) -> Iterator[_Pair]:
    gps, position = known["gps"], found["position"] or {}
    if not gps["valid"]:
        yield _compare("position", position.get("latitude"), None)
        yield _compare("reason given", found["positionAbsent"] is not None, wanted=True)
        return
    yield _compare("latitude", position.get("latitude"), gps["lat"], DEGREES)
    yield _compare("longitude", position.get("longitude"), gps["lon"], DEGREES)
    yield _compare("altitude", position.get("altitudeMetres"), gps["alt"], METRES)
