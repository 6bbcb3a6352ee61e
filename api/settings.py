"""Read the settings of a process from environment variables, once at its start."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, get_type_hints

from schema.media.uploads import MIN_PART_BYTES
from storage.processes.free_space import FreeSpace

MIB = 1024 * 1024


class SettingError(ValueError):
    """An environment variable has a bad value. The message names the variable and says which values are allowed."""


@dataclass(frozen=True)
class Settings:
    """All settings, with their defaults.

    The environment variable of a setting is `MINGCHA_` and the field's name in capitals, such as `MINGCHA_LOG_LEVEL`.
    The items of a list are separated by commas.
    """

    data: Path = Path("data")
    storage_folders: tuple[str, ...] = ()
    """Folders on this machine's disks in which MongoDB or the S3 store keeps its data. `scripts/run` adds the data
    folder if the embedded engines run."""
    min_free_bytes: int = 512 * MIB
    """Free bytes on each of these disks below which nothing is written. 200 phones need about an hour for so much."""

    mongo_url: str = "mongodb://127.0.0.1:27017/?replicaSet=mingcha"
    mongo_database: str = "mingcha"
    mongo_driver: str = "motor"

    s3_endpoint: str = "http://127.0.0.1:9000"
    s3_public_endpoint: str | None = None
    """The URL at which phones reach the S3 store. None if it is the same as `s3_endpoint`."""
    s3_bucket: str = "media"
    s3_access_key: str = ""
    s3_secret_key: str = ""
    s3_region: str = "us-east-1"
    s3_set_rules: bool = True
    s3_versioning: bool = False

    keys: Path | None = None
    """Folder of the signing keys. None means `<data>/keys`. If API processes run on several machines, all of them need
    the same files in this folder."""
    access_token_seconds: int = 600
    refresh_token_days: int = 60
    refresh_grace_seconds: int = 120
    oidc_issuer: str | None = None
    oidc_audience: str | None = None
    oidc_jwks_url: str | None = None
    oidc_subject_claim: str = "sub"

    upload_slot_seconds: int = 3600
    link_seconds: int = 300
    single_put_bytes: int = 8 * MIB
    part_bytes: int = 8 * MIB
    max_media_bytes: int = 2048 * MIB
    upload_abandoned_days: int = 7

    body_limit_bytes: int = 256 * 1024
    max_depth: int = 14
    max_aliases: int = 30
    max_tokens: int = 3000
    max_cost: int = 2_000_000
    """Largest number of fields in an answer if every list were as long as it can be. It refuses hopeless documents."""
    max_work: int = 240_000
    """Largest work of making an answer, counted while it is made. 240,000 take up to 0.7 s of a processor."""
    execution: str = "plan"
    """How operations are executed: by a `plan` that is compiled once for a document, or by `graphql-core` alone."""
    introspection: bool = True
    trusted_documents_only: bool = False

    push_heartbeat_seconds: int = 15
    push_streams_per_person: int = 8
    push_streams_per_process: int = 2000

    webhook_allow_loopback: bool = False
    webhook_allow_private: bool = False
    fcm_account: Path | None = None
    fcm_url: str = "https://fcm.googleapis.com"
    apns_key: Path | None = None
    apns_key_id: str | None = None
    apns_team_id: str | None = None
    apns_topic: str | None = None
    apns_url: str = "https://api.push.apple.com"

    cors_origins: tuple[str, ...] = ()
    https: bool = False
    metrics_token: str | None = None
    trusted_proxies: str | None = None
    log_level: str = "INFO"

    @property
    def keys_folder(self) -> Path:
        return self.keys or self.data / "keys"

    @property
    def free_space(self) -> FreeSpace:
        return FreeSpace([Path(folder) for folder in self.storage_folders], self.min_free_bytes)

    @property
    def sweep_after(self) -> timedelta:
        """Time from the announcement of a medium until the worker looks for its bytes, if no upload was confirmed."""
        return timedelta(seconds=self.upload_slot_seconds)

    @property
    def upload_unused_for(self) -> timedelta:
        """Time after the last upload slot at which an upload counts as abandoned.

        A slot is a set of presigned URLs. A part can arrive until the slot expires, so the lifetime of a slot is
        included.
        """
        return timedelta(days=self.upload_abandoned_days) + self.sweep_after

    @property
    def store_abort_days(self) -> int:
        """Days after which the S3 store itself aborts an unfinished multipart upload.

        This is a last resort, if our own cleanup fails. The store counts from the start of an upload, and an upload
        that started long ago may still be in use. So the number is high.
        """
        return max(30, 4 * self.upload_abandoned_days)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings. Raise `SettingError` if a variable has a bad value."""
        hints = get_type_hints(cls)
        values: dict[str, Any] = {}
        for field in fields(cls):
            name = f"MINGCHA_{field.name.upper()}"
            text = environment.get(name, "")
            if text:
                values[field.name] = _parse(name, text, str(hints[field.name]))
        settings = cls(**values)
        if settings.part_bytes < MIN_PART_BYTES:
            raise SettingError(f"MINGCHA_PART_BYTES must be at least {MIN_PART_BYTES}: S3 joins no smaller parts.")
        if settings.execution not in {"plan", "graphql-core"}:
            raise SettingError(f"MINGCHA_EXECUTION must be plan or graphql-core, not {settings.execution!r}.")
        if settings.upload_abandoned_days < 1:
            raise SettingError("MINGCHA_UPLOAD_ABANDONED_DAYS must be at least 1.")
        return settings


def _parse(name: str, text: str, hint: str) -> Any:
    if "Path" in hint:
        return Path(text)
    if "tuple" in hint:
        return tuple(item.strip() for item in text.split(",") if item.strip())
    if "bool" in hint:
        if text.lower() not in {"true", "false", "1", "0", "yes", "no"}:
            raise SettingError(f"{name} must be true or false, not {text!r}.")
        return text.lower() in {"true", "1", "yes"}
    if "int" in hint:
        if not text.isdigit():
            raise SettingError(f"{name} must be a whole number, not {text!r}.")
        return int(text)
    return text
