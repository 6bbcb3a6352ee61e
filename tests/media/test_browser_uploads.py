"""Test browser uploads: forms with a signed policy that the store enforces, and origin rules that the product sets."""

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from api.settings import MIB
from storage.s3.bucket_rules import BucketSettings, State, apply_settings
from storage.s3.client import ObjectStore
from tests.support.uploads import JPEG, REQUEST, announce, confirm, fresh_slot, upload
from tests.support.world import World, medium

WEB, OTHER = "https://web.example.org", "https://other.example.org"
SETTINGS = BucketSettings(origins=(WEB,), abort_after_days=30, versioning=False)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as client:
        yield client


async def form_of(world: World, body: bytes = JPEG) -> tuple[dict[str, Any], dict[str, Any]]:
    _, photo, _ = await announce(world, body)
    slot = await fresh_slot(world, photo, form=True)
    assert (slot["kind"], slot["headers"], slot["parts"]) == ("FORM", [], [])
    return photo, slot


async def post(http: httpx.AsyncClient, slot: dict[str, Any], body: bytes = JPEG, **changed: str | None) -> int:
    """Send the form as a browser does, with the fields before the file. Return the status.

    `changed` maps a field to another value, or to None if the field is left out.
    """
    fields = {each["name"]: each["value"] for each in slot["fields"]}
    named = {name.replace("_", "-"): value for name, value in changed.items()}
    given = {name: value for name, value in (fields | named).items() if value is not None}
    return (await http.post(slot["url"], data=given, files={"file": ("photo.jpg", body, "image/jpeg")})).status_code


async def test_a_photo_arrives_by_form(world: World, http: httpx.AsyncClient) -> None:
    photo, slot = await form_of(world)
    assert await post(http, slot) == 204
    [confirmed] = await confirm(world, photo["id"])
    assert confirmed["media"]["state"] == "UPLOADED"


async def test_a_large_file_is_sent_in_one_form(world: World, http: httpx.AsyncClient) -> None:
    body = bytes(range(256)) * (9 * MIB // 256)
    photo, slot = await form_of(world, body)
    assert await post(http, slot, body) == 204
    [confirmed] = await confirm(world, photo["id"])
    assert confirmed["media"]["state"] == "UPLOADED"


async def test_one_request_can_ask_for_a_form_and_a_put(world: World, http: httpx.AsyncClient) -> None:
    _, photo, _ = await announce(world, JPEG)
    asked = {"media": [{"mediaId": photo["id"], "form": True}, {"mediaId": photo["id"]}]}
    results = (await world.ask("inspector", REQUEST, input=asked))["requestUploads"]["results"]
    assert [each["slot"]["kind"] for each in results] == ["FORM", "SINGLE"]
    assert await post(http, results[0]["slot"]) == 204
    assert await upload(http, results[1]["slot"], JPEG) == 200
    await confirm(world, photo["id"])
    for form in (True, False):
        asked = {"media": [{"mediaId": photo["id"], "form": form}]}
        [result] = (await world.ask("inspector", REQUEST, input=asked))["requestUploads"]["results"]
        assert (result["hasArrived"], result["slot"]) == (True, None)


async def test_a_form_for_another_persons_medium_is_refused(world: World) -> None:
    _, photo, _ = await announce(world, JPEG)
    before = await world.snapshot()
    asked = {"media": [{"mediaId": photo["id"], "form": True}]}
    for name in ("inspector2", "officer"):
        [result] = (await world.ask(name, REQUEST, input=asked))["requestUploads"]["results"]
        assert (result["refusal"]["code"], result["slot"]) == ("NOT_FOUND", None)
    assert await world.snapshot() == before


async def test_the_store_enforces_the_policy(world: World, http: httpx.AsyncClient) -> None:
    """The store refuses another size, type, digest or key, an added field or a changed policy, and stores nothing."""
    photo, slot = await form_of(world)
    document = await world.store.mongo.collection("media").find_one({"_id": photo["id"]})
    assert document
    elsewhere = document["key"].replace(photo["id"], medium()["id"])
    policy = next(each["value"] for each in slot["fields"] if each["name"] == "policy")
    widened = json.loads(base64.b64decode(policy)) | {"expiration": "2099-01-01T00:00:00Z"}
    other = base64.b64encode(bytes(32)).decode()
    refusals = [
        await post(http, slot, JPEG + b"x"),
        await post(http, slot, JPEG[:-1]),
        await post(http, slot, bytes([JPEG[0] ^ 1]) + JPEG[1:]),
        await post(http, slot, Content_Type="text/html"),
        await post(http, slot, Content_Type=None),
        await post(http, slot, x_amz_checksum_sha256=other),
        await post(http, slot, x_amz_checksum_sha256=None),
        await post(http, slot, key=elsewhere),
        await post(http, slot, x_amz_meta_a="b"),
        await post(http, slot, policy=base64.b64encode(json.dumps(widened).encode()).decode()),
        await post(http, slot, policy=None),
    ]
    assert refusals == [400, 400, 400, 403, 403, 403, 403, 403, 403, 403, 403]
    assert [await world.store.objects.size_of(key) for key in (document["key"], elsewhere)] == [None, None]
    [unconfirmed] = await confirm(world, photo["id"])
    assert unconfirmed["refusal"]["code"] == "NOT_ARRIVED"
    assert await post(http, slot) == 204


async def test_an_expired_form_is_refused(world: World, http: httpx.AsyncClient) -> None:
    world.settings = replace(world.settings, upload_slot_seconds=-1)
    photo, slot = await form_of(world)
    assert await post(http, slot) == 403
    [unconfirmed] = await confirm(world, photo["id"])
    assert unconfirmed["refusal"]["code"] == "NOT_ARRIVED"


async def preflight(http: httpx.AsyncClient, url: str, origin: str, method: str) -> bool:
    """Return whether a browser would let a page of `origin` send this request."""
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type,content-md5,if-none-match,x-amz-checksum-sha256",
    }
    answer = await http.options(url, headers=headers)
    allowed = answer.headers.get("access-control-allow-origin") in {origin, "*"}
    methods = answer.headers.get("access-control-allow-methods", "")
    asked = {each.strip().lower() for each in answer.headers.get("access-control-allow-headers", "").split(",")}
    wanted = set(headers["Access-Control-Request-Headers"].split(","))
    return answer.is_success and allowed and method in methods and wanted <= asked


