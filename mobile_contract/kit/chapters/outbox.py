"""Check chapter 4, the outbox: repeated items, conflicts, unreadable items, and unknown places."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from mobile_contract.kit.accounts import Party, new_draft
from mobile_contract.kit.clauses import clause
from mobile_contract.kit.comparison import Comparison, Rule, close, instant, near
from mobile_contract.kit.results import NotTriedError, require
from mobile_contract.phone.ids import new_id


@clause(
    "O1",
    "The same item sent again is a `DUPLICATE` with the same receipt, however often and from however many requests at once;"
    " one record exists.",
)
async def check_replays(party: Party) -> str:
    sent = await party.user.submit_accepted()
    receipt = sent.pop("result")["receipt"]
    at_once = new_draft()
    again = [(await party.user.submit(sent))[0] for _ in range(2)]
    raced = await asyncio.gather(*(party.user.submit(at_once) for _ in range(8)))
    for result in again:
        require(
            (result["outcome"], result["receipt"]) == ("DUPLICATE", receipt),
            f"SubmitObservations of {sent['id']} again",
            f"DUPLICATE with the receipt {receipt}",
            result,
        )
    outcomes = sorted(results[0]["outcome"] for results in raced)
    receipts = {str(results[0]["receipt"]) for results in raced}
    request = f"SubmitObservations of {at_once['id']}, 8 requests at once"
    require(outcomes == ["ACCEPTED"] + ["DUPLICATE"] * 7, request, "one ACCEPTED, seven DUPLICATE", outcomes)
    require(len(receipts) == 1, request, "one receipt", receipts)
    found = await party.user.find_reports(sent["id"], at_once["id"])
    require(len(found) == 2, "MyReports", "each of the two observations once", [report["id"] for report in found])
    return "2 replays and 7 of 8 parallel requests were duplicates with the first receipt. Each record exists once."


@clause(
    "O2",
    "The same id with other content is a `CONFLICT`: the first stays unchanged, the second is stored separately.",
)
async def check_conflicts(party: Party) -> str:
    units = await party.user.fetch_nodes("Units")
    first = {"severity": "MINOR", "unit": units[-1]["code"] if units else "NO-SUCH-UNIT"}
    sent = await party.user.submit_accepted(**first)
    del sent["result"]
    before = await party.user.find_reports(sent["id"])
    others: list[dict[str, Any]] = [
        {"text": f"{sent['text']} other"},
        {"unit": units[-2]["code"] if len(units) > 1 else "OTHER"},
    ]
    others += [{"monitoringPoint": "OTHER"}, {"severity": "SERIOUS"}, {"category": "SLOW"}, {"staffSeen": "other"}]
    for other in others:
        [result] = await party.user.submit(sent | other)
        is_conflict = result["outcome"] == "REFUSED" and (result["refusal"] or {}).get("code") == "CONFLICT"
        require(
            is_conflict, f"SubmitObservations of {sent['id']} with another {min(other)}", "REFUSED, CONFLICT", result
        )
    compared = Comparison()
    compared.same("MyReports", "observations.edges.node", before, await party.user.find_reports(sent["id"]))
    count = compared.report()
    return f"{len(others)} other contents of the same id were refused as CONFLICT; {count} fields of the first are unchanged."


@clause(
    "O3",
    "Each item settles on its own. A wrong or unreadable item holds up no other, in a document of its own as in"
    " `Sync`.",
)
async def check_bad_items(party: Party) -> str:
    for name in ("SubmitObservations", "Sync"):
        good = [new_draft(), new_draft()]
        bad = [
            new_draft(category="NO_SUCH_CATEGORY"),
            new_draft(text="half an emoji \ud83d"),
            new_draft(capturedAt="yesterday"),
        ]
        drafts = [bad[0], good[0], bad[1], bad[2], good[1]]
        variables: dict[str, Any] = {"input": {"drafts": drafts}}
        if name == "Sync":
            variables = {"submits": True, "drafts": {"drafts": drafts}, "input": {"first": 1}}
        answer = await party.user.send(name, variables)
        results = answer.root.get("results") or []
        expected = ["REFUSED", "ACCEPTED", "REFUSED", "REFUSED", "ACCEPTED"]
        require(
            [result["outcome"] for result in results] == expected,
            f"{name} with an unknown category, half an emoji and an invalid time among good drafts",
            str(expected),
            results or answer.root,
        )
        found = await party.user.find_reports(*(item["id"] for item in drafts))
        require(
            {report["id"] for report in found} == {item["id"] for item in good}, "MyReports", "the good ones", found
        )
    return "3 unreadable drafts were refused and 2 good ones accepted, in SubmitObservations and in Sync."


@clause("O4", "Results stand in the order of the items, one for each.")
async def check_order(party: Party) -> str:
    known = await party.user.submit_accepted()
    del known["result"]
    drafts = [new_draft(), known, new_draft(id="obs_wrong"), new_draft(), known, new_draft()]
    value = await party.user.ask("SubmitObservations", {"input": {"drafts": drafts}})
    got = [(result["id"], result["outcome"]) for result in value["results"]]
    outcomes = ["ACCEPTED", "DUPLICATE", "REFUSED", "ACCEPTED", "DUPLICATE", "ACCEPTED"]
    expected = [(item["id"], outcome) for item, outcome in zip(drafts, outcomes, strict=True)]
    require(got == expected, "SubmitObservations of 6 drafts, new, known and wrong", str(expected), str(got))
    return "6 results in the order of 6 drafts."


@clause("O5", "An accepted item is there: its author reads it back at once, with all that was sent of it.")
async def check_read_back(party: Party) -> str:
    medium = {"id": new_id("med"), "sha256": "0" * 64, "byteSize": 5, "contentType": "image/jpeg"}
    position = {"latitude": 25.5, "longitude": 114.5, "accuracyMetres": 12.5}
    claimed = {"unit": "NO-SUCH-UNIT", "monitoringPoint": "NO-SUCH-POINT", "staffSeen": "三号窗口 third window"}
    sent = new_draft(
        severity="MINOR", category="SLOW", position=position, capturedAt=SENT_AT, media=[medium], **claimed
    )
    [result] = await party.user.submit(sent)
    found = await party.user.find_reports(sent["id"])
    require(
        len(found) == 1, f"MyReports after {sent['id']} was accepted", "the observation", f"{len(found)} of that id"
    )
    compared = Comparison()
    compared.same("MyReports", "observations.edges.node", _expect_report(sent, result), found[0])
    in_gcj = await party.user.submit_accepted(position=position | {"datum": "GCJ02"})
    [report] = await party.user.find_reports(in_gcj["id"])
    at = report["content"]["position"]
    shifted = {name: Rule("a few hundred metres off", _is_moved(position[name])) for name in ("latitude", "longitude")}
    path = "observations.edges.node.content.position"
    compared.same("MyReports", path, _expect_position(position, "GCJ02") | shifted, at)
    unlisted = await _compare_unlisted(party, compared, sent)
    return f"The author read {compared.report()} fields back at once, as they were sent{unlisted}."


SENT_AT = "2026-11-20T09:05:00.120+08:00"
UNLISTED = "query Unlisted($id: ID!) { observation(id: $id) { content { staffSeen } } }"


def _expect_report(sent: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    content = {name: sent[name] for name in ("method", "category", "severity", "text")}
    content |= {"capturedAt": instant(sent["capturedAt"]), "capturedOffsetMinutes": 480}
    content |= {"claimedUnit": sent["unit"], "claimedMonitoringPoint": sent["monitoringPoint"]}
    media = {"kind": "PHOTO", "state": "EXPECTED", "rejection": None, "facts": None}
    content |= {"media": [each | media for each in sent["media"]]}
    content["position"] = _expect_position(sent["position"], "WGS84") | {
        name: close(sent["position"][name]) for name in ("latitude", "longitude")
    }
    counts = {"revision": 1, "mediaExpected": 1, "mediaArrived": 0, "followUps": []}
    places = {"placement": "UNPLACED", "unit": None, "monitoringPoint": None}
    received = near(result["receipt"]["receivedAt"], timedelta(seconds=61))
    return {"id": sent["id"], "receivedAt": received, "content": content} | counts | places


def _expect_position(sent: dict[str, Any], datum: str) -> dict[str, Any]:
    original = {"originalLatitude": close(sent["latitude"]), "originalLongitude": close(sent["longitude"])}
    return original | {"originalDatum": datum, "accuracyMetres": close(sent["accuracyMetres"]), "problem": None}


def _is_moved(degrees: float) -> Callable[[Any], bool]:
    """Expect the shift between GCJ-02 and WGS-84, which is some hundred metres inside China."""
    return lambda got: isinstance(got, float) and 0.0005 < abs(got - degrees) < 0.01


async def _compare_unlisted(party: Party, compared: Comparison, sent: dict[str, Any]) -> str:
    """Compare what no list of the contract shows. Return in words if the server doesn't execute such a query."""
    try:
        answer = await party.user.send(UNLISTED, {"id": sent["id"]})
    except NotTriedError:
        return ", but `staffSeen`, which only another query shows"
    content = (answer.root or {}).get("content") or {}
    compared.same("observation", "observation.content.staffSeen", sent["staffSeen"], content.get("staffSeen"))
    return ""


