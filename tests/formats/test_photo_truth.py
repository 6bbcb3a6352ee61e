"""Test each real file against what independent readers found in it: no value is missed or made up."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from api.media.media_facts import facts_of
from schema.media.media_facts import MediaFacts, PositionAbsence
from storage.formats.reader import examine, read_facts

PHOTOS = Path(__file__).parents[3] / "shared/data/photos"
REASONS = {
    "absent": {PositionAbsence.ABSENT},
    "empty": {PositionAbsence.EMPTY},
    "no_refs": {PositionAbsence.NO_REFERENCES},
    "zero_denominator_or_empty": {PositionAbsence.ZERO_DENOMINATOR, PositionAbsence.EMPTY},
    "null_island": {PositionAbsence.NULL_ISLAND},
}
SHENZHEN = (22.53113333, 114.02148056)


def truth() -> list[dict[str, Any]]:
    path = PHOTOS / "truth.json"
    entries: list[dict[str, Any]] = json.loads(path.read_text())["files"] if path.is_file() else []
    return entries


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="../shared/data is missing")
def test_the_truth_covers_every_file() -> None:
    files = {path.name for path in PHOTOS.iterdir()} - {"truth.json"}
    assert files == {entry["file"] for entry in truth()}
    assert len(files) == 37


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="../shared/data is missing")
@pytest.mark.parametrize("entry", truth(), ids=lambda entry: entry["file"])
def test_real_files_agree_with_the_truth(entry: dict[str, Any]) -> None:
    path = PHOTOS / entry["file"]
    picture = examine(path)
    facts = facts_of(picture)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
    assert facts.content_type == entry["mime"]
    decodes = entry.get("decodes", True)  # the entries of the two videos lack it: both decode
    assert (facts.damage is None) == decodes
    assert len(picture.thumbnails) == (2 if decodes or entry["file"] == "derived-truncated-scan.jpg" else 0)
    without = facts_of(read_facts(path))
    assert (without.position, without.taken_at_local, without.model) == (
        facts.position,
        facts.taken_at_local,
        facts.model,
    )
    if entry["expect"] == "no-crash":
        if facts.position is not None:  # a lenient reader recovers the position of the undamaged sibling
            assert (facts.position.latitude, facts.position.longitude) == SHENZHEN
        return
    for name in ("width", "height", "orientation", "display_width", "display_height", "make", "model"):
        assert getattr(facts, name) == entry[name], name
    if picture.thumbnails:
        shown = picture.thumbnails[0]
        assert shown.width / shown.height == pytest.approx(entry["display_width"] / entry["display_height"], rel=0.01)
    agrees_on_place(facts, entry["gps"])
    agrees_on_time(facts, entry)
    if entry["mime"].startswith("video/"):
        assert facts.rotation == entry["rotation"]
        assert facts.duration_ms == round(entry["duration_s"] * 1000)


def agrees_on_place(facts: MediaFacts, gps: dict[str, Any]) -> None:
    if not gps["valid"]:
        assert facts.position is None
        assert facts.position_absent in REASONS[gps["why_invalid"]]
        if gps["lat_raw"] is not None:
            assert facts.stated_latitude == pytest.approx(gps["lat_raw"], abs=1e-6)
            assert facts.stated_longitude == pytest.approx(gps["lon_raw"], abs=1e-6)
        return
    assert (facts.position_absent, facts.stated_latitude) == (None, None)
    assert facts.position is not None
    assert facts.position.latitude == pytest.approx(gps["lat"], abs=1e-6)
    assert facts.position.longitude == pytest.approx(gps["lon"], abs=1e-6)
    assert facts.position.altitude_metres == (None if gps["alt"] is None else pytest.approx(gps["alt"], abs=0.01))
    fixed = facts.position.fixed_at
    assert (fixed and f"{fixed:%Y:%m:%d %H:%M:%S}") == (gps["utc"] and gps["utc"].rstrip("Z").split(".")[0])
    assert facts.position.source
    assert facts.position.source.value == gps["source"].split()[0].upper()


def agrees_on_time(facts: MediaFacts, entry: dict[str, Any]) -> None:
    local, offset = entry["datetime_original"], entry["offset_time_original"]
    if entry.get("creation_date_with_zone"):
        local, offset = entry["creation_date_with_zone"][:19], entry["creation_date_with_zone"][19:]
    taken = datetime.fromisoformat(facts.taken_at_local) if facts.taken_at_local else None
    assert (taken and f"{taken:%Y:%m:%d %H:%M:%S}") == local
    assert facts.taken_offset_minutes == (offset and int(offset[:3]) * 60 + int(offset[4:]))
    if entry.get("subsec_time_original") is not None:
        assert taken is not None
        assert f"{taken.microsecond // 1000:03d}" == str(entry["subsec_time_original"]).ljust(3, "0")[:3]
    created = entry.get("quicktime_create_date_utc")
    wanted = created and datetime.strptime(created, "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
    assert facts.created_at == wanted
