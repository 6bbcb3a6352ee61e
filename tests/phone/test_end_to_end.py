"""Test real photos from the phone's outbox to the supervisor's case graph, with all processes of `scripts/run`."""

import json
from datetime import timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.forked_commands import ROOT
from tests.support.phone_assignments import pull_assignment
from tests.support.phone_cli import PASSWORD, Spawner, Terminal
from tests.support.running_product import RunningProduct, ask
from tests.support.world import new_id

PHOTOS = ROOT.parent / "shared" / "data" / "photos"
WINDOW = "360703-JT-1"
pytestmark = pytest.mark.skipif(not PHOTOS.exists(), reason="needs ../shared/data")

CASE_GRAPH = """
query($id: ID!) {
  case(id: $id) {
    number state
    unit { code ancestors { name } }
    observations {
      content {
        capturedAt
        media {
          state sha256
          facts {
            width height orientation displayWidth displayHeight takenAtLocal takenOffsetMinutes takenAt
            position { latitude longitude altitudeMetres } positionAbsent
          }
          original: link(rendition: ORIGINAL) { url }
          small: link(rendition: SMALL) { url width height }
        }
      }
    }
    assignments { state assignee { id } }
    relatedCases { number }
  }
}"""


def truth() -> dict[str, dict[str, Any]]:
    """Return the true facts of each photo, keyed by the photo's digest."""
    files = json.loads((PHOTOS / "truth.json").read_text())["files"]
    return {each["sha256"]: each for each in files}


def expected(known: dict[str, Any]) -> dict[str, Any]:
    """Return a photo's true facts in the contract's terms."""
    local, offset = known["datetime_original"], known["offset_time_original"]
    if known.get("creation_date_with_zone"):
        local, offset = known["creation_date_with_zone"][:19], known["creation_date_with_zone"][19:]
    if local:
        day, _, clock = local.partition(" ")
        millis = str(known.get("subsec_time_original") or "").ljust(3, "0")[:3]
        local = f"{day.replace(':', '-')}T{clock}.{millis}"
    hours, minutes = map(int, (offset or "0:0").split(":"))
    return {
        "width": known["width"],
        "height": known["height"],
        "orientation": known["orientation"],
        "displayWidth": known["display_width"],
        "displayHeight": known["display_height"],
        "takenAtLocal": local or None,
        "takenOffsetMinutes": timedelta(hours=hours, minutes=minutes).total_seconds() / 60 if offset else None,
    }


def agrees(facts: dict[str, Any], known: dict[str, Any]) -> None:
    if known["expect"] != "values":
        return  # damaged metadata: it is enough that the photo arrived
    name, gps, position = known["file"], known["gps"], facts["position"]
    wanted = expected(known)
    assert {field: facts[field] for field in wanted} == wanted, name
    if not gps["valid"]:
        assert position is None or position["latitude"] is None, name
        assert facts["positionAbsent"], name
        return
    assert position["latitude"] == pytest.approx(gps["lat"], abs=1e-6), name
    assert position["longitude"] == pytest.approx(gps["lon"], abs=1e-6), name
    if gps["alt"] is not None:
        assert position["altitudeMetres"] == pytest.approx(gps["alt"], abs=0.01), name


@pytest.mark.long
def test_photos_taken_on_the_phone_appear_with_their_facts_in_the_case_graph(
    terminal: Terminal, served: RunningProduct, spawner: Spawner, tmp_path: Path
) -> None:
    known = truth()
    files = json.loads((PHOTOS / "truth.json").read_text())["files"]
    names = [each["file"] for each in files]
    phone, officer, supervisor = terminal, served.person("officer"), served.person("supervisor")
    phone.do("take", *(PHOTOS / name for name in names), "--unit", WINDOW, "--at", "2026-11-20T09:05:00+08:00")
    phone.do("send", "--wait")
    # Two of the 37 files are copies of one picture, and a phone takes it once.
    assert (len(names), len(known)) == (37, 36)
    assert phone.states() == len(known) * [("ACCEPTED", ["READY"])]
    rows = json.loads(phone.do("table", "--json", "--truth", PHOTOS / "truth.json"))
    assert sorted(row["sha256"] for row in rows) == sorted(known)
    assert {row["name"]: row["differences"] for row in rows if row["differences"]} == {}
    motion = {row["name"]: row["facts"]["motionVideo"] for row in rows if row["facts"]["motionVideo"]}
    assert {name: (each["offset"], each["byteSize"]) for name, each in motion.items()} == {
        "vivo-x90pro-motion-photo.jpg": (18263, 2745)
    }
    shown = phone.do("table", "--truth", PHOTOS / "truth.json")
    assert shown.count("agrees 一致") == len(known)
    lie = tmp_path / "lie.json"
    lie.write_text((PHOTOS / "truth.json").read_text().replace("22.53113333", "22.53113533"))
    assert phone.run("table", "--json", "--truth", lie) == 1
    assert "latitude: 22.53113333, not 22.53113533" in phone.output
    for row in rows:
        agrees(row["facts"], known[row["sha256"]])

    case_id, offer_id = new_id("cas"), new_id("asg")
    as_officer = partial(ask, served.own_address, officer)
    as_supervisor = partial(ask, served.own_address, supervisor)
    ids = [each["id"] for each in phone.status()["observations"]]
    opened = as_officer(
        "mutation($input: OpenCaseInput!) { openCase(input: $input) { __typename } }",
        input={"id": case_id, "title": "窗口无人在岗", "observationIds": ids},
    )
    assert opened == {"openCase": {"__typename": "CasePayload"}}
    me = as_supervisor("{ me { user { id } } }")["me"]["user"]["id"]
    as_officer(
        "mutation($input: AssignInput!) { assign(input: $input) { __typename } }",
        input={"id": offer_id, "caseId": case_id, "assigneeId": me},
    )
    other = Terminal(spawner, tmp_path / "other")
    other.sign_in(served.address, supervisor, PASSWORD)
    pull_assignment(other, offer_id)
    other.do("accept", offer_id)

    case = as_supervisor(CASE_GRAPH, id=case_id)["case"]
    assert case["unit"]["code"] == WINDOW
    assert [each["name"] for each in case["unit"]["ancestors"]][:3] == ["江西省", "赣州市", "南康区"]
    assert case["assignments"] == [{"state": "ACCEPTED", "assignee": {"id": me}}]
    media = [medium for each in case["observations"] for medium in each["content"]["media"]]
    assert {each["content"]["capturedAt"] for each in case["observations"]} == {"2026-11-20T01:05:00.000Z"}
    assert sorted(each["sha256"] for each in media) == sorted(known)
    with httpx.Client() as client:
        for each in media:
            agrees(each["facts"], known[each["sha256"]])
            assert sha256(client.get(each["original"]["url"]).content).hexdigest() == each["sha256"]
            if known[each["sha256"]].get("decodes", True):
                assert client.get(each["small"]["url"]).headers["content-type"] == "image/jpeg"
