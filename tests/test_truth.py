"""Truth: the comparison itself, for a table that says "agrees" is worth what it would have noticed."""

import json
from pathlib import Path
from typing import Any

import pytest

from mobile_contract.phone.faults import Mistake
from mobile_contract.phone.truth import differences, read

FACTS: dict[str, Any] = {
    "contentType": "image/jpeg",
    "width": 400,
    "height": 300,
    "displayWidth": 300,
    "displayHeight": 400,
    "orientation": 6,
    "takenAtLocal": "2026-11-20T09:05:00.120",
    "takenOffsetMinutes": -570,
    "position": {"latitude": 25.829217, "longitude": 114.933612, "altitudeMetres": 104.5},
}
TRUE: dict[str, Any] = {
    "expect": "values",
    "mime": "image/jpeg",
    "width": 400,
    "height": 300,
    "display_width": 300,
    "display_height": 400,
    "orientation": 6,
    "datetime_original": "2026:11:20 09:05:00",
    "subsec_time_original": 12,
    "offset_time_original": "-09:30",
    "gps": {"valid": True, "why_invalid": None, "lat": 25.829217, "lon": 114.933612, "alt": 104.5},
}


def test_what_is_true_agrees() -> None:
    assert differences(FACTS, TRUE) == []
    assert differences(FACTS | {"durationMs": 2770}, TRUE | {"duration_s": 2.7715}) == []


@pytest.mark.parametrize("field", [field for field in FACTS if field != "position"])
def test_every_fact_that_differs_is_named(field: str) -> None:
    [difference] = differences(FACTS | {field: "other"}, TRUE)
    assert "other, truth" in difference


@pytest.mark.parametrize(
    ("facts", "true", "words"),
    [
        ({"position": None}, {}, "position: None, None, truth 25.829217, 114.933612"),
        ({"position": FACTS["position"] | {"longitude": 114.93362}}, {}, "position"),
        ({"position": FACTS["position"] | {"altitudeMetres": 104.6}}, {}, "altitude"),
        ({}, {"gps": {"valid": False, "why_invalid": "null island"}}, "truth none (null island)"),
        ({"durationMs": 2775}, {"duration_s": 2.77}, "duration: 2775 ms, truth 2.77 s"),
        ({}, {"duration_s": 2.77}, "duration: None ms"),
    ],
)
def test_figures_may_be_off_by_little(facts: dict[str, Any], true: dict[str, Any], words: str) -> None:
    assert words in " ".join(differences(FACTS | facts, TRUE | true))


def test_damaged_metadata_are_not_compared() -> None:
    assert differences(FACTS | {"width": 1}, TRUE | {"expect": "no-crash"}) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": [{}]}'])
def test_a_file_that_is_no_truth_is_a_mistake(tmp_path: Path, text: str) -> None:
    file = tmp_path / "truth.json"
    with pytest.raises(Mistake):
        read(file)
    file.write_text(text)
    with pytest.raises(Mistake):
        read(file)
    file.write_text(json.dumps({"files": [{"sha256": "a", **TRUE}]}))
    assert read(file)["a"]["width"] == 400
