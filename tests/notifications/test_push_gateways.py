"""Test push gateways: the exact calls to FCM and APNs, against a local receiver, and what their answers mean."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from api.graphql.context import clock
from api.notifications.push_gateways import WakeOutcome, build_gateways, push_client
from api.notifications.push_worker import PushWorker
from api.server import worker
from api.settings import SettingError, Settings
from api.telemetry.metrics import Metrics
from schema.notifications.push_tokens import PushService
from tests.support.case_steps import assign_case
from tests.support.http2_push_server import apple, certified
from tests.support.http_receiver import Receiver, receiving
from tests.support.push_tokens import (
    clock_ahead,
    register_token,
    run_event_worker,
    sign_in_device,
    store_event_position,
)
from tests.support.world import ASSIGN, World, new_id

FCM, APNS = "fcm:token_1", "ab" * 32


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


def fcm_settings(folder: Path, address: str) -> tuple[Settings, RSAKey]:
    key = RSAKey.generate_key(2048)
    account = {
        "project_id": "mingcha-test",
        "private_key": key.as_pem(private=True).decode(),
        "client_email": "push@example.invalid",
        "token_uri": f"{address}/token",
    }
    (folder / "fcm.json").write_text(json.dumps(account))
    return replace(Settings(), fcm_account=folder / "fcm.json", fcm_url=address), key


async def test_calls_to_fcm_follow_its_api_and_reveal_nothing(world: World, receiver: Receiver, tmp_path: Path) -> None:
    settings, key = fcm_settings(tmp_path, receiver.address)
    receiver.answer = lambda call: (
        200,
        {"access_token": "opened", "expires_in": 3600} if call.path == "/token" else {},
    )
    given = {"id": new_id("asg"), "unitId": world.units["360703-JT"].id, "assigneeId": world.people["inspector"].id}
    await sign_in_device(world, "inspector")
    await register_token(world, "inspector")
    await store_event_position(world)
    await world.ask("officer", ASSIGN, input=given | {"note": "暗访交通局窗口"})
    await run_event_worker(world, until="inspector")
    async with httpx.AsyncClient(http2=True) as client:
        found = build_gateways(settings, client)
        await PushWorker(world.store, found, clock_ahead(timedelta(seconds=5))).do_all()
        assert await found[PushService.FCM].wake("fcm:other") is WakeOutcome.SENT
    token, *sent = receiver.calls
    assertion = dict(pair.split("=") for pair in token.body.decode().split("&"))["assertion"]
    claims = jwt.decode(assertion, key).claims
    assert (claims["iss"], claims["aud"]) == ("push@example.invalid", f"{receiver.address}/token")
    assert [call.path for call in sent] == ["/v1/projects/mingcha-test/messages:send"] * 2
    assert sent[0].headers["authorization"] == "Bearer opened"
    message = json.loads(sent[0].body)["message"]
    assert message["token"] == FCM
    assert message["data"] == {"kind": "changes"}
    assert "notification" not in message
    for secret in (given["id"], "暗访", world.people["inspector"].id, world.people["inspector"].display_name):
        assert secret not in sent[0].body.decode()


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (404, {"error": {"details": [{"errorCode": "UNREGISTERED"}]}}, WakeOutcome.UNREGISTERED),
        (403, {"error": {"details": [{"errorCode": "SENDER_ID_MISMATCH"}]}}, WakeOutcome.UNREGISTERED),
        (400, {"error": {"details": [{"errorCode": "INVALID_ARGUMENT"}]}}, WakeOutcome.REFUSED),
        (404, "a proxy that knows no such page", WakeOutcome.REFUSED),
        (429, {}, WakeOutcome.LATER),
        (503, "down", WakeOutcome.LATER),
        (401, {}, WakeOutcome.LATER),
        (302, "http://127.0.0.1:1/", WakeOutcome.REFUSED),
    ],
)
async def test_each_answer_of_fcm_has_its_outcome(
    receiver: Receiver, tmp_path: Path, status: int, body: Any, outcome: WakeOutcome
) -> None:
    settings, _ = fcm_settings(tmp_path, receiver.address)
    opened = {"access_token": "opened", "expires_in": 3600}
    receiver.answer = lambda call: (200, opened) if call.path == "/token" else (status, body)
    async with httpx.AsyncClient() as client:
        gateway = build_gateways(settings, client)[PushService.FCM]
        assert await gateway.wake(FCM) is outcome
        assert await gateway.wake(FCM) is outcome
    assert len([call for call in receiver.calls if call.path == "/token"]) == (2 if status == 401 else 1)
    async with httpx.AsyncClient() as client:
        nowhere = replace(settings, fcm_url="http://127.0.0.1:1")
        assert await build_gateways(nowhere, client)[PushService.FCM].wake(FCM) is WakeOutcome.LATER


APPLE_SAYS: list[tuple[int, str | None, WakeOutcome]] = [
    (200, None, WakeOutcome.SENT),
    (410, "Unregistered", WakeOutcome.UNREGISTERED),
    (400, "BadDeviceToken", WakeOutcome.UNREGISTERED),
    (400, "PayloadEmpty", WakeOutcome.REFUSED),
    (403, "ExpiredProviderToken", WakeOutcome.LATER),
    (429, "TooManyRequests", WakeOutcome.LATER),
    (500, None, WakeOutcome.LATER),
    (503, "Shutdown", WakeOutcome.LATER),
]


async def test_calls_to_apns_follow_its_api_and_each_answer_has_its_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The calls use HTTP/2 and TLS and the worker's own client. One connection serves all calls until it ends."""
    certificate, private = certified(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    key = ECKey.generate_key("P-256")
    (tmp_path / "key.p8").write_bytes(key.as_pem(private=True))
    named = {"apns_key_id": "KEY1", "apns_team_id": "TEAM1", "apns_topic": "cn.example.mingcha"}
    async with apple(certificate, private) as receiver, push_client() as client:
        settings = replace(Settings(), apns_key=tmp_path / "key.p8", apns_url=receiver.address, **named)  # type: ignore[arg-type]
        gateway = build_gateways(settings, client)[PushService.APNS]
        for status, reason, outcome in APPLE_SAYS:
            receiver.answer = lambda _, said=(status, reason): said  # type: ignore[misc]
            assert await gateway.wake(APNS) is outcome, (status, reason)
        receiver.answer = lambda _: (200, None)
        outcomes: list[WakeOutcome] = []

        async def wake() -> None:
            outcomes.append(await gateway.wake(APNS))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(wake)
        assert outcomes == [WakeOutcome.SENT] * 20
        assert receiver.connections == 1
        receiver.goes_away = True
        assert [await gateway.wake(APNS) for _ in range(3)] == [WakeOutcome.SENT] * 3
        assert receiver.connections == 3
        first, *_ = receiver.calls
        bearers = [call.headers["authorization"] for call in receiver.calls]
    assert (first.headers[":method"], first.path) == ("POST", f"/3/device/{APNS}")
    token = jwt.decode(bearers[0].removeprefix("bearer "), key)
    assert (token.header["alg"], token.header["kid"], token.claims["iss"]) == ("ES256", "KEY1", "TEAM1")
    assert first.headers["apns-topic"] == "cn.example.mingcha"
    assert (first.headers["apns-push-type"], first.headers["apns-priority"]) == ("background", "5")
    assert first.headers["apns-collapse-id"] == "changes"
    assert int(first.headers["apns-expiration"]) > clock().timestamp()
    assert json.loads(first.body) == {"aps": {"content-available": 1}, "kind": "changes"}
    assert len(set(bearers[:5])) == 1, "Apple refuses a token that is renewed too often"
    assert len(set(bearers)) == 2, "and one that it calls expired is made anew"


async def test_an_unreachable_or_untrusted_apns_is_called_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One address has an untrusted certificate. At the other address, no server listens."""
    certificate, private = certified(tmp_path)
    key = ECKey.generate_key("P-256")
    (tmp_path / "key.p8").write_bytes(key.as_pem(private=True))
    named = {"apns_key": tmp_path / "key.p8", "apns_key_id": "K", "apns_team_id": "T", "apns_topic": "t"}
    async with apple(certificate, private) as receiver, push_client() as client:
        for address in (receiver.address, "https://localhost:1"):
            found = build_gateways(replace(Settings(), apns_url=address, **named), client)  # type: ignore[arg-type]
            assert await found[PushService.APNS].wake(APNS) is WakeOutcome.LATER
        assert receiver.calls == []


async def test_the_running_worker_wakes_phones_and_calls_webhooks(
    world: World, receiver: Receiver, tmp_path: Path
) -> None:
    settings, _ = fcm_settings(tmp_path, receiver.address)
    receiver.answer = lambda call: (
        200,
        {"access_token": "opened", "expires_in": 3600} if call.path == "/token" else {},
    )
    await sign_in_device(world, "supervisor")
    await register_token(world, "supervisor")
    world.settings = replace(world.settings, webhook_allow_loopback=True)
    document = "mutation M($input: RegisterWebhookInput!) { registerWebhook(input: $input) { __typename } }"
    await world.ask("admin", document, input={"id": new_id("whk"), "url": f"{receiver.address}/hook"})
    await store_event_position(world)
    await assign_case(world)
    own = replace(settings, data=world.settings.data, keys=tmp_path / "unused", webhook_allow_loopback=True)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.run_worker, own, world.store, Metrics())
        with anyio.fail_after(30):
            while not {"/hook", "/v1/projects/mingcha-test/messages:send"} <= {call.path for call in receiver.calls}:  # noqa: ASYNC110
                await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()
    assert not (tmp_path / "unused").exists(), "a worker holds no keys"


def test_invalid_push_settings_stop_the_start(tmp_path: Path) -> None:
    client = httpx.AsyncClient()
    (tmp_path / "bad").write_text("{}")
    whole = {"apns_key": tmp_path / "bad", "apns_key_id": "a", "apns_team_id": "b", "apns_topic": "c"}
    for named in (
        {"fcm_account": tmp_path / "bad"},
        {"fcm_account": tmp_path / "missing"},
        {"apns_key": tmp_path / "bad"},
        {"apns_topic": "x"},
        whole,
    ):
        with pytest.raises(SettingError):
            build_gateways(replace(Settings(), **named), client)
    assert build_gateways(Settings(), client) == {}
