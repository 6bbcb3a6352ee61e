"""Test steps that can't be undone: a token alone is not enough for them, the person must have signed in just now."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from api.graphql.context import Context
from schema.access.guards import FRESH_SIGN_IN
from schema.access.permissions import IRREVERSIBLE
from tests.support.phone_sessions import REVOKE, Phone, with_passwords
from tests.support.sdl import roots
from tests.support.world import SCHEMA, World, new_id

REFUSAL = "... on Refused { code nextStep messageZh }"
CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "wipeDevices": ("admin", "WipeDevicesInput", {"userId": new_id("usr")}),
    "approveRedaction": (
        "officer",
        "ApproveRedactionInput",
        {"id": new_id("evt"), "redactionId": new_id("red"), "sha256": "0" * 64},
    ),
    "registerWebhook": ("admin", "RegisterWebhookInput", {"id": new_id("whk"), "url": "https://127.0.0.1/hook"}),
    "rotateWebhookSecret": (
        "admin",
        "RotateWebhookSecretInput",
        {"id": new_id("whk"), "rotationId": new_id("evt")},
    ),
    "removeWebhook": ("admin", "WebhookInput", {"id": new_id("whk")}),
}
WAYS_BACK = {
    **dict.fromkeys(("signIn", "refreshSession", "signOut", "registerPushToken", "forgetPushToken"), "sign in again"),
    "revokeDevice": "sign in again; with `wipe` it needs a fresh sign-in",
    "changePassword": "it asks for the password",
    **dict.fromkeys(("requestUploads", "confirmMedia", "abortUploads"), "upload again"),
    **dict.fromkeys(("submitObservations", "submitRatings"), "correct it: the first one stays readable"),
    "reviseObservation": "revise again: every revision stays readable",
    **dict.fromkeys(("answerAssignments", "editAssignmentNotes"), "answer or edit again: all are kept"),
    **dict.fromkeys(("reviewFlag", "setThreshold", "setLimit"), "review or set again: all are kept"),
    "addWorkingYear": "add the year again: all records are kept",
    "assign": "withdrawAssignment",
    "withdrawAssignment": "assign",
    **dict.fromkeys(("acceptAssignment", "handOnAssignment", "finishAssignment"), "the office assigns again"),
    "openCase": "moveCase to DECLINED",
    "linkObservations": "unlinkObservations",
    "unlinkObservations": "linkObservations",
    "moveCase": "moveCase to REOPENED; after DECLINED, openCase",
    "issueNotice": "withdrawNotice",
    "acknowledgeNotice": "it says only that the unit has read the notice",
    "replyToNotice": "the office returns it, and the unit replies again",
    "returnNotice": "the unit replies again",
    **dict.fromkeys(("verifyNotice", "withdrawNotice"), "issueNotice: another of the case, reopened if need be"),
    "requestRedaction": "rejectRedaction",
    "correctRedaction": "correct again",
    "rejectRedaction": "request again",
    "enableWebhook": "it is disabled when it fails, and removed by removeWebhook",
    "sync": "it reads",
}
"""How each other mutation is taken back."""


def test_every_mutation_can_be_taken_back_or_needs_a_fresh_sign_in() -> None:
    named = {f"Mutation.{name}" for name in CALLS}
    assert named == IRREVERSIBLE
    assert set(CALLS).isdisjoint(WAYS_BACK)
    assert set(CALLS) | set(WAYS_BACK) == set(roots("Mutation"))


def long_ago(context: Context) -> Context:
    assert context.viewer
    return replace(
        context, viewer=replace(context.viewer, signed_in_at=context.now - FRESH_SIGN_IN - timedelta(seconds=1))
    )


def unknown(context: Context) -> Context:
    """Return the context of a person whose provider does not say when they signed in."""
    assert context.viewer
    return replace(context, viewer=replace(context.viewer, signed_in_at=None))


@pytest.mark.parametrize("name", CALLS)
async def test_an_irreversible_step_long_after_the_sign_in_is_refused(world: World, name: str) -> None:
    person, input_type, given = CALLS[name]
    document = f"mutation($input: {input_type}!) {{ answer: {name}(input: $input) {{ __typename {REFUSAL} }} }}"
    before = await world.snapshot(), await world.store.mongo.collection("webhooks").find({})
    for stale in (long_ago, unknown):
        result = await SCHEMA.execute(document, {"input": given}, context_value=stale(world.context(person)))
        assert result.data
        assert result.data["answer"] == {
            "__typename": "Refused",
            "code": "SIGN_IN_TOO_OLD",
            "nextStep": "SIGN_IN_AGAIN",
            "messageZh": "此操作不可撤销，请重新登录，并在15分钟内再次提交。",
        }
    assert (await world.snapshot(), await world.store.mongo.collection("webhooks").find({})) == before
    fresh = await world.ask(person, document, input=given)
    assert fresh["answer"].get("code") != "SIGN_IN_TOO_OLD"


async def phones_of_earlier(house: World) -> tuple[Phone, Phone]:
    """Sign in on a phone and on a desk. The desk has renewed its session since, but its sign-in is too old."""
    lost, desk = Phone(house), Phone(house)
    await lost.sign_in()
    await desk.sign_in()
    desk.later = FRESH_SIGN_IN + timedelta(seconds=1)
    await desk.refresh()
    return lost, desk


async def test_wiping_ones_own_device_needs_a_sign_in_that_a_renewal_is_not(world: World) -> None:
    house = await with_passwords(world)
    lost, desk = await phones_of_earlier(house)
    before = await house.snapshot()
    refused = await desk.do(REVOKE, signed_in=True, deviceId=lost.id, wipe=True)
    assert (refused["code"], refused["nextStep"]) == ("SIGN_IN_TOO_OLD", "SIGN_IN_AGAIN")
    assert await house.snapshot() == before
    assert await lost.is_signed_in()
    await desk.sign_in()
    assert "device" in await desk.do(REVOKE, signed_in=True, deviceId=lost.id, wipe=True)
    assert not await lost.is_signed_in()


async def test_signing_a_device_out_needs_no_fresh_sign_in(world: World) -> None:
    house = await with_passwords(world)
    lost, desk = await phones_of_earlier(house)
    assert "device" in await desk.do(REVOKE, signed_in=True, deviceId=lost.id)
