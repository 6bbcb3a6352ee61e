"""Webhooks: who sets them, where they may lead, what they are told and how it is signed, and what failures come to."""

import hmac
import json
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api.context import clock
from api.outgoing import NotThere, Outgoing, Rules, caller
from api.waking import NoticeWork
from api.webhook_work import LEASE, WebhookWork
from schema.refusals import Refusal
from schema.webhooks import MOST_FAILURES, MOST_OF_OFFICE, check_url
from tests.receivers import Call, Receiver, receiving
from tests.test_push_tokens import at, started
from tests.test_pushes import give
from tests.world import World, new_id

FIELDS = "... on WebhookPayload { webhook { id url state disabledReason } secret } ... on Refused { code field }"
REGISTER = f"mutation M($input: RegisterWebhookInput!) {{ answer: registerWebhook(input: $input) {{ {FIELDS} }} }}"
ROTATE = (
    f"mutation M($input: RotateWebhookSecretInput!) {{ answer: rotateWebhookSecret(input: $input) {{ {FIELDS} }} }}"
)
ENABLE = f"mutation M($input: WebhookInput!) {{ answer: enableWebhook(input: $input) {{ {FIELDS} }} }}"
REMOVE = "mutation M($input: WebhookInput!) { answer: removeWebhook(input: $input) { ... on WebhookRemoved { id } } }"
LIST = "{ webhooks { id url state disabledReason } }"
DELIVERIES = """
query D($id: ID!, $first: Int = 20) {
  webhookDeliveries(id: $id, first: $first) {
    edges { node { id kind recordId recordState state attempts failure deliveredAt } } pageInfo { hasNextPage }
  }
}"""


@pytest.fixture
def driver() -> str:
    return "motor"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


async def register(world: World, url: str, name: str = "admin", id: str | None = None) -> dict[str, Any]:
    world.settings = replace(world.settings, webhook_allow_loopback=True)
    given = {"id": id or new_id("whk"), "url": url}
    answer: dict[str, Any] = (await world.ask(name, REGISTER, input=given))["answer"]
    return answer


async def deliveries(world: World, id: str) -> list[dict[str, Any]]:
    edges = (await world.ask("admin", DELIVERIES, id=id))["webhookDeliveries"]["edges"]
    return [edge["node"] for edge in edges]


