"""Truth: what independent readers found in a set of files, held against what the server found in them.

The form is that of a `truth.json`: `files`, each with its `sha256` and what is true of it, as exiftool and exiv2 tell it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mobile_contract.phone.faults import Mistake

DEGREES, METRES, SECONDS = 1e-6, 0.01, 0.002
"""How far a position, an altitude and a duration may be off."""


def read(file: Path) -> dict[str, dict[str, Any]]:
    """What is true of each file, by its SHA-256. Raise `Mistake`."""
    try:
        return {each["sha256"]: each for each in json.loads(file.read_text(encoding="utf-8"))["files"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Mistake(f"{file} is no truth.json: {type(error).__name__}.", f"{file} 不是真值文件。") from error


def differences(facts: dict[str, Any], known: dict[str, Any]) -> list[str]:
    """Where what was found is not what is true, in words; nothing where they agree.

    Of a file whose metadata are damaged (`expect` is no `values`) readers make different things, and nothing is compared.
    """
    if known["expect"] != "values":
        return []
    plain = [f"{name}: {said}, truth {true}" for name, said, true in _plain(facts, known) if said != true]
    return [*plain, *_position(facts, known["gps"]), *_duration(facts, known)]


def _plain(facts: dict[str, Any], known: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    yield "type", facts["contentType"], known["mime"]
    yield "width", facts["width"], known["width"]
    yield "height", facts["height"], known["height"]
    yield "display width", facts["displayWidth"], known["display_width"]
    yield "display height", facts["displayHeight"], known["display_height"]
    if known["mime"].startswith("image/"):
        yield "orientation", facts["orientation"], known["orientation"]
        yield "taken", facts["takenAtLocal"], _local(known)
        yield "offset", facts["takenOffsetMinutes"], _minutes(known["offset_time_original"])


def _duration(facts: dict[str, Any], known: dict[str, Any]) -> Iterator[str]:
    true = known.get("duration_s")
    said = facts.get("durationMs")
    if true is not None and (said is None or abs(said / 1000 - true) > SECONDS):
        yield f"duration: {said} ms, truth {true} s"


def _position(facts: dict[str, Any], gps: dict[str, Any]) -> Iterator[str]:
    position = facts["position"] or {}
    latitude, longitude = position.get("latitude"), position.get("longitude")
    if not gps["valid"]:
        if latitude is not None:
            yield f"position: {latitude}, {longitude}, truth none ({gps['why_invalid']})"
        return
    if latitude is None or abs(latitude - gps["lat"]) > DEGREES or abs(longitude - gps["lon"]) > DEGREES:
        yield f"position: {latitude}, {longitude}, truth {gps['lat']}, {gps['lon']}"
    altitude = position.get("altitudeMetres")
    if gps["alt"] is not None and (altitude is None or abs(altitude - gps["alt"]) > METRES):
        yield f"altitude: {altitude}, truth {gps['alt']}"


def _local(known: dict[str, Any]) -> str | None:
    """The camera's clock as the contract writes it."""
    if not known["datetime_original"]:
        return None
    day, _, clock = known["datetime_original"].partition(" ")
    millis = str(known["subsec_time_original"] or "").ljust(3, "0")[:3]
    return f"{day.replace(':', '-')}T{clock}.{millis}"


def _minutes(offset: str | None) -> int | None:
    if not offset:
        return None
    hours, minutes = map(int, offset.lstrip("+-").split(":"))
    return (hours * 60 + minutes) * (-1 if offset.startswith("-") else 1)
