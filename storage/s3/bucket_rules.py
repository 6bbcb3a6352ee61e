"""The bucket's own rules: what the store offers for keeping evidence, looked at and, where wished, set.

Nothing here is needed for service: a store that knows a feature not, or refuses to tell, is reported and left alone. Rules that
others have set stay; ours bear a name of their own. When this is done, and who is told, is left to `api`.
"""

import enum
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from schema.core.refusals import Refusal, RefusalCode
from schema.media.object_keys import FOLDER
from storage.s3.client import ObjectStore, ObjectStoreDeclinedError

RULE = "mingcha"
"""Name of our rules among those of others."""
ONCE = ".once"
"""Key of the object with which conditional writes are tried."""
MAX_AGE_SECONDS = 600
_NONE = frozenset({"NoSuchCORSConfiguration", "NoSuchLifecycleConfiguration", "ObjectLockConfigurationNotFoundError"})
_UNREACHED = frozenset({"NoSuchBucket", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed"})
"""The store said no to us, not to the question."""
_FORBIDDEN = frozenset({"AccessDenied", "AllAccessDisabled", "403"})
_REFUSED_CONDITION = frozenset({"PreconditionFailed", "412"})


class State(enum.Enum):
    ON = "on"
    OFF = "off"
    UNSUPPORTED = "unsupported"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True)
class BucketFinding:
    """A feature of the store: how it stands, and a sentence for operators."""

    feature: str
    state: State
    says: str


@dataclass(frozen=True)
class Wishes:
    """What is to be set: with `set_rules` false only `versioning` is, and the rest looked at."""

    origins: Sequence[str]
    abort_after_days: int
    versioning: bool
    set_rules: bool = True


async def prepare(objects: ObjectStore, wishes: Wishes) -> list[BucketFinding]:
    """Set what is wished where it differs, and say how each feature stands; any number may do so at once.

    Notes in `objects` whether the first write wins and whether it can hold objects. Raise `Refusal(UNAVAILABLE)` where
    the bucket can't be reached.
    """
    return [
        await _found("versioning", lambda: _versioning(objects, wanted=wishes.versioning)),
        await _found("objectLock", lambda: _object_lock(objects)),
        await _found("lifecycle", lambda: _lifecycle(objects, wishes)),
        await _found("cors", lambda: _cors(objects, wishes)),
        await _found("firstWriteWins", lambda: _first_write_wins(objects)),
    ]


async def _found(feature: str, look: Callable[[], Awaitable[tuple[State, str]]]) -> BucketFinding:
    try:
        return BucketFinding(feature, *await look())
    except ObjectStoreDeclinedError as no:
        if no.code in _UNREACHED:
            raise Refusal(RefusalCode.UNAVAILABLE) from no
        if no.code in _FORBIDDEN:
            return BucketFinding(feature, State.FORBIDDEN, "The key may not ask for this, or not set it.")
        return BucketFinding(feature, State.UNSUPPORTED, f"The store does not take part: {no.code}.")


async def _rules(objects: ObjectStore, operation: str, name: str) -> list[dict[str, Any]]:
    """Rules as the store has them; none where it says that there are none."""
    try:
        found: list[dict[str, Any]] = (await objects.ask(operation)).get(name, [])
    except ObjectStoreDeclinedError as no:
        if no.code in _NONE:
            return []
        raise
    return found


async def _versioning(objects: ObjectStore, *, wanted: bool) -> tuple[State, str]:
    async def is_on() -> bool:
        return bool((await objects.ask("get_bucket_versioning")).get("Status") == "Enabled")

    if wanted and not await is_on():
        await objects.ask("put_bucket_versioning", VersioningConfiguration={"Status": "Enabled"})
    if await is_on():
        return State.ON, "What is overwritten or deleted stays as an older version."
    return State.OFF, "What is written over is gone; MINGCHA_S3_VERSIONING switches it on, for stores that bear it."


async def _object_lock(objects: ObjectStore) -> tuple[State, str]:
    try:
        found = (await objects.ask("get_object_lock_configuration")).get("ObjectLockConfiguration", {})
    except ObjectStoreDeclinedError as no:
        if no.code in _NONE:
            return State.OFF, "The bucket was made without object lock; only a new bucket can have it."
        raise
    if found.get("ObjectLockEnabled") != "Enabled":
        return State.OFF, "The bucket was made without object lock; only a new bucket can have it."
    objects.can_hold = True
    kept = found.get("Rule", {}).get("DefaultRetention")
    held = "Every verified original gets a legal hold"
    if not kept:
        return State.ON, f"{held}; the bucket has no default retention."
    period = f"{kept['Years']} years" if "Years" in kept else f"{kept.get('Days')} days"
    return State.ON, f"{held}; the bucket keeps every object for {period} ({kept.get('Mode')})."


async def _lifecycle(objects: ObjectStore, wishes: Wishes) -> tuple[State, str]:
    ours = {
        "ID": f"{RULE}-abandoned-uploads",
        "Status": "Enabled",
        "Filter": {"Prefix": FOLDER},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": wishes.abort_after_days},
    }
    rules = await _rules(objects, "get_bucket_lifecycle_configuration", "Rules")
    others = [rule for rule in rules if rule.get("ID") != ours["ID"]]
    if any(rule.get("AbortIncompleteMultipartUpload") and rule.get("Status") == "Enabled" for rule in others):
        return State.ON, "A rule of yours ends unfinished uploads."
    if wishes.set_rules and ours not in rules:
        configuration = {"Rules": [*others, ours]}
        await objects.ask("put_bucket_lifecycle_configuration", LifecycleConfiguration=configuration)
        rules = await _rules(objects, "get_bucket_lifecycle_configuration", "Rules")
    if any(rule.get("ID") == ours["ID"] for rule in rules):
        return State.ON, "The store ends what is unfinished long after the worker should have."
    return State.OFF, "The store keeps unfinished uploads until the worker ends them."


async def _cors(objects: ObjectStore, wishes: Wishes) -> tuple[State, str]:
    ours = {
        "ID": RULE,
        "AllowedOrigins": list(wishes.origins),
        "AllowedMethods": ["GET", "HEAD", "PUT", "POST"],
        "AllowedHeaders": ["content-type", "content-md5", "if-none-match", "x-amz-checksum-sha256"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": MAX_AGE_SECONDS,
    }
    rules = await _rules(objects, "get_bucket_cors", "CORSRules")
    others = [rule for rule in rules if rule.get("ID") != RULE]
    wanted = [*others, ours] if wishes.origins else others
    if wishes.set_rules and sorted(map(repr, map(_sorted, wanted))) != sorted(map(repr, map(_sorted, rules))):
        if wanted:
            await objects.ask("put_bucket_cors", CORSConfiguration={"CORSRules": wanted})
        else:
            await objects.ask("delete_bucket_cors")
        rules = await _rules(objects, "get_bucket_cors", "CORSRules")
    if any(rule.get("ID") == RULE for rule in rules):
        return State.ON, "Pages of MINGCHA_CORS_ORIGINS may upload to the bucket and read from it."
    if rules:
        return State.ON, "The bucket has rules of yours, and none of Mingcha's."
    return State.OFF, "The bucket has no rule: pages of other origins are left to the store's own default."


def _sorted(rule: dict[str, Any]) -> list[tuple[str, Any]]:
    return sorted((name, sorted(value) if isinstance(value, list) else value) for name, value in rule.items())


async def _first_write_wins(objects: ObjectStore) -> tuple[State, str]:
    """Write one object twice on condition that it isn't there: the second time at the latest must be refused."""
    objects.first_write_wins = False
    for _ in range(2):
        try:
            await objects.ask("put_object", Key=ONCE, Body=b"", IfNoneMatch="*")
        except ObjectStoreDeclinedError as no:
            if no.code not in _REFUSED_CONDITION:
                raise
            objects.first_write_wins = True
            return State.ON, "An original that is there can't be written over by a PUT."
    return State.OFF, "The store ignores If-None-Match: a PUT with a valid signature can write over an original."
