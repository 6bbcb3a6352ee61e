"""Test the stored documents of the change feed, of positions of log readers, and of webhooks with their deliveries."""

from dataclasses import replace
from datetime import timedelta

from schema.casework.cases import CaseEventKind, CaseState
from schema.core.pagination import Page
from schema.notifications.webhooks import (
    MAX_FAILURES,
    DeliveryKind,
    DeliveryState,
    Webhook,
    WebhookDelivery,
    WebhookState,
)
from schema.sync.changes import ChangeKind
from storage.casework.standing import Acting
from storage.store import Store
from storage.sync.changes import RecordState
from tests.stored.fixed import NOW, PATH, fixed_id, minutes
from tests.stored.fixed_records import (
    OFFICE,
    case_event,
    stateless,
    whole_assignment,
    whole_case,
    whole_observation,
    whole_point,
    whole_service,
    whole_unit,
)
from tests.stored.golden_documents import Goldens

ENTERED = {
    ChangeKind.UNIT: "unt",
    ChangeKind.MONITORING_POINT: "pnt",
    ChangeKind.CATALOGUE_ENTRY: "cat",
    ChangeKind.ASSIGNMENT: "asg",
    ChangeKind.CASE: "cas",
    ChangeKind.OBSERVATION: "obs",
}


async def test_changes_and_their_heads_and_state_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    """The feed gets an entry of every kind, with the record's digest.

    If digests changed, phones would have to read everything again. Storage makes up the name of the sequence, so the
    test sets a fixed name.
    """
    await records.units.put_all([whole_unit()])
    await records.monitoring_points.put_all([whole_point()])
    await records.catalogue.put_all([whole_service()])
    await records.observations.add([whole_observation(1)])
    await records.cases.open(OFFICE, 2026, lambda _: whole_case(1, CaseState.ACCEPTED), [], {})
    noted = case_event(2, CaseEventKind.ASSIGNED, CaseState.ASSIGNED)
    assert await records.assignments.offer(whole_assignment(1), stateless(noted), Acting({}))
    seen = await records.change_sources.read_states({kind: [fixed_id(prefix)] for kind, prefix in ENTERED.items()})
    changes, token = records.changes, {"_data": "826A1F0000000000012B0229296E04"}
    assert await changes.claim("worker 1", NOW, minutes(1))
    entered = await changes.enter("worker 1", seen, token=token, as_of=minutes(2), until=minutes(3))
    assert entered == len(ENTERED)
    gone = RecordState(ChangeKind.MONITORING_POINT, fixed_id("pnt"))
    assert await changes.enter("worker 1", [gone], token=token, as_of=minutes(4), until=minutes(5)) == 1
    await goldens.check("changes")
    await goldens.check("change_heads")
    await goldens.check("change_state", lambda document: document | {"epoch": "abcdefghijkl"})
    sequence = await changes.sequence()
    assert sequence
    assert (sequence.last, sequence.horizon, sequence.as_of, sequence.token) == (7, 0, minutes(4), token)


async def test_positions_of_log_readers_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    await records.record_events.save_position("waking", "826A1F00")
    await records.record_events.write_heartbeat()
    await goldens.check("places")
    assert await records.record_events.load_position("waking") == "826A1F00"


async def test_webhooks_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    """One webhook has every field, one has a new secret, and one is disabled after one failure too many."""
    whole = Webhook(
        id=fixed_id("whk", 1),
        url="https://office.example/hooks",
        state=WebhookState.ACTIVE,
        registered_at=NOW,
        disabled_reason="HTTP 500",
        office_id=OFFICE,
        office_path=PATH,
        secret="first secret",
        secret_id=fixed_id("evt", 1),
        previous_secret="older secret",
        previous_until=minutes(60),
        failures=1,
    )
    bare = replace(whole, disabled_reason=None, previous_secret=None, previous_until=None, failures=0)
    rotated, failing = replace(bare, id=fixed_id("whk", 2)), replace(bare, id=fixed_id("whk", 3), failures=19)
    for webhook in (whole, rotated, failing):
        await records.webhooks.register(webhook)
    again = await records.webhooks.rotate(rotated.id, {}, "second secret", fixed_id("evt", 2), minutes(90))
    assert failing.failures == MAX_FAILURES - 1
    await records.webhooks.mark_failed(waiting(9, webhook=3), "timeout", minutes(5))
    await goldens.check("webhooks")
    assert again == replace(
        rotated,
        secret="second secret",
        secret_id=fixed_id("evt", 2),
        previous_secret="first secret",
        previous_until=minutes(90),
    )
    disabled = replace(failing, state=WebhookState.DISABLED, disabled_reason="timeout", failures=MAX_FAILURES)
    assert await records.webhooks.many([whole.id]) == [whole]
    assert await records.webhooks.many([failing.id]) == [disabled]


def waiting(number: int, *, webhook: int) -> WebhookDelivery:
    """Return a delivery that is due `number` minutes after `NOW`."""
    return WebhookDelivery(
        id=fixed_id("dlv", number),
        kind=DeliveryKind.CASE,
        record_id=fixed_id("cas", 1),
        record_state="ACCEPTED",
        changed_at=NOW,
        state=DeliveryState.WAITING,
        webhook_id=fixed_id("whk", webhook),
        due_at=minutes(number),
    )


async def test_webhook_deliveries_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    """One delivery has every field. The others are claimed, delivered, failed and given up."""
    whole = replace(
        waiting(1, webhook=1),
        kind=DeliveryKind.ASSIGNMENT,
        record_id=fixed_id("asg", 1),
        state=DeliveryState.DELIVERED,
        attempts=2,
        failure="HTTP 503",
        delivered_at=minutes(7),
    )
    claimed, delivered = waiting(2, webhook=2), waiting(3, webhook=2)
    failed, given_up = waiting(4, webhook=3), waiting(5, webhook=4)
    webhooks = records.webhooks
    await webhooks.insert_deliveries([whole, claimed, delivered, failed, given_up])
    found = await webhooks.claim(minutes(2), timedelta(minutes=1), busy=())
    await webhooks.mark_delivered(delivered, minutes(6))
    await webhooks.mark_failed(failed, "HTTP 500", minutes(20))
    await webhooks.give_up_deliveries(given_up.webhook_id)
    await goldens.check("webhook_deliveries")
    assert found == replace(claimed, attempts=1, due_at=minutes(3))
    assert await webhooks.page(whole.webhook_id, Page(5, None)) == [whole]
