"""Test bucket settings: requested features are used and reported truly, and a missing one does no harm."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from api.accounts.key_ring import KeyRing
from api.graphql.context import clock
from api.media.verification import MediaVerifier
from api.settings import Settings
from schema.core.refusals import Refusal, RefusalCode
from storage.embedded.engines import Addresses
from storage.formats.sandbox import Decoder
from storage.mongodb.client import Mongo
from storage.s3.bucket_rules import BucketFinding, BucketSettings, State, apply_settings
from storage.s3.client import ObjectStore, ObjectStoreDeclinedError
from storage.store import Store
from tests.support.uploads import JPEG, announce, confirm, only_medium, upload
from tests.support.world import World

SETTINGS = BucketSettings(origins=("https://web.example.org",), abort_after_days=30, versioning=False)
FEATURES = ["versioning", "objectLock", "lifecycle", "cors", "firstWriteWins"]


def by_feature(found: list[BucketFinding]) -> dict[str, BucketFinding]:
    assert [each.feature for each in found] == FEATURES
    return {each.feature: each for each in found}


async def test_versioning_is_switched_on_on_request_and_never_switched_off(store: ObjectStore) -> None:
    assert by_feature(await apply_settings(store, SETTINGS))["versioning"].state is State.OFF
    for wanted in (True, False):
        found = by_feature(await apply_settings(store, replace(SETTINGS, versioning=wanted)))
        assert found["versioning"].state is State.ON
    for body in (b"first", b"second"):
        await store.put("thumbnails/x", body, "image/jpeg")
    versions = (await store.ask("list_object_versions", Prefix="thumbnails/"))["Versions"]
    assert sorted(each["Size"] for each in versions) == [5, 6]
    assert await store.size_of("thumbnails/x") == 6


@pytest.fixture
async def locked(engines: Addresses) -> AsyncIterator[ObjectStore]:
    made = replace(engines, s3_bucket=f"test-{uuid.uuid4().hex}").store()
    await made.ask("create_bucket", ObjectLockEnabledForBucket=True)
    yield made
    await made.drop_bucket()
    made.close()


async def test_object_lock_and_default_retention_of_a_bucket_are_reported(locked: ObjectStore) -> None:
    found = by_feature(await apply_settings(locked, SETTINGS))
    assert (found["objectLock"].state, found["versioning"].state) == (State.ON, State.ON)
    assert found["objectLock"].says == "Every verified original gets a legal hold. The bucket has no default retention."
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    await locked.ask("put_object_lock_configuration", ObjectLockConfiguration=configuration)
    says = by_feature(await apply_settings(locked, replace(SETTINGS, versioning=True)))["objectLock"].says
    assert says.endswith("The bucket keeps every object for 1 days (GOVERNANCE).")
    configuration.pop("Rule")
    await locked.ask("put_object_lock_configuration", ObjectLockConfiguration=configuration)


async def test_only_a_verified_original_gets_a_legal_hold(mongo: Mongo, locked: ObjectStore, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    world = await World(Store(mongo, locked), settings, KeyRing(settings.keys_folder)).build()
    await apply_settings(locked, SETTINGS)
    async with Decoder() as decoder, httpx.AsyncClient(timeout=30) as http:
        work = MediaVerifier(world.store, decoder, tmp_path, clock)
        id, photo, slot = await announce(world, JPEG)
        assert await upload(http, slot, JPEG) == 200
        await confirm(world, photo["id"])
        assert await work.do_one()
    assert (await only_medium(world, id))["state"] == "READY"
    versions = (await locked.ask("list_object_versions"))["Versions"]
    key = f"originals/{photo['id']}-{photo['sha256']}"
    keys = sorted(each["Key"] for each in versions)
    [stored] = await world.store.media.many([photo["id"]])
    assert keys == sorted([".once", key, *(made.key for made in stored.thumbnails)])
    assert len(keys) == 4
    for each in versions:
        if each["Key"] != key:
            await locked.ask("delete_object", Key=each["Key"], VersionId=each["VersionId"])
            continue
        with pytest.raises(ObjectStoreDeclinedError, match="AccessDenied"):
            await locked.ask("delete_object", Key=key, VersionId=each["VersionId"])
    await locked.ask("put_object_legal_hold", Key=key, LegalHold={"Status": "OFF"})


async def test_no_lifecycle_rule_is_added_beside_an_operators_own(store: ObjectStore) -> None:
    theirs = {
        "ID": "theirs",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 60},
    }
    await store.ask("put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": [theirs]})
    assert (
        by_feature(await apply_settings(store, SETTINGS))["lifecycle"].says
        == "A rule of yours ends unfinished uploads."
    )
    rules = (await store.ask("get_bucket_lifecycle_configuration"))["Rules"]
    assert [each["ID"] for each in rules] == ["theirs"]


async def test_several_processes_can_apply_the_settings_at_once(store: ObjectStore) -> None:
    found = await asyncio.gather(*(apply_settings(store, SETTINGS) for _ in range(4)))
    assert all(by_feature(each)["firstWriteWins"].state is State.ON for each in found)
    assert store.first_write_wins
    assert len((await store.ask("get_bucket_cors"))["CORSRules"]) == 1


async def test_a_missing_bucket_or_a_wrong_key_is_refused_as_unavailable(engines: Addresses) -> None:
    for changed in ({"s3_bucket": "test-none"}, {"s3_access_key": "stranger"}, {"s3_secret_key": "guessed"}):
        made = replace(engines, **changed).store()
        with pytest.raises(Refusal) as refused:
            await apply_settings(made, SETTINGS)
        made.close()
        assert refused.value.code is RefusalCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("status", "code", "state"),
    [(501, "NotImplemented", State.UNSUPPORTED), (403, "AccessDenied", State.FORBIDDEN)],
)
async def test_features_that_a_store_lacks_or_forbids_are_reported_without_an_error(
    engines: Addresses, status: int, code: str, state: State
) -> None:
    """The store declines every request, so the client must not rely on any feature."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        await reader.readexactly(int(sizes[0].split(b":")[1]) if sizes else 0)
        body = f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode()
        writer.write(
            f"HTTP/1.1 {status} No\r\nContent-Length: {len(body)}\r\nContent-Type: application/xml\r\n"
            "Connection: close\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made = replace(engines, s3_endpoint=f"http://127.0.0.1:{port}").store()
    async with server:
        found = by_feature(await apply_settings(made, replace(SETTINGS, versioning=True)))
        assert {each.state for each in found.values()} == {state}
        assert made.first_write_wins is False
    made.close()


async def test_a_setting_forbidden_by_policy_is_reported_and_the_rest_is_applied(store: ObjectStore) -> None:
    denied = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": ["s3:PutBucketCORS", "s3:PutBucketCors"],
                "Resource": f"arn:aws:s3:::{store.bucket}",
            }
        ],
    }
    await store.ask("put_bucket_policy", Policy=json.dumps(denied))
    try:
        found = by_feature(await apply_settings(store, SETTINGS))
    finally:
        await store.ask("delete_bucket_policy")
    assert (found["cors"].state, found["lifecycle"].state) == (State.FORBIDDEN, State.ON)
    with pytest.raises(ObjectStoreDeclinedError, match="NoSuchCORSConfiguration"):
        await store.ask("get_bucket_cors")
