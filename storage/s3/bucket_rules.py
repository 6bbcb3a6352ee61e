"""Inspect and set the rules of the bucket that protect evidence.

The service also works without these rules. If the store lacks a feature, or denies access to it, this is only reported.
Rules that other people have set are kept. Our own rules are recognised by their name.
"""

import enum
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from schema.core.refusals import Refusal, RefusalCode
from schema.media.object_keys import FOLDER
from storage.s3.client import ObjectStore, ObjectStoreDeclinedError

RULE = "mingcha"
"""The name by which our rules are recognised."""
ONCE = ".once"
"""The key of the object that tests conditional writes."""
MAX_AGE_SECONDS = 600
_NONE = frozenset({"NoSuchCORSConfiguration", "NoSuchLifecycleConfiguration", "ObjectLockConfigurationNotFoundError"})
_UNREACHED = frozenset({"NoSuchBucket", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed"})
"""Error codes that mean that the bucket or our access is wrong, not that the store lacks the operation."""
_FORBIDDEN = frozenset({"AccessDenied", "AllAccessDisabled", "403"})
_REFUSED_CONDITION = frozenset({"PreconditionFailed", "412"})


class State(enum.Enum):
    ON = "on"
    OFF = "off"
    UNSUPPORTED = "unsupported"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True)
class BucketFinding:
    """The state of one feature of the object store. `says` is a sentence for operators."""

    feature: str
    state: State
    says: str


@dataclass(frozen=True)
class BucketSettings:
    """The rules to set in the bucket. If `set_rules` is false, only versioning is set and the rest is inspected."""

    origins: Sequence[str]
    abort_after_days: int
    versioning: bool
    set_rules: bool = True


async def apply_settings(objects: ObjectStore, settings: BucketSettings) -> list[BucketFinding]:
    """Set the rules that differ from `settings`. Return the state of each feature.

    Also set `first_write_wins` and `can_hold` of `objects`. Several processes may call this at the same time. Raise
    `Refusal(UNAVAILABLE)` if the bucket can't be reached.
    """
    return [
        await _inspect("versioning", lambda: _versioning(objects, enable=settings.versioning)),
        await _inspect("objectLock", lambda: _object_lock(objects)),
        await _inspect("lifecycle", lambda: _lifecycle(objects, settings)),
        await _inspect("cors", lambda: _cors(objects, settings)),
        await _inspect("firstWriteWins", lambda: _first_write_wins(objects)),
    ]


async def _inspect(feature: str, inspect: Callable[[], Awaitable[tuple[State, str]]]) -> BucketFinding:
    try:
        return BucketFinding(feature, *await inspect())
    except ObjectStoreDeclinedError as no:
        if no.code in _UNREACHED:
            raise Refusal(RefusalCode.UNAVAILABLE) from no
        if no.code in _FORBIDDEN:
            return BucketFinding(feature, State.FORBIDDEN, "The access key may not read or set this.")
        return BucketFinding(feature, State.UNSUPPORTED, f"The store does not support this: {no.code}.")


async def _rules(objects: ObjectStore, operation: str, name: str) -> list[dict[str, Any]]:
    """Return the rules that the bucket has. The list is empty if the store answers that there is no configuration."""
    try:
        rules: list[dict[str, Any]] = (await objects.ask(operation)).get(name, [])
    except ObjectStoreDeclinedError as no:
        if no.code in _NONE:
            return []
        raise
    return rules


async def _versioning(objects: ObjectStore, *, enable: bool) -> tuple[State, str]:
    async def is_on() -> bool:
        return bool((await objects.ask("get_bucket_versioning")).get("Status") == "Enabled")

    if enable and not await is_on():
        await objects.ask("put_bucket_versioning", VersioningConfiguration={"Status": "Enabled"})
    if await is_on():
        return State.ON, "An overwritten or deleted object stays as an older version."
    return (
        State.OFF,
        "An overwritten object is lost. MINGCHA_S3_VERSIONING switches versioning on, if the store has it.",
    )


async def _object_lock(objects: ObjectStore) -> tuple[State, str]:
    try:
        configuration = (await objects.ask("get_object_lock_configuration")).get("ObjectLockConfiguration", {})
    except ObjectStoreDeclinedError as no:
        if no.code in _NONE:
            return State.OFF, "The bucket was made without object lock. Only a new bucket can have it."
        raise
    if configuration.get("ObjectLockEnabled") != "Enabled":
        return State.OFF, "The bucket was made without object lock. Only a new bucket can have it."
    objects.can_hold = True
    retention = configuration.get("Rule", {}).get("DefaultRetention")
    hold = "Every verified original gets a legal hold."
    if not retention:
        return State.ON, f"{hold} The bucket has no default retention."
    period = f"{retention['Years']} years" if "Years" in retention else f"{retention.get('Days')} days"
    return State.ON, f"{hold} The bucket keeps every object for {period} ({retention.get('Mode')})."


async def _lifecycle(objects: ObjectStore, settings: BucketSettings) -> tuple[State, str]:
    ours = {
        "ID": f"{RULE}-abandoned-uploads",
        "Status": "Enabled",
        "Filter": {"Prefix": FOLDER},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": settings.abort_after_days},
    }
    rules = await _rules(objects, "get_bucket_lifecycle_configuration", "Rules")
    others = [rule for rule in rules if rule.get("ID") != ours["ID"]]
    if any(rule.get("AbortIncompleteMultipartUpload") and rule.get("Status") == "Enabled" for rule in others):
        return State.ON, "A rule of yours ends unfinished uploads."
    if settings.set_rules and ours not in rules:
        configuration = {"Rules": [*others, ours]}
        await objects.ask("put_bucket_lifecycle_configuration", LifecycleConfiguration=configuration)
        rules = await _rules(objects, "get_bucket_lifecycle_configuration", "Rules")
    if any(rule.get("ID") == ours["ID"] for rule in rules):
        return State.ON, "The store ends unfinished uploads, long after the worker should have ended them."
    return State.OFF, "The store keeps unfinished uploads until the worker ends them."


async def _cors(objects: ObjectStore, settings: BucketSettings) -> tuple[State, str]:
    ours = {
        "ID": RULE,
        "AllowedOrigins": list(settings.origins),
        "AllowedMethods": ["GET", "HEAD", "PUT", "POST"],
        "AllowedHeaders": ["content-type", "content-md5", "if-none-match", "x-amz-checksum-sha256"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": MAX_AGE_SECONDS,
    }
    rules = await _rules(objects, "get_bucket_cors", "CORSRules")
    others = [rule for rule in rules if rule.get("ID") != RULE]
    target = [*others, ours] if settings.origins else others
    if settings.set_rules and sorted(map(repr, map(_sort_rule, target))) != sorted(map(repr, map(_sort_rule, rules))):
        if target:
            await objects.ask("put_bucket_cors", CORSConfiguration={"CORSRules": target})
        else:
            await objects.ask("delete_bucket_cors")
        rules = await _rules(objects, "get_bucket_cors", "CORSRules")
    if any(rule.get("ID") == RULE for rule in rules):
        return State.ON, "Pages of MINGCHA_CORS_ORIGINS may upload to the bucket and read from it."
    if rules:
        return State.ON, "The bucket has only rules of yours."
    return State.OFF, "The bucket has no rule. The store's default applies to pages of other origins."


def _sort_rule(rule: dict[str, Any]) -> list[tuple[str, Any]]:
    return sorted((name, sorted(value) if isinstance(value, list) else value) for name, value in rule.items())


async def _first_write_wins(objects: ObjectStore) -> tuple[State, str]:
    """Test whether the store refuses to overwrite an object.

    The object `ONCE` is written twice, on the condition that it does not exist. If the store supports this, it refuses
    at least the second write.
    """
    objects.first_write_wins = False
    for _ in range(2):
        try:
            await objects.ask("put_object", Key=ONCE, Body=b"", IfNoneMatch="*")
        except ObjectStoreDeclinedError as no:
            if no.code not in _REFUSED_CONDITION:
                raise
            objects.first_write_wins = True
            return State.ON, "A PUT can't overwrite a stored original."
    return State.OFF, "The store ignores If-None-Match: a PUT with a valid signature can overwrite an original."
