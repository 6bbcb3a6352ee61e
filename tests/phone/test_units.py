"""Test parts of the phone by themselves: enums, copies of photos, batches, retry pauses, parsing and output."""

import json
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image

from mobile_contract.phone.cli.wording import CATEGORIES, size
from mobile_contract.phone.content_types import HEAD_BYTES, sniff
from mobile_contract.phone.errors import UsageError
from mobile_contract.phone.ids import new_id
from mobile_contract.phone.network.backoff import Backoff
from mobile_contract.phone.network.client import endpoint_of
from mobile_contract.phone.outbox.drafts import Category, Datum, Method, Severity, read_instant, read_position
from mobile_contract.phone.outbox.items import ObservationState, OutboxObservation
from mobile_contract.phone.storage.photo_copies import ByteRange, Originals, PhotoChangedError
from mobile_contract.phone.sync.submission import MAX_BYTES, split_batches
from schema.fieldwork import observations
from schema.geography import positions
from tests.support.picture_files import saved

PHOTOS = Path(__file__).parents[3] / "shared" / "data" / "photos"
JPEG = saved(Image.new("RGB", (48, 36), "#2a6"))


def test_a_changed_or_missing_copy_is_detected(tmp_path: Path) -> None:
    source = tmp_path / "a.jpg"
    source.write_bytes(JPEG + bytes(1000))
    originals = Originals(tmp_path / "originals", bytes(32))
    kept = originals.adopt(source)
    size = kept.byte_size
    spans = [ByteRange(1, 0, 500), ByteRange(2, 500, size - 500)]
    body = source.read_bytes()
    assert originals.verify(kept.file, kept.sha256) == {}
    assert originals.verify(kept.file, kept.sha256, spans) == {
        1: sha256(body[:500]).hexdigest(),
        2: sha256(body[500:]).hexdigest(),
    }
    assert b"".join(originals.read(kept.file, 500, size - 500)) == body[500:]
    path = originals.path(kept.file)
    path.chmod(0o600)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    for known in ([], spans):
        with pytest.raises(PhotoChangedError, match="changed after it was taken"):
            originals.verify(kept.file, kept.sha256, known)
    path.unlink()
    with pytest.raises(PhotoChangedError, match="No such file"):
        originals.verify(kept.file, kept.sha256, spans)


def test_the_phones_enums_have_the_contracts_values() -> None:
    for own, theirs in (
        (Method, observations.Method),
        (Category, observations.Category),
        (Severity, observations.Severity),
        (Datum, positions.Datum),
    ):
        assert {each.value for each in own} == {each.value for each in theirs}
    assert set(CATEGORIES) == {each.value for each in Category}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("25.8,114.9", {"latitude": 25.8, "longitude": 114.9, "datum": "WGS84", "source": "MANUAL"}),
        ("-1, 2.5,0", {"latitude": -1, "longitude": 2.5, "datum": "WGS84", "source": "MANUAL", "accuracyMetres": 0}),
        *((text, None) for text in ("", "25.8", "25.8,114.9,1,2", "north,east", "25.8;114.9")),
    ],
)
def test_positions_are_read_or_refused(text: str, read: dict[str, object] | None) -> None:
    if read is None:
        with pytest.raises(UsageError):
            read_position(text, Datum.WGS84)
    else:
        assert read_position(text, Datum.WGS84) == read


def test_a_time_carries_an_offset_and_other_text_is_refused() -> None:
    assert read_instant("2026-11-20T09:05:00.25+08:00") == "2026-11-20T09:05:00.250+08:00"
    given = read_instant("2026-11-20T09:05")
    assert given
    assert datetime.fromisoformat(given).utcoffset() is not None
    with pytest.raises(UsageError):
        read_instant("yesterday")


def test_batches_stay_within_the_limits_of_a_request() -> None:
    def made(count: int, text: str) -> list[OutboxObservation]:
        state = ObservationState.QUEUED
        drafts = ({"id": new_id("obs"), "text": text} for _ in range(count))
        return [OutboxObservation(d["id"], n, state, d, 0, None, None, None, ()) for n, d in enumerate(drafts)]

    assert [len(batch) for batch in split_batches(made(120, "短"))] == [50, 50, 20]
    long = made(7, "长" * 20_000)
    assert [len(batch) for batch in split_batches(long)] == [3, 3, 1]
    assert [each for batch in split_batches(long) for each in batch] == long
    assert all(sum(len(each.draft["text"].encode()) for each in batch) <= MAX_BYTES for batch in split_batches(long))


def test_waits_before_a_retry_double_within_bounds_and_vary() -> None:
    backoff = Backoff(first_seconds=1, longest_seconds=60)
    for failed, whole in ((1, 1), (2, 2), (3, 4), (7, 60), (1000, 60)):
        waits = {backoff.wait(failed) for _ in range(50)}
        assert len(waits) > 1
        assert all(whole / 2 <= wait <= whole for wait in waits)
    assert backoff.wait(1, asked=20) == 20
    assert backoff.wait(1, asked=3600) == 60


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/graphql"),
        ("127.0.0.1:8000/", "http://127.0.0.1:8000/graphql"),
        ("https://mingcha.example/api/graphql", "https://mingcha.example/api/graphql"),
    ],
)
def test_an_address_is_completed_to_the_graphql_endpoint(url: str, endpoint: str) -> None:
    assert endpoint_of(url) == endpoint
    with pytest.raises(UsageError):
        endpoint_of("ftp://x")


def test_sizes_are_shown_in_readable_units() -> None:
    assert [size(count) for count in (0, 999, 1000, 45_320, 999_949, 999_950, 3_944_307, 2 * 10**9)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "45.3 kB",
        "999.9 kB",
        "1.0 MB",
        "3.9 MB",
        "2.0 GB",
    ]


@pytest.mark.skipif(not PHOTOS.exists(), reason="needs ../shared/data")
def test_photo_types_are_detected_by_content() -> None:
    truth = json.loads((PHOTOS / "truth.json").read_text())
    told = {each["file"]: sniff((PHOTOS / each["file"]).read_bytes()[:HEAD_BYTES]) for each in truth["files"]}
    assert told == {each["file"]: each["mime"] for each in truth["files"]}
    assert len(told) == 37
