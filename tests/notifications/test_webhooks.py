"""Test webhooks: who manages them, which URLs are allowed, what a call contains and how it is signed, and failures."""

import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import pytest

from api.graphql.context import clock
from api.notifications.outbound_http import OutboundHttp, Rules, outbound_client
from api.notifications.push_worker import EventWorker
from api.notifications.webhook_worker import LEASE, WebhookWorker
from schema.notifications.webhooks import MAX_FAILURES, MAX_PER_OFFICE
from tests.support.case_steps import assign_case
from tests.support.http_receiver import ReceivedCall, Receiver, receiving
from tests.support.push_tokens import clock_ahead, store_event_position
from tests.support.world import World, new_id

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
    """Run the event worker until a delivery for this record and state is queued."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(EventWorker(world.store, clock).run)
        with anyio.fail_after(15):
            while not any(  # noqa: ASYNC110  the database has no event to wait for
                (each["recordId"], each["recordState"]) == (record_id, state) for each in await deliveries(world, id)
            ):
                await anyio.sleep(0.02)
        tasks.cancel_scope.cancel()


async def told(world: World, later: timedelta = timedelta()) -> None:
    """Send everything that is due."""
    async with outbound_client() as client:
        await WebhookWorker(world.store, OutboundHttp(Rules(loopback=True), client), clock_ahead(later)).do_all()


def verify(call: ReceivedCall, secret: str) -> bool:
    """Verify the signature as a receiver does."""
    parts = [pair.split("=", 1) for pair in call.headers["mingcha-signature"].split(",")]
    [seconds] = [value for name, value in parts if name == "t"]
    expected = hmac.digest(secret.encode(), seconds.encode() + b"." + call.body, "sha256").hex()
    return any(hmac.compare_digest(value, expected) for name, value in parts if name == "v1")


async def test_deliveries_are_signed_and_name_no_person(world: World, receiver: Receiver) -> None:
    made = await register(world, f"{receiver.address}/hook?x=1")
    id, secret = made["webhook"]["id"], made["secret"]
    await store_event_position(world)
    case_id, assignment_id = await assign_case(world, "inspector")
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
    await world.store.record_events.delete_position("waking")
    await told(world)
    assert len(receiver.calls) == before


async def test_a_secret_is_shown_once_and_the_old_one_signs_for_a_day_more(world: World, receiver: Receiver) -> None:
    id, rotation = new_id("whk"), new_id("evt")
    first = (await register(world, receiver.address, id=id))["secret"]
    again = await register(world, receiver.address, id=id)
    assert (again["webhook"]["id"], again["secret"]) == (id, None)
    assert (await register(world, receiver.address + "/other", id=id))["code"] == "CONFLICT"
    given = {"id": id, "rotationId": rotation}
    second = (await world.ask("admin", ROTATE, input=given))["answer"]["secret"]
    assert second != first
    assert (await world.ask("admin", ROTATE, input=given))["answer"]["secret"] is None
    await store_event_position(world)
    case_id, _ = await assign_case(world)
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


async def test_failed_deliveries_are_retried_until_the_webhook_is_disabled(world: World, receiver: Receiver) -> None:
    receiver.answer = lambda _: (500, {})
    id = (await register(world, receiver.address))["webhook"]["id"]
    await store_event_position(world)
    case_id, _ = await assign_case(world)
    await heard(world, id, case_id, "ASSIGNED")
    await told(world)
    assert len(receiver.calls) == 1, "the others wait with it"
    later = timedelta()
    while (await world.ask("admin", LIST))["webhooks"][0]["state"] == "ACTIVE":
        later += timedelta(hours=7)
        await told(world, later)
    assert len(receiver.calls) == MAX_FAILURES
    assert (await world.ask("admin", LIST))["webhooks"][0]["disabledReason"] == "The receiver answered 500."
    assert {each["state"] for each in await deliveries(world, id)} == {"GIVEN_UP"}
    receiver.answer = lambda _: (204, None)
    assert (await world.ask("admin", ENABLE, input={"id": id}))["answer"]["webhook"]["state"] == "ACTIVE"
    other, _ = await assign_case(world)
    await heard(world, id, other, "ASSIGNED")
    await told(world)
    done = [each for each in await deliveries(world, id) if each["state"] == "DELIVERED"]
    assert other in {each["recordId"] for each in done}


async def test_a_worker_that_dies_while_sending_loses_no_delivery(world: World, receiver: Receiver) -> None:
    id = (await register(world, receiver.address))["webhook"]["id"]
    await store_event_position(world)
    case_id, _ = await assign_case(world)
    await heard(world, id, case_id, "ASSIGNED")
    claimed = await world.store.webhooks.claim(clock(), LEASE, busy=())  # and the worker dies
    assert claimed
    await told(world)
    assert claimed.id not in {call.headers["mingcha-delivery"] for call in receiver.calls}
    await told(world, LEASE * 2)
    assert claimed.id in {call.headers["mingcha-delivery"] for call in receiver.calls}


async def test_an_address_that_does_not_answer_delays_no_other(world: World, receiver: Receiver) -> None:
    slow = (await register(world, f"{receiver.address}/slow"))["webhook"]["id"]
    quick = (await register(world, f"{receiver.address}/quick"))["webhook"]["id"]
    await store_event_position(world)
    case_id, _ = await assign_case(world)
    for id in (slow, quick):
        await heard(world, id, case_id, "ASSIGNED")
    due = len(await deliveries(world, quick))
    assert due > 1
    at_once = most = 0

    async def pause(call: ReceivedCall) -> None:
        """Hold each call to `/slow` until all calls to `/quick` have arrived. Count how many calls are held at once."""
        nonlocal at_once, most
        if call.path == "/slow":
            at_once += 1
            most = max(most, at_once)
            with anyio.fail_after(10):
                while sum(each.path == "/quick" for each in receiver.calls) < due:  # noqa: ASYNC110
                    await anyio.sleep(0.01)
            at_once -= 1

    receiver.pause = pause
    await told(world)
    assert most == 1
    for id in (slow, quick):
        assert {each["state"] for each in await deliveries(world, id)} == {"DELIVERED"}


async def test_only_administrators_in_scope_see_and_change_a_webhook(world: World, receiver: Receiver) -> None:
    id = (await register(world, receiver.address))["webhook"]["id"]
    await assign_case(world)
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
    for _ in range(MAX_PER_OFFICE):
        assert (await register(world, receiver.address))["secret"]
    assert (await register(world, receiver.address))["code"] == "LIMIT_EXCEEDED"


async def test_a_chinese_host_that_is_not_found_is_refused_for_that_reason(world: World) -> None:
    asked = REGISTER.replace("{ code field }", "{ code field message }")
    answer = (await world.ask("admin", asked, input={"id": new_id("whk"), "url": "https://例子.invalid/"}))["answer"]
    assert answer == {"code": "BAD_INPUT", "field": "url", "message": "The host can't be found."}
    assert await world.store.mongo.collection("webhooks").find({}) == []


async def test_a_webhook_with_a_forbidden_address_is_not_registered(world: World) -> None:
    for url in (
        "https://127.0.0.1/",
        "https://169.254.169.254/latest",
        "http://example.com/",
        "https://nowhere.invalid/",
        "https://例子。中国\\/",
    ):
        answer = (await world.ask("admin", REGISTER, input={"id": new_id("whk"), "url": url}))["answer"]
        assert (answer["code"], answer["field"]) == ("BAD_INPUT", "url"), url
    assert await world.store.mongo.collection("webhooks").find({}) == []