@clause("O6", "A refused item has changed nothing, and can be corrected and sent again under the same id.")
async def check_correction(party: Party) -> str:
    sent = new_draft(text="x" * 20_001)
    [refused] = await party.user.submit(sent)
    require(refused["outcome"] == "REFUSED", "SubmitObservations of a text of 20,001 characters", "REFUSED", refused)
    found = await party.user.find_reports(sent["id"])
    require(not found, "MyReports after the refusal", "nothing of that id", found)
    [accepted] = await party.user.submit(new_draft(id=sent["id"]))
    require(accepted["outcome"] == "ACCEPTED", f"SubmitObservations of {sent['id']}, corrected", "ACCEPTED", accepted)
    return "A text that is too long was refused and left nothing. Corrected under the same id, it was accepted."


@clause(
    "O7",
    "An item with a unit or point that the server does not know, or does not show, is not refused: it is kept and"
    " placed later.",
)
async def check_unknown_places(party: Party) -> str:
    sent = await party.user.submit_accepted(unit="NO-SUCH-UNIT", monitoringPoint="NO-SUCH-POINT")
    [found] = await party.user.find_reports(sent["id"]) or [{}]
    content = found.get("content") or {}
    got = (found.get("placement"), content.get("claimedUnit"), content.get("claimedMonitoringPoint"))
    expected = ("UNPLACED", "NO-SUCH-UNIT", "NO-SUCH-POINT")
    require(got == expected, "MyReports after an unknown unit and point", str(expected), str(got))
    return "An unknown unit and point were kept as given, and the observation is UNPLACED."


@clause("O9", "No time is refused because a clock is wrong.")
async def check_wrong_clocks(party: Party) -> str:
    times = ["1970-01-01T08:00:00+08:00", "2099-12-31T23:59:59.999+08:00", "2026-02-28T00:00:00-11:00"]
    results = await party.user.submit(*(new_draft(capturedAt=at) for at in times))
    got = [result["outcome"] for result in results]
    require(got == ["ACCEPTED"] * len(times), f"SubmitObservations of {times}", "all ACCEPTED", str(results))
    return "Observations from 1970, from 2099 and from another time zone were accepted."
