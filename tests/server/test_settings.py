"""Test settings: they are read from the environment, and an invalid one is refused with the name of its variable."""

from datetime import timedelta
from pathlib import Path

import pytest

from api.settings import SettingError, Settings
from schema.media.uploads import MIN_PART_BYTES


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MINGCHA_PART_BYTES", str(MIN_PART_BYTES - 1)),
        ("MINGCHA_PART_BYTES", "5 MiB"),
        ("MINGCHA_UPLOAD_ABANDONED_DAYS", "0"),
        ("MINGCHA_UPLOAD_ABANDONED_DAYS", "-1"),
        ("MINGCHA_S3_VERSIONING", "perhaps"),
    ],
)
def test_an_invalid_setting_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(SettingError, match=name):
        Settings.from_environment({name: text})


def test_valid_settings_are_read() -> None:
    given = {
        "MINGCHA_DATA": "/srv/mingcha",
        "MINGCHA_PART_BYTES": str(MIN_PART_BYTES),
        "MINGCHA_UPLOAD_ABANDONED_DAYS": "10",
        "MINGCHA_S3_SET_RULES": "no",
        "MINGCHA_CORS_ORIGINS": "https://a.example, https://b.example",
    }
    settings = Settings.from_environment(given)
    assert settings == Settings(
        data=Path("/srv/mingcha"),
        part_bytes=MIN_PART_BYTES,
        upload_abandoned_days=10,
        s3_set_rules=False,
        cors_origins=("https://a.example", "https://b.example"),
    )


def test_the_store_ends_uploads_only_long_after_the_worker() -> None:
    for days in (1, 7, 60):
        settings = Settings(upload_abandoned_days=days)
        assert settings.upload_unused_for > timedelta(days=days)
        assert timedelta(days=settings.store_abort_days) >= 2 * settings.upload_unused_for
