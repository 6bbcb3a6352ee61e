"""Test that stored names stay: every collection has a golden, ids keep their prefixes, and enums their values."""

import enum
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args, get_type_hints

import bson
import pytest
from bson.codec_options import CodecOptions

from schema.accounts.users import User
from schema.appraisal.ratings import Rating
from schema.casework.assignment_answers import StoredAnswer
from schema.casework.assignments import Assignment
from schema.casework.cases import Case
from schema.casework.limits import Limit
from schema.casework.working_years import WorkingYear
from schema.catalogue.entries import CatalogueEntry
from schema.checks.flags import Flag
from schema.checks.thresholds import Threshold
from schema.core.ids import PREFIXES, compose
from schema.fieldwork.observations import Observation
from schema.media.media import Media
from schema.notifications.push_tokens import PushService
from schema.notifications.webhooks import Webhook, WebhookDelivery
from schema.organisation.monitoring_points import MonitoringPoint
from schema.organisation.units import Unit
from schema.publication.redactions import Redaction
from schema.sync.changes import ChangeKind
from storage.indexes import INDEXES
from storage.mongodb.codecs import from_document
from tests.stored.golden_documents import FOLDER, encoded

ROOT = Path(__file__).parents[2]
ENUMS = Path(__file__).parent / "enums.json"
RECORDS = (
    *(Unit, MonitoringPoint, CatalogueEntry, Threshold, User, Observation, Media, Redaction, Flag, Rating),
    *(Case, Assignment, StoredAnswer, Limit, WorkingYear, Webhook, WebhookDelivery),
)
COLLECTIONS: dict[type, str] = {
    CatalogueEntry: "catalogue",
    Media: "media",
    StoredAnswer: "assignment_answers",
    WebhookDelivery: "webhook_deliveries",
    WorkingYear: "working_years",
}
"""The collections that are not named after their records."""
AWARE: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)
GOLDENS = sorted(FOLDER.glob("*.json"))


def test_every_collection_has_a_golden() -> None:
    sources = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "storage").rglob("*.py"))]
    named = {name for source in sources for name in re.findall(r'\.collection\("(\w+)"\)', source)}
    assert {"counters", "demos", "outlines", "places"} <= named - set(INDEXES)
    assert {path.stem for path in GOLDENS} == named | set(INDEXES)


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_each_golden_has_the_digest_that_it_names(path: Path) -> None:
    for golden in json.loads(path.read_text(encoding="utf-8")):
        assert hashlib.sha256(encoded(golden["document"])).hexdigest() == golden["sha256"], golden["document"]["_id"]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_what_a_newer_version_adds_is_left_out(record: type) -> None:
    """An installation may go back a version."""
    collection = COLLECTIONS.get(record, f"{re.sub('(?<!^)(?=[A-Z])', '_', record.__name__).lower()}s")
    for golden in json.loads((FOLDER / f"{collection}.json").read_text(encoding="utf-8")):
        document = bson.decode(encoded(golden["document"]), AWARE)
        document |= {"id": document["_id"]}  # answers are read by this name
        assert from_document(record, with_additions(document)) == from_document(record, document)


def with_additions(value: Any) -> Any:
    """Return a copy in which each object has one more field."""
    if isinstance(value, list):
        return [with_additions(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: with_additions(each) for name, each in value.items()} | {"of_a_newer_version": {"value": 1}}


def test_prefixes_of_ids_stay_the_same() -> None:
    expected = "ans asg cas cat dev dlv evt flg lim med ntc obs pnt rat red rev ses thr unt usr whk wyr"
    assert " ".join(sorted(PREFIXES)) == expected
    made = compose("obs", datetime(2026, 11, 20, 1, 5, 0, 123_000, UTC), bytes(range(10)))
    assert made == "obs_01a1f67c-3edb-7001-8203-040506070809"


def test_values_of_stored_enums_stay_the_same(request: pytest.FixtureRequest) -> None:
    """A renamed or missing value makes documents unreadable. The names of classes and members are free to change."""
    found = {kind for record in RECORDS for kind in enums_in(record, set())} | {ChangeKind, PushService}
    values = sorted([str(member.value) for member in kind] for kind in found)
    if request.config.getoption("--record-goldens"):
        ENUMS.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    assert values == json.loads(ENUMS.read_text(encoding="utf-8"))


def enums_in(kind: Any, seen: set[Any]) -> Iterator[type[enum.Enum]]:
    """Yield every enum among the stored fields of a record and of the types nested in it."""
    if kind in seen:
        return
    seen.add(kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        yield kind
    elif is_dataclass(kind):
        hints = get_type_hints(kind)
        for field in fields(kind):
            if field.init:
                yield from enums_in(hints[field.name], seen)
    for part in get_args(kind):
        yield from enums_in(part, seen)
