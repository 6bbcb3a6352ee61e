"""Real photos, end to end: from the phone's outbox to the supervisor's case graph, on what `scripts/run` starts."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from mobile_contract.phone.truth import differences, read
from tests.served import ask
from tests.terminals import Spawner, Terminal
from tests.test_run import ROOT, Run
from tests.world import new_id

PHOTOS = ROOT.parent / "shared" / "data" / "photos"
TYPES = {"image/jpeg", "image/png", "image/webp"}
INSPECTOR, OFFICER, SUPERVISOR = "inspector001", "officer.360703", "supervisor001"
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
            contentType width height orientation displayWidth displayHeight takenAtLocal takenOffsetMinutes takenAt
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


@dataclass
class House:
    """The product on a data folder of its own, with its embedded engines and the demo in it."""

    address: str
    password: str


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data = tmp_path_factory.mktemp("house") / "data"
    run = Run(data, "--port=0")
    try:
        address = run.serving()
        own = {name: value for name, value in os.environ.items() if not name.startswith("MINGCHA_")}
        command = [sys.executable, "-P", "-m", "scripts.seed", "--demo", f"--data={data}"]
        told = subprocess.run(command, env=own | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
        found = re.search(r"Password of all: (\S+)", told.stdout)
        assert found, told
        yield House(address, found[1])
    finally:
        run.process.send_signal(signal.SIGINT)
        run.ended()


def known() -> dict[str, dict[str, Any]]:
    """What is true of each photo, by its digest."""
    return {sha256: each for sha256, each in read(PHOTOS / "truth.json").items() if each["mime"] in TYPES}


def agrees(facts: dict[str, Any], true: dict[str, Any]) -> None:
    assert differences(facts, true) == [], true["file"]
    assert facts["positionAbsent"] or facts["position"], true["file"]


def test_from_the_outbox_to_the_case_graph(house: House, spawner: Spawner, tmp_path: Path) -> None:
    true = known()
    names = sorted(each["file"] for each in true.values())
    phone = Terminal(spawner, tmp_path / "phone")
    phone.sign_in(house.address, INSPECTOR, house.password)
    phone.do("take", *(PHOTOS / name for name in names), "--unit", WINDOW, "--at", "2026-11-20T09:05:00+08:00")
    phone.do("send", "--wait")
    assert phone.states() == len(true) * [("ACCEPTED", ["READY"])]
    printed = phone.do("table", "--truth", PHOTOS / "truth.json")
    assert f"{len(true)} of {len(true)} files agree with the truth." in printed
    rows = json.loads(phone.do("table", "--json"))
    assert sorted(row["name"] for row in rows) == names
    for row in rows:
        agrees(row["facts"], true[row["sha256"]])

    case_id, offer_id = new_id("cas"), new_id("asg")
    as_officer = partial(ask, house.address, OFFICER, password=house.password)
    as_supervisor = partial(ask, house.address, SUPERVISOR, password=house.password)
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
    other.sign_in(house.address, SUPERVISOR, house.password)
    assert offer_id in other.do("assignments")
    other.do("accept", offer_id)

    case = as_supervisor(CASE_GRAPH, id=case_id)["case"]
    assert case["unit"]["code"] == WINDOW
    assert [each["name"] for each in case["unit"]["ancestors"]][:3] == ["江西省", "赣州市", "南康区"]
    assert case["assignments"] == [{"state": "ACCEPTED", "assignee": {"id": me}}]
    media = [medium for each in case["observations"] for medium in each["content"]["media"]]
    assert {each["content"]["capturedAt"] for each in case["observations"]} == {"2026-11-20T01:05:00.000Z"}
    assert sorted(each["sha256"] for each in media) == sorted(true)
    with httpx.Client() as client:
        for each in media:
            agrees(each["facts"], true[each["sha256"]])
            assert sha256(client.get(each["original"]["url"]).content).hexdigest() == each["sha256"]
            if true[each["sha256"]]["decodes"]:
                assert client.get(each["small"]["url"]).headers["content-type"] == "image/jpeg"