async def heard(world: World, id: str, record_id: str, state: str) -> None:
    """Run the hearing part of a worker until that is to be delivered."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(NoticeWork(world.store, clock).run)
        with anyio.fail_after(15):
            while not any(  # noqa: ASYNC110  the database has no event to wait for
                (each["recordId"], each["recordState"]) == (record_id, state) for each in await deliveries(world, id)
            ):
                await anyio.sleep(0.02)
        tasks.cancel_scope.cancel()


async def told(world: World, later: timedelta = timedelta()) -> None:
    """Everything that is due is sent."""
    async with caller() as client:
        await WebhookWork(world.store, Outgoing(Rules(loopback=True), client), at(later)).do_all()


def verify(call: Call, secret: str) -> bool:
    """As a receiver does it."""
    parts = [pair.split("=", 1) for pair in call.headers["mingcha-signature"].split(",")]
    [seconds] = [value for name, value in parts if name == "t"]
    expected = hmac.digest(secret.encode(), seconds.encode() + b"." + call.body, "sha256").hex()
    return any(hmac.compare_digest(value, expected) for name, value in parts if name == "v1")


async def test_a_change_is_told_signed_and_names_no_person(world: World, receiver: Receiver) -> None:
    made = await register(world, f"{receiver.address}/hook?x=1")
    id, secret = made["webhook"]["id"], made["secret"]
    await started(world)
    case_id, assignment_id = await give(world, "inspector")
    await world.open_case("neighbour", await world.observe("neighbour", unit="360783-JT-1"))
    await heard(world, id, assignment_id, "OFFERED")
    await told(world)
    bodies = [json.loads(call.body) for call in receiver.calls]
    assert {(each["kind"], each["id"]) for each in bodies} == {("CASE", case_id), ("ASSIGNMENT", assignment_id)}
    assert all(set(each) == {"delivery", "kind", "id", "state", "changedAt"} for each in bodies)
    assert all(verify(call, secret) and not verify(call, "other") for call in receiver.calls)
    assert {call.headers["mingcha-delivery"] for call in receiver.calls} == {each["delivery"] for each in bodies}
    assert receiver.calls[0].path == "/hook"
    rows = await deliveries(world, id)
    assert {(each["state"], each["attempts"], each["failure"]) for each in rows} == {("DELIVERED", 1, None)}
    assert (await world.ask("admin", DELIVERIES, id=id, first=1))["webhookDeliveries"]["pageInfo"]["hasNextPage"]
    before = len(receiver.calls)
    await world.store.notices.leave("waking")
    await told(world)
    assert len(receiver.calls) == before


async def test_a_secret_is_shown_once_and_both_are_good_while_it_changes(world: World, receiver: Receiver) -> None:
    id, rotation = new_id("whk"), new_id("evt")
    first = (await register(world, receiver.address, id=id))["secret"]
    again = await register(world, receiver.address, id=id)
    assert (again["webhook"]["id"], again["secret"]) == (id, None)
    assert (await register(world, receiver.address + "/other", id=id))["code"] == "CONFLICT"
    given = {"id": id, "rotationId": rotation}
    second = (await world.ask("admin", ROTATE, input=given))["answer"]["secret"]
    assert second != first
    assert (await world.ask("admin", ROTATE, input=given))["answer"]["secret"] is None
    await started(world)
    case_id, _ = await give(world)
    await heard(world, id, case_id, "ASSIGNED")
    await told(world)
    assert all(verify(call, first) and verify(call, second) for call in receiver.calls)
    count = len(receiver.calls)
    [webhook] = await world.store.webhooks.many([id])
    await world.store.mongo.collection("webhook_deliveries").update_many(
        {}, {"$set": {"state": "WAITING", "due_at": clock()}}
    )
    await told(world, timedelta(hours=25))
    assert all(verify(call, second) and not verify(call, first) for call in receiver.calls[count:])
    assert len(receiver.calls) > count
    assert first not in repr(webhook)


async def test_failures_are_tried_again_and_come_to_an_end_that_is_told(world: World, receiver: Receiver) -> None:
    receiver.answer = lambda _: (500, {})
    id = (await register(world, receiver.address))["webhook"]["id"]
    await started(world)
    case_id, _ = await give(world)
    await heard(world, id, case_id, "ASSIGNED")
    await told(world)
    assert len(receiver.calls) == 1, "the others wait with it"
    later = timedelta()
    while (await world.ask("admin", LIST))["webhooks"][0]["state"] == "ACTIVE":
        later += timedelta(hours=7)
        await told(world, later)
    assert len(receiver.calls) == MOST_FAILURES
    assert (await world.ask("admin", LIST))["webhooks"][0]["disabledReason"] == "It answered 500."
    assert {each["state"] for each in await deliveries(world, id)} == {"GIVEN_UP"}
    receiver.answer = lambda _: (204, None)
    assert (await world.ask("admin", ENABLE, input={"id": id}))["answer"]["webhook"]["state"] == "ACTIVE"
    other, _ = await give(world)
    await heard(world, id, other, "ASSIGNED")
    await told(world)
    done = [each for each in await deliveries(world, id) if each["state"] == "DELIVERED"]
    assert other in {each["recordId"] for each in done}


async def test_a_worker_that_dies_while_it_sends_loses_nothing(world: World, receiver: Receiver) -> None:
    id = (await register(world, receiver.address))["webhook"]["id"]
    await started(world)
    case_id, _ = await give(world)
    await heard(world, id, case_id, "ASSIGNED")
    claimed = await world.store.webhooks.claim(clock(), LEASE)  # and dies
    assert claimed
    await told(world)
    assert claimed.id not in {call.headers["mingcha-delivery"] for call in receiver.calls}
    await told(world, LEASE * 2)
    assert claimed.id in {call.headers["mingcha-delivery"] for call in receiver.calls}


async def test_only_administrators_of_the_scope_see_and_change_it(world: World, receiver: Receiver) -> None:
    id = (await register(world, receiver.address))["webhook"]["id"]
    await give(world)
    admin = world.people["admin"]
    admin.scope_ids, admin.scope_paths = (world.units["360783"].id,), (world.units["360783"].path,)
    before = await world.store.mongo.collection("webhooks").find({})
    assert (await world.ask("admin", LIST))["webhooks"] == []
    assert (await world.ask("admin", ENABLE, input={"id": id}))["answer"]["code"] == "NOT_FOUND"
    turn = {"id": id, "rotationId": new_id("evt")}
    assert (await world.ask("admin", ROTATE, input=turn))["answer"]["code"] == "NOT_FOUND"
    assert await world.errors("admin", DELIVERIES, id=id) == ["NOT_FOUND"]
    assert (await world.ask("admin", "query($id: ID!) { node(id: $id) { id } }", id=id))["node"] is None
    await world.ask("admin", REMOVE, input={"id": id})
    assert (await register(world, receiver.address, "officer"))["code"] == "FORBIDDEN"
    assert await world.store.mongo.collection("webhooks").find({}) == before
    admin.scope_ids, admin.scope_paths = (world.units["360703"].id,), (world.units["360703"].path,)
    for _ in range(2):
        assert (await world.ask("admin", REMOVE, input={"id": id}))["answer"] == {"id": id}
    assert await world.store.mongo.collection("webhook_deliveries").find({}) == []
    for _ in range(MOST_OF_OFFICE):
        assert (await register(world, receiver.address))["secret"]
    assert (await register(world, receiver.address))["code"] == "LIMIT_EXCEEDED"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "https://user:secret@example.com/",
        "https://example.com/#a",
        "https:///x",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://[::1/",
        "https://exa mple.com/",
        "https://例子.cn/",
        "https://example.com/" + "a" * 2000,
        "",
    ],
)
def test_what_is_no_address_to_tell_is_refused(url: str) -> None:
    with pytest.raises(Refusal):
        check_url(url, plain=False)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),  # noqa: S104
        *("224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1"),
    ],
)
async def test_a_name_that_leads_inside_is_not_called(address: str) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["93.184.215.14", address]

    async with caller() as client:
        with pytest.raises(NotThere):
            await Outgoing(Rules(), client, resolve=resolve).check("https://example.com/")


async def test_private_networks_are_called_where_a_setting_says_so_and_never_the_clouds_own_address() -> None:
    async with caller() as client:
        for address, admitted in (
            ("10.0.0.1", True),
            ("fc00::1", True),
            ("127.0.0.1", False),
            ("169.254.169.254", False),
        ):

            async def resolve(host: str, port: int, address: str = address) -> Sequence[str]:
                return [address]

            outgoing = Outgoing(Rules(private=True), client, resolve=resolve)
            if admitted:
                assert str(await outgoing.check("https://example.com/")) == address
            else:
                with pytest.raises(NotThere):
                    await outgoing.check("https://example.com/")


async def test_a_name_that_answers_otherwise_a_moment_later_leads_nowhere(receiver: Receiver) -> None:
    """It is called by the number that was checked, with its name in the request; redirects are not followed."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    port = int(receiver.address.rsplit(":", 1)[1])
    receiver.answer = lambda _: (302, "http://127.0.0.1:1/")
    async with caller() as client:
        outgoing = Outgoing(Rules(loopback=True), client, resolve=resolve)
        assert await outgoing.post(f"http://hooks.example.invalid:{port}/a", b"{}", {}) == 302
        with pytest.raises(NotThere):
            await outgoing.post("http://hooks.example.invalid:1/", b"{}", {})
        with pytest.raises(NotThere):
            await Outgoing(Rules(), client, resolve=resolve).post("ftp://x/", b"", {})
    assert asked == ["hooks.example.invalid"] * 2
    [call] = receiver.calls
    assert call.headers["host"] == f"hooks.example.invalid:{port}"
    assert client.is_closed
    assert isinstance(client, httpx.AsyncClient)


