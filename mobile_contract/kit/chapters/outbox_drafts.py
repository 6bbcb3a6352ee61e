"""Check chapter 4, the outbox: each draft of a batch gets its own result, and an accepted draft is placed."""

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mobile_contract.kit.accounts import Party, new_draft
from mobile_contract.kit.chapters.receipts import expect_receipt, fetch_keys
from mobile_contract.kit.chapters.upload_answers import expect_slot, try_put
from mobile_contract.kit.chapters.uploads import KitPhoto, new_photo
from mobile_contract.kit.clauses import clause
from mobile_contract.kit.comparison import Comparison, refusal, same_texts
from mobile_contract.kit.results import NotTriedError, require

BATCH = ("SubmitObservations", "Sync")
RESULTS = "submitObservations.results"


async def send_drafts(party: Party, operation: str, drafts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Send drafts in an operation of their own or in `Sync`, and return the results."""
    variables: dict[str, Any] = {"input": {"drafts": drafts}}
    if operation == "Sync":
        variables = {"submits": True, "drafts": {"drafts": drafts}, "input": {"first": 1}}
    answer = await party.user.send(operation, variables)
    results: list[dict[str, Any]] = answer.data["submitObservations"].get("results") or []
    require(len(results) == len(drafts), answer.request, f"{len(drafts)} results", f"{len(results)} results")
    return results


@clause(
    "O13",
    "The result of a draft is about that draft: its id, its own receipt, the slots of its own media or its refusal; in"
    " `Sync` as in `SubmitObservations`.",
)
async def check_results(party: Party) -> str:
    compared, keys = Comparison(), await fetch_keys(party)
    said: dict[str, dict[tuple[str, str], Any]] = {"conflict": {}, "long": {}}
    for operation in BATCH:
        known = new_draft()
        [first] = await send_drafts(party, operation, [known])
        media = [new_photo() for _ in range(3)]
        new = [
            new_draft(unit="NO-SUCH-UNIT", media=[each.announced for each in media[:2]]),
            new_draft(staffSeen="三号窗口", media=[media[2].announced]),
            new_draft(severity="SERIOUS"),
        ]
        drafts = [new[0], known, known | {"text": "other"}, new[1], new_draft(text="x" * 20_001), new[2]]
        results = await send_drafts(party, operation, drafts)
        got = dict(zip(("new", "known", "conflict", "second", "long", "third"), results, strict=True))
        conflict = refusal("CONFLICT", "DISCARD", "drafts.2.id")
        too_long = refusal("BAD_INPUT", "FIX_AND_RESEND", "drafts.4.text")
        expected = [
            accepted(new[0], got["new"], keys, media[:2]),
            result_of(known, "DUPLICATE", receipt=first["receipt"]),
            result_of(known, "REFUSED", refusal=conflict),
            accepted(new[1], got["second"], keys, media[2:]),
            result_of(drafts[4], "REFUSED", refusal=too_long),
            accepted(new[2], got["third"], keys, []),
        ]
        compared.same(operation, RESULTS, expected, results)
        for name, texts in said.items():
            texts[operation, f"{RESULTS}.refusal"] = got[name]["refusal"]
        await _put_by_slots(party, operation, compared, media[:2], got["new"]["uploads"])
    for texts in said.values():
        same_texts(compared, texts)
    return f"{compared.report()} fields of the results of two batches were those of their drafts."


def accepted(
    sent: dict[str, Any], got: dict[str, Any], keys: Mapping[str, Ed25519PublicKey], media: list[KitPhoto]
) -> dict[str, Any]:
    """Expect an accepted draft with its own receipt, and a slot for each of its media."""
    slots = [expect_slot(each, slot) for each, slot in zip(media, got["uploads"], strict=False)]
    uploads = [{name: slot[name] for name in ("mediaId", "kind", "url", "headers", "expiresAt")} for slot in slots]
    wanted = uploads + [{"mediaId": each.id} for each in media[len(uploads) :]]
    return result_of(sent, "ACCEPTED", receipt=expect_receipt(sent, got["receipt"], keys), uploads=wanted)


def result_of(sent: dict[str, Any], outcome: str, **fields: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"receipt": None, "uploads": [], "refusal": None}
    return {"id": sent["id"], "outcome": outcome} | empty | fields


async def _put_by_slots(
    party: Party, operation: str, compared: Comparison, media: list[KitPhoto], slots: list[dict[str, Any]]
) -> None:
    """Put each medium by its own slot. A slot that is another's, or not as it was signed, does not take it."""
    for each, slot in zip(media, slots, strict=False):
        compared.same(operation, f"{RESULTS}.uploads.url", *await try_put(party, slot, each.body))


@clause(
    "O14",
    "An item with a unit or point that the server shows is placed there, and stays there whatever else comes under its"
    " id.",
)
async def check_placement(party: Party) -> str:
    units = await party.user.fetch_nodes("Units")
    points = await party.user.fetch_nodes("MonitoringPoints")
    if not units:
        raise NotTriedError("The server shows the user no unit.")
    compared = Comparison()
    for unit in units[-2:]:
        point = points[-1] if points else None
        sent = await party.user.submit_accepted(unit=unit["code"], monitoringPoint=point["code"] if point else None)
        del sent["result"]
        await party.user.submit(
            sent | {"unit": units[-2 if unit is units[-1] else -1]["code"]}, sent | {"unit": "NO-SUCH-UNIT"}
        )
        expected = {
            "placement": "PLACED",
            "unit": {name: unit[name] for name in ("id", "code", "name")},
            "monitoringPoint": {name: point[name] for name in ("id", "code", "enterprise")} if point else None,
        }
        [found] = await party.user.find_reports(sent["id"]) or [{}]
        got = {name: found.get(name) for name in expected}
        compared.same("MyReports", "observations.edges.node", expected, got)
        await party.wait_quiet(party.user)
        pulled = {change["id"]: change["record"] for change in (await party.user.pull(kinds=["OBSERVATION"]))[0]}
        record = pulled.get(sent["id"]) or {}
        got = {name: (record.get(name) or {}).get("id") for name in ("unit", "monitoringPoint")}
        placed = {"unit": unit["id"], "monitoringPoint": point["id"] if point else None}
        compared.same("Sync", "sync.changes.changes.record(Observation)", placed, got)
    compared.report()
    return "Observations came back with the unit and the point that they named, also after conflicts."
