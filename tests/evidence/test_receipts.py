"""Test signed receipts: a receipt alone proves that the server had this content at the stated time."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.receipts import verify_receipt
from scripts.stored_zip import BadZipError
from tests.support.world import World, draft

pytestmark = pytest.mark.both_drivers

ROOT = Path(__file__).parents[2]
SUBMIT = """
mutation Submit($input: SubmitObservationsInput!) {
  submitObservations(input: $input) {
    ... on SubmitObservationsPayload { results { outcome receipt { observationId contentSha256 receivedAt signed } } }
  }
}"""
OWN = "query One($id: ID!) { observation(id: $id) { receipt { signed } } }"


def told(world: World, token: str, published: object = None) -> dict[str, str]:
    """Return what a receipt says to a person who has the office's keys."""
    keys = world.evidence.published() if published is None else published
    return verify_receipt(token.encode(), json.dumps(keys).encode())


async def receipt_of(world: World, sent: dict[str, Any]) -> dict[str, str]:
    answer = await world.ask("inspector", SUBMIT, input={"drafts": [sent]})
    receipt: dict[str, str] = answer["submitObservations"]["results"][0]["receipt"]
    return receipt


async def test_a_receipt_states_the_content_and_the_time_of_receipt(world: World) -> None:
    receipt = await receipt_of(world, draft())
    signed = receipt.pop("signed")
    assert told(world, signed) == receipt


async def test_a_replay_and_a_later_query_return_the_same_receipt(world: World) -> None:
    sent = draft()
    first, again = await receipt_of(world, sent), await receipt_of(world, sent)
    assert first == again
    found = await world.ask("inspector", OWN, id=sent["id"])
    assert found["observation"]["receipt"]["signed"] == first["signed"]
    assert (await world.ask("clerk", OWN, id=sent["id"]))["observation"]["receipt"] is None


async def test_a_receipt_stays_valid_after_a_key_rotation(world: World) -> None:
    sent = draft()
    before = await receipt_of(world, sent)
    world.evidence.rotate()
    after = await receipt_of(world, sent)
    assert before["signed"] != after["signed"]
    for each in (before, after):
        assert told(world, each["signed"])["contentSha256"] == before["contentSha256"]


async def test_an_altered_receipt_or_key_list_is_refused(world: World) -> None:
    signed = (await receipt_of(world, draft()))["signed"]
    other = (await receipt_of(world, draft()))["signed"]
    head, body, tail = signed.split(".")
    access = world.evidence.token("at+jwt", {"observationId": "x", "contentSha256": "y", "receivedAt": "z"})
    more = world.evidence.token("mingcha-receipt+jws", {"observationId": "x"})
    lies = [
        "",
        "a.b",
        f"{head}.{body}",
        f"{head}.{other.split('.')[1]}.{tail}",
        f"{head}.{body}.{other.split('.')[2]}",
        f"{head}.{body[:-2]}AA.{tail}",
        f"{head}.{body}.{tail}.{tail}",
        "eyJhbGciOiJub25lIn0.e30.",
        access,
        more,
    ]
    for lie in lies:
        with pytest.raises(BadZipError):
            told(world, lie)
    with pytest.raises(BadZipError, match="does not publish"):
        told(world, signed, {"keys": []})
    documents: list[object] = [[], {}, {"keys": [{}]}, {"keys": [{"publicKey": "x", "fingerprint": "y"}]}, {"keys": 3}]
    for document in documents:
        with pytest.raises(BadZipError, match="not as an office publishes"):
            told(world, signed, document)


async def test_the_verify_command_checks_a_single_receipt(world: World, tmp_path: Path) -> None:
    receipt = await receipt_of(world, draft())
    token, keys = tmp_path / "receipt", tmp_path / "evidence-keys.json"
    keys.write_text(json.dumps(world.evidence.published()))

    def said(text: str) -> tuple[int, str]:
        token.write_text(text)
        ran = subprocess.run(
            [sys.executable, "-P", "-m", "scripts.verify", str(token), "--keys", str(keys)],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return ran.returncode, ran.stdout + ran.stderr

    code, words = said(receipt["signed"] + "\n")
    assert code == 0
    assert receipt["observationId"] in words
    assert receipt["receivedAt"] in words
    assert said("no receipt") == (
        1,
        "Wrong: This is no receipt: three parts of base64url with dots between make one.\n",
    )