async def test_what_may_not_be_called_is_not_registered(world: World) -> None:
    for url in (
        "https://127.0.0.1/",
        "https://169.254.169.254/latest",
        "http://example.com/",
        "https://nowhere.invalid/",
    ):
        answer = (await world.ask("admin", REGISTER, input={"id": new_id("whk"), "url": url}))["answer"]
        assert (answer["code"], answer["field"]) == ("BAD_INPUT", "url"), url
    assert await world.store.mongo.collection("webhooks").find({}) == []


async def test_a_call_by_number_is_held_to_the_names_certificate(tmp_path: Path) -> None:
    """Over TLS: the certificate must be that of the name, wherever the number leads."""
    name = "hooks.example.invalid"
    key, certificate = self_signed(name)
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    secure = {"ssl_certfile": str(tmp_path / "cert.pem"), "ssl_keyfile": str(tmp_path / "key.pem")}
    trusted = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    async with receiving(**secure) as receiver, httpx.AsyncClient(verify=trusted, trust_env=False) as client:
        port = receiver.address.rsplit(":", 1)[1]
        outgoing = Outgoing(Rules(loopback=True), client, resolve=resolve)
        assert await outgoing.post(f"https://{name}:{port}/", b"{}", {}) == 200
        with pytest.raises(NotThere):
            await outgoing.post(f"https://other.example.invalid:{port}/", b"{}", {})
    assert [call.headers["host"] for call in receiver.calls] == [f"{name}:{port}"]


def self_signed(name: str) -> tuple[bytes, bytes]:
    """A private key and its certificate, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(clock() - timedelta(days=1))
        .not_valid_after(clock() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, *form), made.public_bytes(serialization.Encoding.PEM)
