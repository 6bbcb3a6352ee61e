"""Test shown times: which clock is used and why, case by case, and that no time in a file is taken for UTC."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.geography.positions import GeoPointInput, PositionSource, locate
from schema.media.shown_times import (
    FIX_AGE,
    SENTENCES,
    TOLERANCE,
    UNSET_BEFORE,
    Clocks,
    TimeReason,
    TimeSource,
    time_of_medium,
    time_of_observation,
)

RECEIVED = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
SEEN = RECEIVED - timedelta(hours=3)
DAY, HOUR, MINUTE, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
ANY_CLOCK = st.datetimes(datetime(1900, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
EPOCH = datetime(1970, 1, 1, 0, 7, tzinfo=UTC)


def fix(
    at: datetime | None,
    source: PositionSource | None = PositionSource.GPS,
    *,
    latitude: float = 25.8,
    mock: bool = False,
) -> GeoPointInput:
    return GeoPointInput(latitude=latitude, longitude=114.9, source=source, is_mock=mock, fixed_at=at)


def shown(
    captured_at: datetime,
    skew: timedelta | None = None,
    position: GeoPointInput | None = None,
    *,
    is_correction: bool = False,
) -> tuple[TimeSource, TimeReason, datetime | None]:
    found = time_of_observation(
        Clocks(
            captured_at=captured_at,
            offset_minutes=480,
            received_at=RECEIVED,
            position=locate(position) if position else None,
            skew=skew,
            is_correction=is_correction,
        )
    )
    assert found.at is not None
    assert found.local == (found.at + timedelta(hours=8)).replace(tzinfo=None).isoformat(timespec="milliseconds")
    return found.source, found.reason, found.at


S, R = TimeSource, TimeReason


@pytest.mark.parametrize(
    ("captured_at", "skew", "position", "expected"),
    [
        # The device's clock alone.
        (SEEN, None, None, (S.DEVICE, R.UNCONFIRMED, SEEN)),
        (RECEIVED - 400 * DAY, None, None, (S.DEVICE, R.UNCONFIRMED, RECEIVED - 400 * DAY)),
        (RECEIVED + TOLERANCE, None, None, (S.DEVICE, R.UNCONFIRMED, RECEIVED + TOLERANCE)),
        # A comparison at receipt.
        (SEEN, timedelta(), None, (S.DEVICE, R.CONFIRMED_AT_RECEIPT, SEEN)),
        (SEEN, -TOLERANCE, None, (S.DEVICE, R.CONFIRMED_AT_RECEIPT, SEEN)),
        (SEEN + HOUR, HOUR, None, (S.DEVICE_CORRECTED, R.SKEW_TAKEN_OFF, SEEN)),
        (SEEN - 90 * DAY, -90 * DAY, None, (S.DEVICE_CORRECTED, R.SKEW_TAKEN_OFF, SEEN)),
        (EPOCH, EPOCH - SEEN, None, (S.DEVICE_CORRECTED, R.SKEW_TAKEN_OFF, SEEN)),
        (SEEN + 73 * 365 * DAY, 73 * 365 * DAY, None, (S.DEVICE_CORRECTED, R.SKEW_TAKEN_OFF, SEEN)),
        (SEEN + HOUR + SECOND, HOUR, None, (S.DEVICE_CORRECTED, R.SKEW_TAKEN_OFF, SEEN)),
        # The clock was set between capture and receipt.
        (EPOCH, timedelta(), None, (S.RECEIPT, R.CLOCK_UNSET, RECEIVED)),
        (EPOCH, None, None, (S.RECEIPT, R.CLOCK_UNSET, RECEIVED)),
        (UNSET_BEFORE - MINUTE, None, None, (S.RECEIPT, R.CLOCK_UNSET, RECEIVED)),
        (RECEIVED + DAY, timedelta(), None, (S.RECEIPT, R.CLOCK_AFTER_RECEIPT, RECEIVED)),
        (SEEN, -DAY, None, (S.DEVICE, R.CLOCK_CHANGED, SEEN)),
        (SEEN, EPOCH - SEEN, None, (S.DEVICE, R.CLOCK_CHANGED, SEEN)),
        (SEEN, 7972 * 365 * DAY, None, (S.DEVICE, R.CLOCK_CHANGED, SEEN)),
        (RECEIVED + DAY, -DAY, None, (S.RECEIPT, R.CLOCK_AFTER_RECEIPT, RECEIVED)),
        (SEEN - DAY, -2 * DAY, fix(SEEN), (S.SATELLITE, R.CLOCK_BEFORE_FIX, SEEN)),
        # A satellite fix.
        (SEEN, None, fix(SEEN - MINUTE), (S.DEVICE, R.CONFIRMED_BY_FIX, SEEN)),
        (SEEN, HOUR, fix(SEEN + FIX_AGE), (S.DEVICE, R.CONFIRMED_BY_FIX, SEEN)),
        (SEEN, timedelta(), fix(SEEN + 2 * HOUR), (S.DEVICE, R.CONFIRMED_AT_RECEIPT, SEEN)),
        (SEEN, None, fix(SEEN + 2 * HOUR), (S.DEVICE, R.UNCONFIRMED, SEEN)),
        (SEEN, timedelta(), fix(SEEN - HOUR), (S.DEVICE, R.CONFIRMED_AT_RECEIPT, SEEN)),
        (SEEN + HOUR, HOUR, fix(SEEN), (S.DEVICE_CORRECTED, R.SKEW_TAKEN_OFF, SEEN)),
        (SEEN - DAY, timedelta(), fix(SEEN), (S.SATELLITE, R.CLOCK_BEFORE_FIX, SEEN)),
        (SEEN - DAY, None, fix(SEEN), (S.SATELLITE, R.CLOCK_BEFORE_FIX, SEEN)),
        (EPOCH, None, fix(SEEN), (S.SATELLITE, R.CLOCK_UNSET, SEEN)),
        (RECEIVED + DAY, None, fix(SEEN), (S.SATELLITE, R.CLOCK_AFTER_RECEIPT, SEEN)),
        # Not a satellite fix.
        (EPOCH, None, fix(SEEN, mock=True), (S.RECEIPT, R.CLOCK_UNSET, RECEIVED)),
        (EPOCH, None, fix(SEEN, PositionSource.NETWORK), (S.RECEIPT, R.CLOCK_UNSET, RECEIVED)),
        (EPOCH, None, fix(SEEN, PositionSource.FUSED), (S.RECEIPT, R.CLOCK_UNSET, RECEIVED)),
        (EPOCH, None, fix(SEEN, None), (S.RECEIPT, R.CLOCK_UNSET, RECEIVED)),
        (EPOCH, None, fix(SEEN, latitude=95.0), (S.RECEIPT, R.CLOCK_UNSET, RECEIVED)),
        (EPOCH, None, fix(EPOCH), (S.RECEIPT, R.CLOCK_UNSET, RECEIVED)),
        (EPOCH, None, fix(RECEIVED + DAY), (S.RECEIPT, R.CLOCK_UNSET, RECEIVED)),
        (EPOCH, None, fix(None), (S.RECEIPT, R.CLOCK_UNSET, RECEIVED)),
    ],
)
def test_an_observation_is_shown_with_its_most_reliable_clock(
    captured_at: datetime,
    skew: timedelta | None,
    position: GeoPointInput | None,
    expected: tuple[TimeSource, TimeReason, datetime],
) -> None:
    assert shown(captured_at, skew, position) == expected


@pytest.mark.parametrize("captured_at", [SEEN, EPOCH, RECEIVED + DAY])
def test_a_time_corrected_by_the_author_is_kept(captured_at: datetime) -> None:
    found = shown(captured_at, DAY, fix(SEEN), is_correction=True)
    assert found == (TimeSource.AUTHOR, TimeReason.CORRECTED_BY_AUTHOR, captured_at)


@given(
    ANY_CLOCK,
    st.none() | st.timedeltas(-50_000 * DAY, 3_000_000 * DAY),
    st.none() | ANY_CLOCK,
)
def test_no_clock_leads_to_an_impossible_time(
    captured_at: datetime, skew: timedelta | None, fixed_at: datetime | None
) -> None:
    _, _, at = shown(captured_at, skew, fix(fixed_at) if fixed_at else None)
    assert at is not None
    assert UNSET_BEFORE <= at <= RECEIVED + TOLERANCE


@pytest.mark.parametrize(
    ("local", "file_offset", "device_offset", "captured", "expected"),
    [
        ("2026-11-22T10:03:04.120", 480, 60, True, ("2026-11-22T02:03:04.120Z", 480, S.FILE, R.OFFSET_IN_FILE)),
        ("2026-11-22T10:03:04.120", 0, 480, True, ("2026-11-22T10:03:04.120Z", 0, S.FILE, R.OFFSET_IN_FILE)),
        ("2026-11-22T10:03:04.120", None, 480, True, ("2026-11-22T02:03:04.120Z", 480, S.FILE, R.OFFSET_ASSUMED)),
        ("2026-11-22T10:03:04.120", None, None, True, (None, None, S.FILE, R.OFFSET_UNKNOWN)),
        ("2026-11-22T10:03:04.120", None, 0, True, (None, None, S.FILE, R.OFFSET_UNKNOWN)),
        (None, None, 480, True, ("2026-11-21T23:00:00.000Z", 480, S.DEVICE, R.UNCONFIRMED)),
        (None, None, 480, False, ("2026-11-22T02:00:00.000Z", 480, S.RECEIPT, R.NO_TIME_AT_ALL)),
        (None, None, None, False, ("2026-11-22T02:00:00.000Z", 0, S.RECEIPT, R.NO_TIME_AT_ALL)),
    ],
)
def test_a_medium_is_shown_with_its_most_reliable_clock(
    local: str | None,
    file_offset: int | None,
    device_offset: int | None,
    captured: bool,
    expected: tuple[str | None, int | None, TimeSource, TimeReason],
) -> None:
    found = time_of_medium(
        local=local,
        file_offset_minutes=file_offset,
        device_offset_minutes=device_offset,
        announced=Clocks(SEEN, device_offset or 0, RECEIVED) if captured else None,
        expected_at=RECEIVED,
    )
    assert found.at == (datetime.fromisoformat(expected[0]) if expected[0] else None)
    assert (found.offset_minutes, found.source, found.reason) == expected[1:]
    if local:
        assert found.local == local


def test_every_reason_has_a_sentence_in_both_languages() -> None:
    assert set(SENTENCES) == set(TimeReason)
    assert all(english.endswith(".") and chinese.endswith("。") for english, chinese in SENTENCES.values())
