"""Check chapter 4, the outbox: each rating of a monitor gets its own result, and is read back as it was sent."""

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import rfc8785

from mobile_contract.kit.accounts import Party
from mobile_contract.kit.clauses import clause
from mobile_contract.kit.comparison import Comparison, Rule, recent, refusal, same_texts
from mobile_contract.kit.results import NotTriedError, require
from mobile_contract.phone.ids import new_id

BEIJING = timezone(timedelta(hours=8))
RESULTS = "submitRatings.results"
REASON = "[conformance kit 一致性检查] not a rating 并非真实测评"


@clause(
    "O16",
    "The result of a rating is about that rating: its id, its own receipt, the stored rating or its refusal; in `Sync` as"
    " in `SubmitRatings`, and `MyRatings` shows it as it was sent.",
    "monitor",
)
async def check_ratings(party: Party) -> str:
    compared, monitor = Comparison(), party.require_account("monitor")
    units = await monitor.fetch_nodes("Units")
    grades = [each for each in await monitor.fetch_nodes("Catalogue") if each["kind"] == "RATING_GRADE"]
    point = await _find_own_point(party, units)
    good = _rating(point, units[-1], score=61)
    graded = _rating(point, units[-2], grade=grades[0]["code"]) if grades and len(units) > 1 else None
    bad = [_rating(point, units[-1], score=score) for score in (101, -1)]
    drafts = [each for each in (good, *bad, graded) if each]
    own = (await monitor.ask("SubmitRatings", {"input": {"drafts": drafts}}))["results"]
    require(len(own) == len(drafts), "SubmitRatings", f"{len(drafts)} results", own)
    refused = [refusal("BAD_INPUT", "FIX_AND_RESEND", f"drafts.{at}.score") for at in range(len(drafts))]
    scores = {good["id"]: 61} | ({graded["id"]: grades[0]["score"]} if graded else {})
    expected = [_result(draft, scores.get(draft["id"]), refused[at]) for at, draft in enumerate(drafts)]
    compared.same("SubmitRatings", RESULTS, expected, own)
    variables = {"rates": True, "ratings": {"drafts": drafts}, "input": {"first": 1}}
    again = (await monitor.send("Sync", variables)).data["submitRatings"].get("results")
    told = [each | ({"outcome": "DUPLICATE"} if each["outcome"] == "ACCEPTED" else {}) for each in expected]
    compared.same("Sync", RESULTS, told, again)
    for one, other in (("SubmitRatings", own), ("Sync", again)), (("Sync", again), ("SubmitRatings", own)):
        for mine, others in zip(one[1], other[1], strict=False):
            for name in ("receipt", "rating"):
                compared.same(one[0], f"{RESULTS}.{name}", others[name], mine[name])
    said = {"SubmitRatings": own[1]["refusal"], "Sync": again[1]["refusal"]}
    same_texts(compared, {(name, f"{RESULTS}.refusal"): texts for name, texts in said.items()})
    nodes, single = [await monitor.fetch_nodes("MyRatings", first=first) for first in (50, 1)]
    compared.same("MyRatings", "ratings.edges", [node["id"] for node in nodes], [node["id"] for node in single])
    listed = {node["id"]: node for node in nodes}
    for draft, unit, result in ((good, units[-1], own[0]), (graded, units[-2], own[-1])):
        if draft:
            rating = result["rating"] or {}
            expected_node = {name: draft.get(name) for name in ("id", "month", "grade", "reason")}
            expected_node |= {name: rating.get(name) for name in ("score", "isLate", "revision", "counts")}
            expected_node |= {"receivedAt": recent(), "unit": {name: unit[name] for name in ("id", "code", "name")}}
            expected_node |= {"monitoringPoint": {name: point[name] for name in ("id", "code", "enterprise")}}
            compared.same("MyRatings", "ratings.edges.node", expected_node, listed.get(draft["id"]))
    return f"{compared.report()} fields of ratings and their results were as they were sent."


async def _find_own_point(party: Party, units: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a point of the monitor, by rating for one point after the other."""
    monitor = party.require_account("monitor")
    for point in await monitor.fetch_nodes("MonitoringPoints", most=50):
        sent = {"input": {"drafts": [_rating(point, units[-1], score=60)]}}
        results = (await monitor.ask("SubmitRatings", sent))["results"]
        require(len(results) == 1, "SubmitRatings of one rating", "one result", results)
        if results[0]["receipt"] or results[0]["rating"]:
            return point
    raise NotTriedError("The monitor's own monitoring point was not found.")


def _rating(point: dict[str, Any], unit: dict[str, Any], **fields: Any) -> dict[str, Any]:
    month = datetime.now(BEIJING).strftime("%Y-%m-01")
    first = datetime.fromisoformat(month).replace(tzinfo=UTC)
    told = {"id": new_id("rat", first), "month": month, "reason": REASON}
    return told | {"monitoringPoint": point["code"], "unit": unit["code"]} | fields


def _result(draft: dict[str, Any], score: int | None, refused: dict[str, Any]) -> dict[str, Any]:
    if score is None:
        return {"id": draft["id"], "outcome": "REFUSED", "receipt": None, "rating": None, "refusal": refused}
    digest = hashlib.sha256(rfc8785.dumps(draft)).hexdigest()
    receipt = {"ratingId": draft["id"], "contentSha256": digest, "receivedAt": recent()}
    rating = {"id": draft["id"], "isLate": False, "counts": True, "score": score}
    rating |= {"revision": Rule("1 or more", lambda number: isinstance(number, int) and number >= 1)}
    return {"id": draft["id"], "outcome": "ACCEPTED", "receipt": receipt, "rating": rating, "refusal": None}
