"""Test what the phone knows offline: the records it pulled, its running numbers, and its signed receipts."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mobile_contract.phone.outbox.outbox import Outbox
from mobile_contract.phone.outbox.receipts import digest_of
from mobile_contract.phone.storage.database import connect
from mobile_contract.phone.storage.migrations import statements
from mobile_contract.phone.sync.local_records import PulledKind, Records
from scripts import receipts
from tests.support.network_faults import NetworkFault
from tests.support.phone_cli import Terminal, photo
from tests.support.running_product import RunningProduct

KEY = bytes(32)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    made = Outbox(tmp_path / "outbox.sqlite", KEY)
    yield made
    made.close()


def page(cursor: str, *units: str, gone: str = "", more: bool = False) -> dict[str, Any]:
    changes: list[dict[str, Any]] = [{"kind": "UNIT", "id": each, "record": {"id": each}} for each in units]
    changes += [{"kind": "UNIT", "id": gone, "record": None}] if gone else []
    return {"changes": changes, "cursor": cursor, "hasMore": more, "asOf": None}


def test_a_page_is_stored_with_its_cursor_and_a_full_pull_drops_missing_records(outbox: Outbox) -> None:
    records = Records(outbox)
    outbox.take([[]], lambda sequence, _: {"id": f"obs_{sequence}"})
    records.store(page("1", "a", "b", more=True), None)
    records.store(page("2", "c"), "1")
    records.store(page("3", "d", gone="b"), "2")
    assert (set(records.by_id(PulledKind.UNIT)), records.cursor) == ({"a", "c", "d"}, "3")

    records.start_over()
    assert records.cursor is None
    records.store(page("4", "a", more=True), None)
    again = Records(outbox)  # as after a kill between two pages
    assert set(again.by_id(PulledKind.UNIT)) == {"a", "c", "d"}, "readable until the last page has come"
    again.store(page("5", "e"), again.cursor)
    assert set(again.by_id(PulledKind.UNIT)) == {"a", "e"}
    assert len(outbox.observations()) == 1

    broken = page("6", "f") | {"changes": [{"kind": "UNIT", "id": "f", "record": {}}, {"kind": "UNIT"}]}
    with pytest.raises(KeyError):
        again.store(broken, "5")
    assert (set(again.by_id(PulledKind.UNIT)), again.cursor) == ({"a", "e"}, "5"), "all of a page or nothing"


def test_an_older_outbox_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    with closing(connect(path, KEY)) as database:
        for statement in statements(0)[: len(statements(0)) - len(statements(1))]:
            database.execute(statement)
        facts = [("device_id", "dev_1"), ("last_sequence", "4")]
        database.executemany("INSERT INTO facts VALUES (?, ?)", facts)
        database.execute("INSERT INTO observations (id, sequence, draft, state) VALUES ('obs_3', 3, '{}', 'QUEUED')")
        database.execute("PRAGMA user_version=1")
    with closing(Outbox(path, KEY)) as outbox:
        assert [each.id for each in outbox.observations()] == ["obs_3"]
        assert (outbox.device_id, outbox.last_sequence, outbox.unsent_sequences()) == ("dev_1", 4, {1, 2, 3, 4})
        outbox.take([[]], lambda sequence, _: {"id": f"obs_{sequence}"})
        assert outbox.last_sequence == 5


def test_a_drafts_digest_matches_the_api_guide() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    draft = json.loads(guide.partition("This draft")[2].partition("```json")[2].partition("```")[0])
    assert digest_of(draft) == "1ddbe61887dd0bd48d5655a187575dfd3a96d4be6411526605642ad7d5c6b872"
    assert digest_of(draft) in guide


def test_text_takes_one_round_trip_and_pulled_records_are_readable_offline(
    terminal: Terminal, served: RunningProduct
) -> None:
    terminal.do("take", "--text", "门难进", "--unit", "360703-JT-1")
    terminal.do("send")
    assert served.server.names()[0] == "Sync"
    assert set(served.server.names()[1:]) <= {"Changes"}
    [sent] = terminal.status()["observations"]
    deadline = time.monotonic() + 20
    while sent["id"] not in [each["id"] for each in json.loads(terminal.do("reports", "--now", "--json"))]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    served.server.choose_fault = lambda _: NetworkFault.LOSE
    assert "360703-JT-1" in terminal.do("units", "交通局一号")
    assert "As of 数据截至" in terminal.output
    assert "南康示范家具厂" in terminal.do("points")
    assert "门难进" in terminal.do("reports")
    assert terminal.do("assignments")
    assert terminal.run("units", "--now") == 3


def test_an_invalid_cursor_restarts_the_pull_and_leaves_the_outbox_alone(
    terminal: Terminal, served: RunningProduct
) -> None:
    terminal.do("pull")
    before = terminal.status()["records"]
    terminal.do("take", "--text", "门难进")
    terminal.execute("UPDATE facts SET value = 'none of ours' WHERE name = 'cursor'")
    terminal.execute("INSERT INTO records VALUES ('UNIT', 'unt_gone', '{}', 0)")
    served.calm()
    terminal.do("pull")
    assert served.server.names()[:2] == ["Sync", "Changes"]
    assert terminal.status()["records"] == before
    assert terminal.states() == [("QUEUED", [])]


def test_a_missing_number_is_reported_as_lost_and_a_discarded_one_is_not(terminal: Terminal) -> None:
    for text, method in (("a", "PATROL"), ("b", "PATROL"), ("c", "COMPLAINT"), ("d", "PATROL")):
        terminal.do("take", "--text", text, "--method", method)
    assert terminal.run("send") == 1
    assert "LOST" not in terminal.output, "No. 3 was set aside, and is here"
    terminal.do("discard", "3")
    terminal.do("send")
    terminal.do("take", "--text", "e")
    terminal.execute("DELETE FROM observations WHERE sequence = 5")
    terminal.do("take", "--text", "f")
    assert terminal.run("send") == 1
    assert "LOST: the server does not have No. 5," in terminal.output
    assert terminal.status()["lost"] == [5]


def test_receipts_are_kept_and_verify_and_an_invalid_one_keeps_its_photo(terminal: Terminal, tmp_path: Path) -> None:
    terminal.do("take", photo(tmp_path, "a.jpg"), "--position", "25.8292,114.9347", "--at", "2026-11-20T09:05:00+08:00")
    terminal.do("take", "--text", "b")
    terminal.do("send", "--wait")
    found = json.loads(terminal.do("receipts", "--json", "--export", tmp_path / "proofs"))
    assert [(each["sequence"], each["holds"]) for each in found] == [(1, True), (2, True)]
    keys = (tmp_path / "proofs" / "evidence-keys.json").read_bytes()
    for each in found:
        claims = receipts.verify_receipt((tmp_path / "proofs" / f"{each['observationId']}.jws").read_bytes(), keys)
        assert claims["contentSha256"] == each["contentSha256"]
    terminal.execute("UPDATE observations SET draft = replace(draft, 'PATROL', 'TRACKED_SERVICE') WHERE sequence = 1")
    assert terminal.run("receipts") == 1
    assert "It confirms other content than this phone sent." in terminal.output
    assert terminal.run("send") == 1
    assert "The receipt of No. 1 proves nothing" in terminal.output
    terminal.do("forget")
    assert [each["sequence"] for each in terminal.status()["observations"]] == [1]
    assert len(terminal.copies) == 1
    assert terminal.run("receipts") == 1
    assert terminal.output.count("holds 有效") == 1