async def test_only_pages_of_allowed_origins_can_upload_and_read(world: World, http: httpx.AsyncClient) -> None:
    _, _, slot = await announce(world, JPEG)
    url = slot["url"].split("?")[0]
    assert [await preflight(http, url, origin, "PUT") for origin in (WEB, OTHER)] == [False, False]
    await apply_settings(world.store.objects, SETTINGS)
    assert [await preflight(http, url, WEB, method) for method in ("PUT", "POST", "GET")] == [True, True, True]
    assert [await preflight(http, url, OTHER, method) for method in ("PUT", "POST", "GET")] == [False, False, False]
    assert await preflight(http, url, WEB, "DELETE") is False
    headers = {each["name"]: each["value"] for each in slot["headers"]}
    answer = await http.put(slot["url"], content=JPEG, headers=headers | {"Origin": WEB})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == WEB
    assert answer.headers["access-control-expose-headers"] == "ETag"
    _, form = await form_of(world)
    fields = {each["name"]: each["value"] for each in form["fields"]}
    for origin, told in ((WEB, WEB), (OTHER, None)):
        file = {"file": ("photo.jpg", JPEG, "image/jpeg")}
        answer = await http.post(form["url"], data=fields, files=file, headers={"Origin": origin})
        assert (answer.status_code, answer.headers.get("access-control-allow-origin")) == (204, told)
    # An origin that was removed is no longer admitted.
    await apply_settings(world.store.objects, replace(SETTINGS, origins=(OTHER,)))
    assert [await preflight(http, url, origin, "PUT") for origin in (WEB, OTHER)] == [False, True]


async def test_bucket_rules_of_others_are_kept(store: ObjectStore) -> None:
    theirs = {"ID": "theirs", "AllowedOrigins": ["https://a.example"], "AllowedMethods": ["GET"], "MaxAgeSeconds": 5}
    expiry = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 3}}
    await store.ask("put_bucket_cors", CORSConfiguration={"CORSRules": [theirs]})
    await store.ask("put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": [expiry]})

    async def names() -> tuple[list[str], list[str]]:
        cors = (await store.ask("get_bucket_cors"))["CORSRules"]
        rules = (await store.ask("get_bucket_lifecycle_configuration"))["Rules"]
        return [each["ID"] for each in cors], [each["ID"] for each in rules]

    await apply_settings(store, replace(SETTINGS, set_rules=False))
    assert await names() == (["theirs"], ["theirs"])
    for _ in range(2):
        found = {each.feature: each.state for each in await apply_settings(store, SETTINGS)}
        assert (found["cors"], found["lifecycle"]) == (State.ON, State.ON)
        assert await names() == (["theirs", "mingcha"], ["theirs", "mingcha-abandoned-uploads"])
    await apply_settings(store, replace(SETTINGS, origins=()))
    assert await names() == (["theirs"], ["theirs", "mingcha-abandoned-uploads"])
