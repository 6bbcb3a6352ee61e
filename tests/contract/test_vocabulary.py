"""Test the vocabulary's pure rules: ids, instants, digests, unit paths, refusals and case states."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from graphql import GraphQLError
from hypothesis import given
from hypothesis import strategies as st

from schema.access.viewers import covers
from schema.casework.case_moves import MOVES, states_before
from schema.casework.cases import CaseState, case_number
from schema.core.digests import canonical, digest_of
from schema.core.ids import PREFIXES, compose, kind_of, validate_id
from schema.core.refusals import CATALOGUE, Refusal, RefusalCode, Refused
from schema.core.times import offset_minutes, print_instant, read_byte_count, read_instant, to_millis
from schema.fieldwork.observations import Category
from schema.organisation.units import path_below, range_end
from tests.support.observation_drafts import typed_draft

INSTANTS = st.datetimes(datetime(1970, 1, 2), datetime(9998, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(INSTANTS, st.binary(min_size=10, max_size=10), st.sampled_from(sorted(PREFIXES)))
def test_an_id_names_its_kind_and_sorts_by_time(at: datetime, randomness: bytes, prefix: str) -> None:
    id = compose(prefix, at, randomness)
    assert kind_of(id) == prefix
    assert validate_id(id, prefix) == id
    assert compose(prefix, at + timedelta(seconds=1), randomness) > id


@pytest.mark.parametrize(
    "id",
    [
        "",
        "obs_",
        "obs_0198c0de-0000-4000-8000-000000000000",
        "obs_0198C0DE-0000-7000-8000-000000000000",
        "xyz_0198c0de-0000-7000-8000-000000000000",
        "obs_0198c0de-0000-7000-8000-000000000000\n",
        "０bs_0198c0de-0000-7000-8000-000000000000",
        "obs_0198c0de-0000-7000-c000-000000000000",
    ],
)
def test_an_invalid_id_is_refused(id: str) -> None:
    with pytest.raises(Refusal) as refused:
        kind_of(id)
    assert refused.value.code is RefusalCode.BAD_ID


@given(INSTANTS, st.integers(-14 * 60, 14 * 60))
def test_an_instant_is_the_same_in_every_offset(at: datetime, minutes: int) -> None:
    at = to_millis(at)
    local = at.astimezone(timezone(timedelta(minutes=minutes)))
    assert to_millis(local) == at
    assert offset_minutes(local) == minutes
    assert read_instant(print_instant(at)) == at


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-11-22T10:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", 5, None]
)
def test_an_invalid_instant_is_refused(text: object) -> None:
    with pytest.raises(GraphQLError):
        read_instant(text)


@pytest.mark.parametrize("text", ["1970-01-01T00:00:00+08:00", "1900-01-01T00:00:00Z", "2099-12-31T23:59:59+08:00"])
def test_times_of_a_broken_clock_are_read(text: str) -> None:
    assert datetime.fromisoformat(print_instant(read_instant(text))) == datetime.fromisoformat(text)


@pytest.mark.parametrize("count", [-1, 2**53, True, 1.0, "1", None])
def test_an_invalid_byte_count_is_refused(count: object) -> None:
    with pytest.raises(GraphQLError):
        read_byte_count(count)


def test_the_canonical_json_of_a_draft_is_fixed() -> None:
    """The JSON is written out here, so that implementers can check their own implementation against it."""
    assert canonical(typed_draft()) == {
        "id": "obs_01a2008d-7400-7000-8000-000000000000",
        "method": "PATROL",
        "category": "SLOW",
        "severity": "MINOR",
        "text": "排队两小时",
        "capturedAt": "2026-11-20T01:05:00.000Z",
        "media": [
            {
                "id": "med_01a2008d-7400-7000-8000-000000000000",
                "sha256": "0" * 64,
                "byteSize": 5,
                "contentType": "image/jpeg",
            }
        ],
    }


def test_the_digest_covers_every_value_and_ignores_nulls() -> None:
    draft = typed_draft()
    same = replace(draft, captured_at=draft.captured_at.astimezone(UTC), unit=None)
    assert digest_of(same) == digest_of(draft)
    others = [
        replace(draft, text="排队三小时"),
        replace(draft, unit=""),
        replace(draft, device_sequence=0),
        replace(draft, media=[]),
        replace(draft, category=Category.RUDE),
        replace(draft, captured_at=draft.captured_at + timedelta(milliseconds=1)),
    ]
    assert len({digest_of(each) for each in [draft, *others]}) == len(others) + 1


def test_a_subtree_is_one_range_of_paths() -> None:
    root = path_below("", "unt_1")
    child, sibling = path_below(root, "unt_2"), path_below("", "unt_3")
    for path in (root, child, path_below(child, "unt_4")):
        assert root <= path < range_end(root)
        assert covers((root,), path)
    assert not root <= sibling < range_end(root)
    assert not covers((root,), sibling)
    assert not covers((), root)


def test_every_refusal_has_messages_in_both_languages_and_a_next_step() -> None:
    assert set(CATALOGUE) == set(RefusalCode)
    for code, entry in CATALOGUE.items():
        told = Refused.of(Refusal(code, field="x"))
        assert (told.message, told.message_zh, told.next_step) == (entry.message, entry.message_zh, entry.next_step)
        assert any("\u4e00" <= letter <= "\u9fff" for letter in entry.message_zh)


def test_case_transitions_and_numbers_follow_the_domain() -> None:
    assert set(MOVES) == set(CaseState)
    assert states_before(CaseState.CLOSED) == {CaseState.INVESTIGATING, CaseState.VERIFYING}
    assert states_before(CaseState.RECEIVED) == frozenset()
    assert case_number("360703", 2026, 17) == "360703-2026-0017"
